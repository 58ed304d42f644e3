//! Durations and sizes as people write them.

use std::time::Duration;

use super::invalid::Wrong;

/// `30s`, `500ms`, `5m`, `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    let (count, unit) = split(text);
    let scale = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    scaled(count, scale)
        .filter(|&milliseconds| (1..=DAY).contains(&milliseconds))
        .map(Duration::from_millis)
        .ok_or_else(|| {
            Wrong::new(
                "not a duration between 1ms and 24h",
                "write a whole number with its unit: 500ms, 30s, 5m or 1h",
            )
        })
}

/// `4MiB`, `32KiB`, `512B`.
pub(super) fn size(text: &str) -> Result<usize, Wrong> {
    let (count, unit) = split(text);
    let scale = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => 0,
    };
    scaled(count, scale)
        .filter(|&bytes| bytes > 0)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| {
            Wrong::new("not a size", "write a whole number with its unit: 512B, 32KiB or 4MiB")
        })
}

/// A whole number above zero.
pub(super) fn count(text: &str) -> Result<usize, Wrong> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| {
        Wrong::new("not a whole number above zero", "write digits alone, for example 1000")
    })
}

fn split(text: &str) -> (&str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(digits)
}

fn scaled(count: &str, scale: u64) -> Option<u64> {
    count.parse::<u64>().ok()?.checked_mul(scale)
}

const DAY: u64 = 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(duration("5m").unwrap(), Duration::from_mins(5));
        for text in ["30", "s", "-1s", "0s", "25h", "1.5s", "30 s", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_carry_their_unit() {
        assert_eq!(size("32KiB").unwrap(), 32 << 10);
        for text in ["32", "KiB", "1MB", "0B", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_are_above_zero() {
        assert_eq!(count("7").unwrap(), 7);
        assert!(count("0").is_err() && count("x").is_err());
    }
}

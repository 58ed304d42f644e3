//! Durations and sizes as people write them.

use std::time::Duration;

use super::Rate;
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

/// The same, or `off`.
pub(super) fn duration_or_off(text: &str) -> Result<Option<Duration>, Wrong> {
    match text {
        "off" | "false" => Ok(None),
        _ => duration(text).map(Some),
    }
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

/// A whole number above zero, or no bound at all.
pub(super) fn count_or_off(text: &str) -> Result<Option<u32>, Wrong> {
    if is_off(text) {
        return Ok(None);
    }
    let count = count(text)
        .map_err(|_| Wrong::new("neither a whole number above zero nor off", "write 64, say"))?;
    Ok(Some(u32::try_from(count).unwrap_or(u32::MAX)))
}

/// `10/s`, `600/min`, `5000/h`, or no bound at all.
pub(super) fn rate(text: &str) -> Result<Option<Rate>, Wrong> {
    if is_off(text) {
        return Ok(None);
    }
    let (count, unit) = split(text);
    let window = match unit {
        "/s" => Duration::from_secs(1),
        "/min" => Duration::from_mins(1),
        "/h" => Rate::LONGEST,
        _ => Duration::ZERO,
    };
    let count = count.parse().ok().filter(|count| (1..=MOST_IN_A_WINDOW).contains(count));
    match count {
        Some(count) if !window.is_zero() => Ok(Some(Rate { count, window })),
        Some(_) | None => Err(Wrong::new(
            "not a rate between 1/h and 1000000/s",
            "write a whole number and a time: 10/s, 600/min or 5000/h; or off",
        )),
    }
}

/// Some readers of YAML take the one for the other.
fn is_off(text: &str) -> bool {
    matches!(text, "off" | "false")
}

fn split(text: &str) -> (&str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(digits)
}

fn scaled(count: &str, scale: u64) -> Option<u64> {
    count.parse::<u64>().ok()?.checked_mul(scale)
}

const DAY: u64 = 24 * 3_600_000;
const MOST_IN_A_WINDOW: u32 = 1_000_000;

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
    fn what_may_be_off_is_off_or_a_duration() {
        assert_eq!(duration_or_off("off").unwrap(), None);
        assert_eq!(duration_or_off("15s").unwrap(), Some(Duration::from_secs(15)));
        assert!(duration_or_off("0s").is_err() && duration_or_off("never").is_err());
    }

    #[test]
    fn sizes_carry_their_unit() {
        assert_eq!(size("32KiB").unwrap(), 32 << 10);
        for text in ["32", "KiB", "1MB", "0B", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_so_many_in_a_time_or_off() {
        let of = |count, seconds| Some(Rate { count, window: Duration::from_secs(seconds) });
        assert_eq!(rate("10/s").unwrap(), of(10, 1));
        assert_eq!(rate("600/min").unwrap(), of(600, 60));
        assert_eq!(rate("1000000/h").unwrap(), of(1_000_000, 3600));
        assert_eq!((rate("off").unwrap(), rate("false").unwrap()), (None, None));
        for text in ["10", "0/s", "/s", "10/m", "10 / s", "-1/s", "1.5/s", "1000001/s", "10/d", ""]
        {
            assert!(rate(text).is_err(), "{text}");
        }
        assert_eq!((count_or_off("7").unwrap(), count_or_off("off").unwrap()), (Some(7), None));
        assert!(count_or_off("0").is_err() && count_or_off("none").is_err());
    }

    #[test]
    fn counts_are_above_zero() {
        assert_eq!(count("7").unwrap(), 7);
        assert!(count("0").is_err() && count("x").is_err());
    }
}

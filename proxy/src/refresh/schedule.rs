//! When the next look is due.

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

use crate::config::KeySource;

/// How long a set may go without a look: as its server says, within reason.
pub(super) fn fresh_for(headers: &HeaderMap) -> Duration {
    let fields = headers.get_all(CACHE_CONTROL).iter().filter_map(|field| field.to_str().ok());
    let directives = fields.flat_map(|field| field.split(',')).map(str::trim);
    let mut told = None;
    for directive in directives {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let seconds = match name.trim_end().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(0),
            // RFC 9111 section 5.2: quoted too, though nobody should.
            "max-age" => value.trim().trim_matches('"').parse().ok(),
            _ => None,
        };
        // Of two that disagree the careful one.
        told = told.into_iter().chain(seconds).min();
    }
    let Some(seconds) = told else { return USUAL };
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse::<u64>().ok());
    Duration::from_secs(u64::saturating_sub(seconds, age.unwrap_or(0))).clamp(SHORTEST, LONGEST)
}

/// Until the next look, after so many failures in a row.
pub(super) fn pause(source: &KeySource, fresh_for: Duration, failures: u32) -> Duration {
    let usual = match source {
        KeySource::Discover | KeySource::Url(_) => fresh_for,
        KeySource::File(_) => EVERY_FILE,
    };
    after(failures, usual)
}

/// Sooner than usual where the last look was in vain.
pub(super) fn after(failures: u32, usual: Duration) -> Duration {
    match failures {
        0 => usual,
        _ => FIRST_RETRY.saturating_mul(1 << failures.min(6)).min(usual).min(LAST_RETRY),
    }
}

/// A tenth less to a tenth more, so that replicas that began together do not ask together.
pub(super) fn jittered(pause: Duration, random: u16) -> Duration {
    pause.mul_f64(0.9 + 0.2 * f64::from(random) / f64::from(u16::MAX))
}

pub(super) const USUAL: Duration = Duration::from_mins(5);
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(1);
/// A look at a file costs nothing.
const EVERY_FILE: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn seconds(fields: &[(http::HeaderName, &'static str)], expected: u64) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        assert_eq!(fresh_for(&headers).as_secs(), expected, "{fields:?}");
    }

    #[test]
    fn the_servers_word_counts_within_bounds() {
        seconds(&[], 300);
        seconds(&[(CACHE_CONTROL, "public")], 300);
        seconds(&[(CACHE_CONTROL, "public, max-age=600, must-revalidate")], 600);
        seconds(&[(CACHE_CONTROL, "Max-Age = \"600\"")], 600);
        seconds(&[(CACHE_CONTROL, "max-age=0")], 60);
        seconds(&[(CACHE_CONTROL, "max-age=31536000")], 3600);
        seconds(&[(CACHE_CONTROL, "max-age=18446744073709551615")], 3600);
    }

    #[test]
    fn what_may_not_be_kept_is_asked_for_as_often_as_we_ask() {
        seconds(&[(CACHE_CONTROL, "no-store")], 60);
        seconds(&[(CACHE_CONTROL, "max-age=600, NO-CACHE")], 60);
        seconds(&[(CACHE_CONTROL, "max-age=600"), (CACHE_CONTROL, "no-cache")], 60);
        seconds(&[(CACHE_CONTROL, "max-age=900"), (CACHE_CONTROL, "max-age=600")], 600);
    }

    #[test]
    fn what_a_cache_has_held_is_that_much_older() {
        seconds(&[(CACHE_CONTROL, "max-age=600"), (AGE, "400")], 200);
        seconds(&[(CACHE_CONTROL, "max-age=600"), (AGE, "9999")], 60);
        seconds(&[(CACHE_CONTROL, "max-age=600"), (AGE, "soon")], 600);
    }

    #[test]
    fn nonsense_is_not_heard() {
        for nonsense in
            ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "=", ",,", "x-max-age=9"]
        {
            seconds(&[(CACHE_CONTROL, nonsense)], 300);
        }
    }

    #[test]
    fn failures_are_tried_again_soon_and_not_too_often() {
        let url = KeySource::Discover;
        let after = |failures| pause(&url, USUAL, failures);
        assert_eq!(after(0), USUAL);
        assert_eq!(after(1), Duration::from_secs(1));
        assert!(after(2) > after(1));
        assert_eq!(after(1000), LAST_RETRY);
        assert_eq!(pause(&KeySource::File("/k".into()), USUAL, 9), EVERY_FILE);
    }

    #[test]
    fn jitter_spreads_by_a_tenth_each_way() {
        let pause = Duration::from_secs(100);
        assert_eq!(jittered(pause, 0).as_secs(), 90);
        assert_eq!(jittered(pause, u16::MAX).as_secs(), 110);
        let middle = jittered(pause, u16::MAX / 2).as_secs_f64();
        assert!((99.9..100.1).contains(&middle), "{middle}");
    }
}

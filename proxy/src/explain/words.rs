//! How values are shown: short, plain, and never what they should not be.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use serde_json::Value;

/// What a stranger may have chosen: cut, and without what moves a cursor.
pub(super) fn plain(text: &str) -> String {
    let shown: String = text.chars().take(LONGEST).collect();
    let cut = if shown.len() < text.len() { "…" } else { "" };
    harmless(&shown) + cut
}

/// Without what moves a cursor.
pub(super) fn harmless(text: &str) -> String {
    let escaped: String = text.chars().flat_map(char::escape_debug).collect();
    escaped.replace("\\\"", "\"").replace("\\'", "'")
}

/// A claim: a text as it is, anything else as JSON, nothing as `none`.
pub(super) fn claim(value: Option<&Value>) -> String {
    match value {
        None => "none".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(Value::Array(all)) if all.iter().all(Value::is_string) => {
            plain(&listed(all.iter().filter_map(Value::as_str)))
        }
        Some(other) => plain(&other.to_string()),
    }
}

pub(super) fn listed<T: AsRef<str>>(texts: impl Iterator<Item = T>) -> String {
    let texts: Vec<T> = texts.collect();
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

/// The time, as people and logs write it.
pub(super) fn moment(since_epoch: Duration) -> String {
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    DateTime::<Utc>::from_timestamp(seconds, 0)
        .map_or_else(|| format!("{seconds} s"), |time| format!("{time:?}"))
}

/// The two greatest units of a span.
pub(super) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [(seconds / 86400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m")];
    let mut shown: Vec<String> = units
        .into_iter()
        .chain([(seconds % 60, "s")])
        .skip_while(|(count, _)| *count == 0)
        .take(2)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if shown.is_empty() {
        shown.push("0s".to_owned());
    }
    shown.join(" ")
}

/// `then`, as seen from `now`.
pub(super) fn seen_from(now: Duration, then: Duration) -> String {
    match then.checked_sub(now) {
        Some(ahead) => format!("in {}", span(ahead)),
        None => format!("{} ago", span(now.saturating_sub(then))),
    }
}

pub(super) fn since_epoch(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What two names differ in, if that is so little that it is overlooked.
pub(super) fn slip(found: &str, expected: &str) -> Option<&'static str> {
    let without_scheme = |text: &str| text.split_once("://").map(|(_, rest)| rest.to_owned());
    if found == expected {
        return None;
    }
    if found.trim_end_matches('/') == expected.trim_end_matches('/') {
        return Some("a slash at the end");
    }
    if found.eq_ignore_ascii_case(expected) {
        return Some("upper and lower case");
    }
    if found.trim() == expected.trim() {
        return Some("a blank at an end");
    }
    let (one, other) = (without_scheme(found)?, without_scheme(expected)?);
    (one == other).then_some("http and https")
}

/// The words of a text in lines that are no wider than this, unless a word is.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// More says nothing that would help.
const LONGEST: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let shown = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(shown(0), "0s");
        assert_eq!(shown(59), "59s");
        assert_eq!(shown(7380), "2h 3m");
        assert_eq!(shown(86400 * 400), "400d 0h");
        let at = Duration::from_secs;
        assert_eq!(seen_from(at(100), at(40)), "1m 0s ago");
        assert_eq!(seen_from(at(100), at(130)), "in 30s");
        assert_eq!(moment(at(1_800_000_000)), "2027-01-15T08:00:00Z");
    }

    #[test]
    fn what_moves_a_cursor_is_not_shown() {
        assert_eq!(plain("a\u{1b}[2J\n\"b\""), "a\\u{1b}[2J\\n\"b\"");
        assert_eq!(plain(&"x".repeat(200)).chars().count(), LONGEST + 1);
        let list = serde_json::json!(["a", "b"]);
        assert_eq!((claim(Some(&list)), claim(None)), ("a, b".into(), "none".into()));
    }

    #[test]
    fn small_differences_are_named() {
        assert_eq!(slip("https://a/", "https://a"), Some("a slash at the end"));
        assert_eq!(slip("https://A", "https://a"), Some("upper and lower case"));
        assert_eq!(slip("http://a", "https://a"), Some("http and https"));
        assert_eq!(slip("https://a", "https://a"), None);
        assert_eq!(slip("https://a", "https://b"), None);
    }
}

//! How lines are tied together: each holds the digest of the one before it, and its own.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// SHA-256, as it stands in a line: 64 digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Digest(String);

impl Digest {
    fn of(text: &str) -> Self {
        let digits = digest(&SHA256, text.as_bytes());
        let halves = digits.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
        Self(halves.filter_map(|half| char::from_digit(half.into(), 16)).collect())
    }

    /// Before the first line.
    pub(super) fn none() -> Self {
        Self("0".repeat(DIGITS))
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.bytes().filter(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
        (digits == DIGITS && text.len() == DIGITS).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a chain stands: its last line's number and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) digest: Digest,
}

impl Link {
    pub(super) fn none() -> Self {
        Self { number: 0, digest: Digest::none() }
    }

    /// Makes a line of an event's JSON object, which becomes the last one.
    pub(super) fn tie(&mut self, event: &str) -> String {
        let open = event.strip_suffix('}').unwrap_or(event);
        let (number, previous) = (self.number + 1, &self.digest);
        let body = format!("{open},\"number\":{number},\"previous\":\"{previous}\"");
        let digest = Digest::of(&body);
        let line = format!("{body}{BEFORE_DIGEST}{digest}\"}}");
        *self = Self { number, digest };
        line
    }
}

/// A line of a chain, as it was read.
pub(super) struct Tied {
    pub(super) link: Link,
    pub(super) previous: Digest,
    /// Whether it is what it was when it was written.
    pub(super) is_whole: bool,
}

impl Tied {
    /// None if it is none: torn, or not of a chain.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (body, rest) = line.rsplit_once(BEFORE_DIGEST)?;
        let digest = Digest::read(rest.strip_suffix("\"}")?)?;
        let said: Said = serde_json::from_str(line).ok()?;
        let is_whole = Digest::of(body) == digest;
        Some(Self { link: Link { number: said.number, digest }, previous: said.previous, is_whole })
    }
}

#[derive(Deserialize)]
struct Said {
    number: u64,
    previous: Digest,
}

const BEFORE_DIGEST: &str = ",\"digest\":\"";
const DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_and_knows_its_own_digest_and_the_last_one() {
        let mut link = Link::none();
        let first = link.tie(r#"{"code":"forwarded"}"#);
        let after_first = link.clone();
        let second = link.tie(r#"{"code":"denied"}"#);
        let first = Tied::read(&first).unwrap();
        assert!(first.is_whole && first.previous == Digest::none());
        let read = Tied::read(&second).unwrap();
        assert!(read.is_whole && read.previous == after_first.digest && read.link == link);
        assert_eq!(link.number, 2);
        let changed = second.replace("denied", "forwarded");
        assert!(!Tied::read(&changed).unwrap().is_whole);
        assert!(Tied::read(second.strip_suffix('}').unwrap()).is_none(), "torn");
    }
}

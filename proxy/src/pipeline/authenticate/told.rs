//! What an issuer says about a token when it is asked (RFC 7662).

use std::time::Duration;

use moka::sync::Cache;

use super::Rejected;
use crate::pipeline::claims::Claims;
use crate::pipeline::token::Digest;

/// An issuer's answer. Proves nothing yet but that the issuer was asked.
#[derive(Debug)]
pub struct Told(Option<Claims>);

impl Told {
    /// Only JSON that says once and clearly whether the token is active is an answer.
    pub fn read(answer: &[u8]) -> Option<Self> {
        if answer.len() > MOST_BYTES {
            return None;
        }
        let claims = Claims::read(answer)?;
        let is_active = claims.get("active")?.as_bool()?;
        // Section 2.2: about any other token nothing else is told, and nothing else would count.
        Some(Self(is_active.then_some(claims)))
    }

    /// Whether the issuer vouches for the token. For whom it is, and for how long, is not looked at.
    pub fn is_active(&self) -> bool {
        self.0.is_some()
    }

    /// What it says about a token that is active.
    pub(crate) fn said(&self) -> Option<&Claims> {
        self.0.as_ref()
    }

    pub(super) fn claims(&self) -> Result<&Claims, Rejected> {
        self.0.as_ref().ok_or(Rejected::Inactive)
    }
}

/// Tokens that were refused on their issuer's word, for a short while: one bad token that is sent a
/// thousand times is asked about once.
pub(super) struct Refusals(Cache<Digest, Refusal>);

#[derive(Clone, Copy)]
struct Refusal {
    why: Rejected,
    at: Duration,
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST_REFUSALS))
    }

    pub(super) fn remember(&self, digest: Digest, why: Rejected, now: Duration) {
        self.0.insert(digest, Refusal { why, at: now });
    }

    pub(super) fn find(&self, digest: Digest, now: Duration) -> Option<Rejected> {
        let refusal = self.0.get(&digest)?;
        let fresh = (refusal.at..refusal.at + REFUSED_FOR).contains(&now);
        fresh.then_some(refusal.why)
    }
}

/// No honest answer is longer, and what it says goes into headers.
const MOST_BYTES: usize = 64 << 10;
const REFUSED_FOR: Duration = Duration::from_secs(10);
const MOST_REFUSALS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_or_no_is_an_answer() {
        let active = |json: &str| Told::read(json.as_bytes()).map(|told| told.is_active());
        assert_eq!(active(r#"{"active":true,"sub":"ada"}"#), Some(true));
        assert_eq!(active(r#"{"active":false,"sub":"ada"}"#), Some(false));
        for json in [
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            r#"{"active":null}"#,
            r#"{"active":false,"active":true}"#,
            r#"{"active":true,"sub":"a","sub":"b"}"#,
            r#"{"sub":"ada"}"#,
            "[true]",
            "<html>",
            "",
        ] {
            assert_eq!(active(json), None, "{json}");
        }
        let long = |bytes: usize| format!(r#"{{"active":true,"x":"{}"}}"#, "x".repeat(bytes));
        assert_eq!(active(&long(60 << 10)), Some(true));
        assert_eq!(active(&long(64 << 10)), None);
    }

    #[test]
    fn a_refusal_is_forgotten() {
        let refusals = Refusals::new();
        let digest = Digest::of(b"t");
        let at = Duration::from_secs(1000);
        refusals.remember(digest, Rejected::Inactive, at);
        assert_eq!(refusals.find(digest, at), Some(Rejected::Inactive));
        assert_eq!(refusals.find(digest, at + REFUSED_FOR), None);
        assert_eq!(refusals.find(digest, at.saturating_sub(REFUSED_FOR)), None);
    }
}

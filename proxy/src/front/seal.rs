//! What others hold for us: sealed, good for one purpose and for a while. So no replica must remember it,
//! nor tell another of it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Secret;
use crate::pipeline::session::derive;

/// Seals and opens.
pub(super) struct Seal {
    /// The first seals, all open.
    keys: Box<[LessSafeKey]>,
}

/// What a sealed text is good for: opened for another purpose, or for somebody else, it is nothing.
#[derive(Clone, Copy)]
pub(super) struct For<'a> {
    pub(super) purpose: &'static str,
    /// Whom it is bound to, as far as that is known when it is opened.
    pub(super) whom: &'a [&'a str],
}

impl Seal {
    /// Without shared keys, under one of this process's own.
    pub(super) fn new(shared: &[Secret], own: &[u8]) -> Self {
        let shared = shared.iter().map(|key| key.expose().as_bytes());
        let own = Some(own).filter(|_| shared.len() == 0);
        let keys = shared.chain(own).filter_map(|secret| derive(secret, PURPOSE).ok());
        Self { keys: keys.collect() }
    }

    /// Letters, digits, `-` and `_`. None only if there are no random numbers, or no key.
    pub(super) fn seal<T: Serialize>(
        &self,
        to: For<'_>,
        value: &T,
        until: SystemTime,
    ) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = serde_json::to_vec(&(since_epoch(until).as_secs(), value)).ok()?;
        let key = self.keys.first()?;
        let bound = Aad::from(to.bound());
        let nonced = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonced, bound, &mut sealed).ok()?;
        let text = URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat());
        (text.len() <= LONGEST).then_some(text)
    }

    /// What was sealed for this, if its time is not over.
    pub(super) fn open<T: DeserializeOwned>(
        &self,
        to: For<'_>,
        text: &str,
        now: SystemTime,
    ) -> Result<T, Unopened> {
        let text = Some(text).filter(|text| text.len() <= LONGEST).ok_or(Unopened::Foreign)?;
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| Unopened::Foreign)?;
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(Unopened::Foreign)?;
        let bound = to.bound();
        let opened = self.keys.iter().find_map(|key| {
            let mut opened = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let (until, value): (u64, T) = serde_json::from_slice(
                key.open_in_place(nonce, Aad::from(&bound), &mut opened).ok()?,
            )
            .ok()?;
            Some((until, value))
        });
        let (until, value) = opened.ok_or(Unopened::Foreign)?;
        if since_epoch(now) >= Duration::from_secs(until) {
            return Err(Unopened::Expired);
        }
        Ok(value)
    }
}

/// Why a text is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unopened {
    /// We have not sealed it, or not for this.
    Foreign,
    /// It was good once.
    Expired,
}

impl For<'_> {
    /// Each name with its length, so that no two purposes share one text.
    fn bound(self) -> Vec<u8> {
        let names = [self.purpose].into_iter().chain(self.whom.iter().copied());
        let mut text = Vec::with_capacity(128);
        for name in names {
            text.extend_from_slice(&(name.len() as u64).to_be_bytes());
            text.extend_from_slice(name.as_bytes());
        }
        text
    }
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({} keys)", self.keys.len())
    }
}

/// The secret may have been made for something else as well.
const PURPOSE: &[u8] = b"postern front";
/// Longer than anything that is sealed here; it travels in addresses and cookies.
const LONGEST: usize = 6 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;
    const TO: For<'_> = For { purpose: "state", whom: &["browser", "https://mcp.example"] };

    fn in_seconds(seconds: u64) -> SystemTime {
        NOW + Duration::from_secs(seconds)
    }

    fn open(seal: &Seal, to: For<'_>, text: &str, seconds: u64) -> Result<String, Unopened> {
        seal.open(to, text, in_seconds(seconds))
    }

    #[test]
    fn what_is_sealed_is_opened_for_the_same_purpose_and_in_time() {
        let seal = Seal::new(&[], &[7; 32]);
        let text = seal.seal(TO, &"secret", in_seconds(600)).unwrap();
        assert_eq!(open(&seal, TO, &text, 0).unwrap(), "secret");
        assert_eq!(open(&seal, TO, &text, 599).unwrap(), "secret");
        assert_eq!(open(&seal, TO, &text, 600), Err(Unopened::Expired));
        for other in [
            For { purpose: "code", ..TO },
            For { whom: &["browser"], ..TO },
            For { whom: &["https://mcp.example", "browser"], ..TO },
            For { whom: &["browserhttps://mcp.example"], ..TO },
            For { whom: &["browser", "https://mcp.example", ""], ..TO },
        ] {
            assert_eq!(open(&seal, other, &text, 0), Err(Unopened::Foreign));
        }
        assert_eq!(open(&Seal::new(&[], &[8; 32]), TO, &text, 0), Err(Unopened::Foreign));
    }

    #[test]
    fn the_same_is_never_sealed_alike_and_nothing_else_opens() {
        let seal = Seal::new(&[], &[7; 32]);
        let text = seal.seal(TO, &"secret", in_seconds(600)).unwrap();
        assert_ne!(seal.seal(TO, &"secret", in_seconds(600)).unwrap(), text);
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open(&seal, TO, &changed, 0), Err(Unopened::Foreign), "{changed}");
            let cut: String = text.chars().take(index).collect();
            assert_eq!(open(&seal, TO, &cut, 0), Err(Unopened::Foreign));
        }
        assert_eq!(open(&seal, TO, &format!("{text}A"), 0), Err(Unopened::Foreign));
        assert_eq!(open(&seal, TO, &"A".repeat(LONGEST + 1), 0), Err(Unopened::Foreign));
    }

    #[test]
    fn what_is_too_long_to_be_carried_is_not_sealed() {
        let seal = Seal::new(&[], &[7; 32]);
        assert_eq!(seal.seal(TO, &"x".repeat(LONGEST), in_seconds(1)), None);
    }
}

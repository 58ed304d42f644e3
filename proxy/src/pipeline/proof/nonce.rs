//! Nonces that nobody needs to remember: a keyed digest of the time (RFC 9449 section 9).

use std::time::Duration;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Gives nonces out and knows them again, for one to two slots of time.
pub(super) struct Nonces(hmac::Key);

/// How a nonce stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Good, and good for a while.
    Current,
    /// Good, and not for long.
    Ending,
    /// Never ours, or no longer.
    Unknown,
}

impl Nonces {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The nonce to give out now.
    pub(super) fn current(&self, now: Duration) -> String {
        self.of(slot(now))
    }

    pub(super) fn judge(&self, nonce: &str, now: Duration) -> Standing {
        let slot = slot(now);
        let is_of = |slot| {
            constant_time::verify_slices_are_equal(self.of(slot).as_bytes(), nonce.as_bytes())
                .is_ok()
        };
        if is_of(slot) {
            return Standing::Current;
        }
        match slot.checked_sub(1) {
            Some(before) if is_of(before) => Standing::Ending,
            Some(_) | None => Standing::Unknown,
        }
    }

    fn of(&self, slot: u64) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(PURPOSE);
        context.update(&slot.to_be_bytes());
        let tag = context.sign();
        URL_SAFE_NO_PAD.encode(tag.as_ref().get(..BYTES).unwrap_or_default())
    }
}

fn slot(now: Duration) -> u64 {
    now.as_secs() / SLOT
}

/// The key may have been made for something else as well.
const PURPOSE: &[u8] = b"postern dpop nonce";

/// Too many to guess within a slot.
const BYTES: usize = 16;

/// Seconds. A client that calls at least this often never meets a nonce that has ended.
const SLOT: u64 = 120;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_nonce_is_good_for_its_slot_and_the_next() {
        let nonces = Nonces::new(b"key");
        let nonce = nonces.current(at(1200));
        assert_eq!(nonces.judge(&nonce, at(1200)), Standing::Current);
        assert_eq!(nonces.judge(&nonce, at(1319)), Standing::Current);
        assert_eq!(nonces.judge(&nonce, at(1320)), Standing::Ending);
        assert_eq!(nonces.judge(&nonce, at(1439)), Standing::Ending);
        assert_eq!(nonces.judge(&nonce, at(1440)), Standing::Unknown);
        assert_eq!(nonces.judge(&nonce, at(1199)), Standing::Unknown, "from the future");
    }

    #[test]
    fn a_nonce_of_another_key_or_none_at_all_is_unknown() {
        let nonces = Nonces::new(b"key");
        for nonce in ["", "a", &Nonces::new(b"other").current(at(0))] {
            assert_eq!(nonces.judge(nonce, at(0)), Standing::Unknown, "{nonce}");
        }
        assert_eq!(Nonces::new(b"key").current(at(0)), nonces.current(at(119)), "replicas agree");
    }
}

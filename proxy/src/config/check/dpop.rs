//! How strictly proofs of possession are asked for.

use super::value;
use crate::config::file::Section;
use crate::config::invalid::Wrong;
use crate::config::{Dpop, Nonces, Secret};

/// The section `dpop`.
pub(super) fn rules(root: &mut Section<'_>) -> Dpop {
    let Some(mut section) = root.section("dpop") else {
        return Dpop { offered: false, required: false, nonces: Nonces::Off };
    };
    let required = section.optional("required", value::yes_or_no).unwrap_or(false);
    let wanted = section.optional("nonce", value::yes_or_no);
    let key = section.optional("nonce_key", value::text);
    // What it is stays unsaid: it may be a secret that was only cut short.
    if key.as_ref().is_some_and(|key| key.len() < SHORTEST_KEY) {
        let reason = "it is so short that it could be guessed";
        let fix = "write 32 characters or more, for example from: openssl rand -base64 32";
        section.wrong("nonce_key", None, Wrong::new(reason, fix));
    }
    if key.is_some() && wanted != Some(true) {
        let reason = "no nonces are given out that it could be for";
        let fix = "write dpop.nonce: true, or remove the key";
        section.wrong("nonce_key", None, Wrong::new(reason, fix));
    }
    let nonces = match (wanted, key) {
        (Some(true), Some(key)) => Nonces::SharedKey(Secret::new(key)),
        (Some(true), None) => Nonces::OwnKey,
        (Some(false) | None, _) => Nonces::Off,
    };
    Dpop { offered: true, required, nonces }
}

/// As long as the digest that it keys (RFC 2104 section 3).
pub(super) const SHORTEST_KEY: usize = 32;

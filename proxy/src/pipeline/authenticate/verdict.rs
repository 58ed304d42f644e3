//! What was found about one token, kept for as long as it holds.

use std::time::Duration;

use crate::keys::KeySet;
use crate::pipeline::headers::Stamped;
use crate::pipeline::token::Principal;

/// Everything about a token but the token itself.
pub(super) struct Verdict {
    pub(super) principal: Principal,
    pub(super) headers: Stamped,
    /// Which issuer, in the order of the rules.
    pub(super) issuer: usize,
    /// Its keys when the signature was checked.
    pub(super) generation: u64,
    /// When the token is past, its issuer's leeway included; since 1970.
    pub(super) ends: Duration,
}

impl Verdict {
    /// Whether what was found then would be found again now.
    pub(super) fn stands(&self, keys: &KeySet, now: Duration) -> bool {
        keys.generation() == self.generation && now < self.ends
    }

    /// About what it takes in memory, the cache's own bookkeeping included.
    pub(super) fn weight(&self) -> u32 {
        let texts = self.principal.text_bytes() + self.headers.text_bytes();
        u32::try_from(ENTRY_BYTES + texts).unwrap_or(u32::MAX)
    }
}

const ENTRY_BYTES: usize = 400;

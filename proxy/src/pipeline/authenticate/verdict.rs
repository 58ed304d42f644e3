//! What was found about one token, kept for as long as it holds.

use std::sync::Arc;
use std::time::Duration;

use super::Rejected;
use crate::keys::{Key, KeySet};
use crate::pipeline::headers::Stamped;
use crate::pipeline::proof::Confirmation;
use crate::pipeline::revocation::Revocations;
use crate::pipeline::token::Principal;

/// Everything about a token but the token itself.
pub(super) struct Verdict {
    pub(super) principal: Principal,
    pub(super) headers: Stamped,
    /// What whoever sends it must prove, each time anew.
    pub(super) confirmation: Confirmation,
    /// Which issuer, in the order of the rules.
    pub(super) issuer: usize,
    /// The key that signed it.
    pub(super) key: Arc<Key>,
    /// The issuer's keys when the signature was checked.
    pub(super) generation: u64,
    /// When the token is past, its issuer's leeway included; since 1970.
    pub(super) ends: Duration,
    /// By what the operator may revoke it: `jti` and `iat`.
    pub(super) id: Option<Box<str>>,
    pub(super) issued: Option<Duration>,
}

impl Verdict {
    /// Whether the same would be found again now: always by the same keys.
    pub(super) fn stands(&self, keys: &KeySet, now: Duration) -> bool {
        keys.generation() == self.generation && now < self.ends
    }

    /// Whether what was begun on its strength may go on. Other keys of the issuer may have changed.
    pub(super) fn lasts(&self, keys: Option<&KeySet>, now: Duration) -> Result<(), Rejected> {
        if now >= self.ends {
            return Err(Rejected::Expired);
        }
        if keys.is_none_or(|keys| !keys.holds(&self.key)) {
            return Err(Rejected::KeyWithdrawn);
        }
        Ok(())
    }

    pub(super) fn check_revoked(&self, revocations: &Revocations) -> Result<(), Rejected> {
        let named = revocations.name(&self.principal, self.id.as_deref(), self.issued);
        if named { Err(Rejected::Revoked) } else { Ok(()) }
    }

    /// About what it takes in memory, the cache's own bookkeeping included.
    pub(super) fn weight(&self) -> u32 {
        let id = self.id.as_ref().map_or(0, |id| id.len());
        let texts = self.principal.text_bytes() + self.headers.text_bytes() + id;
        u32::try_from(ENTRY_BYTES + texts).unwrap_or(u32::MAX)
    }
}

const ENTRY_BYTES: usize = 470;

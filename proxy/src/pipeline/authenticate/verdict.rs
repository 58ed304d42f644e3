//! What was found about one token, kept for as long as it holds.

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::Rejected;
use crate::keys::{Key, KeySet};
use crate::pipeline::headers::Stamped;
use crate::pipeline::material::Material;
use crate::pipeline::proof::Confirmation;
use crate::pipeline::revocation::Revocations;
use crate::pipeline::token::Principal;

/// Everything about a token but the token itself. Kept by the thousand: what few tokens have is boxed.
pub(super) struct Verdict {
    pub(super) principal: Principal,
    pub(super) headers: Stamped,
    /// What whoever sends it must prove, each time anew.
    pub(super) confirmation: Confirmation,
    /// Which issuer, in the order of the rules.
    pub(super) issuer: usize,
    pub(super) origin: Origin,
    /// When the token is past, its issuer's leeway included; since 1970. Only an issuer that is asked
    /// may leave it open.
    pub(super) ends: Option<Moment>,
    /// By what the operator may revoke it: `jti`, and the second of its `iat`. One that does not say
    /// when it was issued may be from any time: from 1970, so that it comes before every other.
    pub(super) id: Option<Box<str>>,
    pub(super) issued: u64,
    /// What conditions ask for, if there are any that ask for claims.
    pub(super) claims: Option<Box<Material>>,
}

/// A time since 1970, to the microsecond, in a single number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(NonZeroU64);

impl Moment {
    /// The last one there is stands for all that are later.
    pub(super) fn at(since_epoch: Duration) -> Self {
        let micros = u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX);
        Self(NonZeroU64::new(micros).unwrap_or(NonZeroU64::MIN))
    }

    pub(super) fn since_epoch(self) -> Duration {
        Duration::from_micros(self.0.get())
    }
}

/// What a verdict rests on.
pub(super) enum Origin {
    /// A signature by this key, checked under this generation of the issuer's keys.
    Signed { key: Arc<Key>, generation: u64 },
    /// The issuer's word, for this time; since 1970.
    Told(Box<Range<Duration>>),
}

impl Verdict {
    /// Whether what was found then would be found again now, always by the same keys. `keys` are the
    /// issuer's, if it has any.
    pub(super) fn stands(&self, keys: impl FnOnce() -> Option<Arc<KeySet>>, now: Duration) -> bool {
        let holds = match &self.origin {
            Origin::Signed { generation, .. } => {
                keys().is_some_and(|keys| keys.generation() == *generation)
            }
            // A clock that is set back does not make an answer younger.
            Origin::Told(while_believed) => while_believed.contains(&now),
        };
        holds && self.ends.is_none_or(|ends| now < ends.since_epoch())
    }

    /// Whether what was begun on its strength may go on. Other keys of the issuer may have changed.
    pub(super) fn lasts(
        &self,
        keys: impl FnOnce() -> Option<Arc<KeySet>>,
        now: Duration,
    ) -> Result<(), Rejected> {
        if self.ends.is_some_and(|ends| now >= ends.since_epoch()) {
            return Err(Rejected::Expired);
        }
        match &self.origin {
            Origin::Signed { key, .. } if keys().is_none_or(|keys| !keys.holds(key)) => {
                Err(Rejected::KeyWithdrawn)
            }
            // The token is not kept, so its issuer cannot be asked again.
            Origin::Signed { .. } | Origin::Told(_) => Ok(()),
        }
    }

    /// What its signature was made with; nothing, if its issuer was asked.
    pub(super) fn algorithm(&self) -> &'static str {
        match &self.origin {
            Origin::Signed { key, .. } => key.algorithm(),
            Origin::Told(_) => "none",
        }
    }

    pub(super) fn check_revoked(&self, revocations: &Revocations) -> Result<(), Rejected> {
        let issued = Duration::from_secs(self.issued);
        let named = revocations.name(&self.principal, self.id.as_deref(), issued);
        if named { Err(Rejected::Revoked) } else { Ok(()) }
    }

    /// About what it takes in memory, the cache's own bookkeeping included.
    pub(super) fn weight(&self) -> u32 {
        let id = self.id.as_ref().map_or(0, |id| id.len());
        let claims = self.claims.as_ref().map_or(0, |claims| claims.extent().bytes);
        let texts = self.principal.text_bytes() + self.headers.text_bytes() + id + claims;
        u32::try_from(ENTRY_BYTES + texts).unwrap_or(u32::MAX)
    }
}

const ENTRY_BYTES: usize = 478;

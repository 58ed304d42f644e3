//! What the operator has revoked, as of now.

use std::fmt;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::token::Principal;
use crate::config::DenyList;

/// The list in force. Only its watcher writes; requests only read.
#[derive(Default)]
pub struct Revocations(ArcSwap<DenyList>);

impl Revocations {
    /// Takes over a new list.
    pub fn replace(&self, list: DenyList) {
        self.0.store(list.into());
    }

    pub(super) fn name(
        &self,
        principal: &Principal,
        token: Option<&str>,
        issued: Duration,
    ) -> bool {
        let list = self.0.load();
        token.is_some_and(|id| list.names_token(id))
            || list.names_subject(&principal.issuer, &principal.subject, issued)
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} revocations", self.0.load().size())
    }
}

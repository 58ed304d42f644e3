//! May this principal do this?

use std::time::SystemTime;

use http::HeaderValue;

use super::authenticate::Standing;
use super::headers::Stamped;
use super::limit::Place;
use super::proof::{Proofs, Proven, Unproven};
use super::token::Principal;
use crate::config::Scope;

/// The scopes that every caller needs.
#[derive(Debug)]
pub struct Policy {
    site: usize,
    required: Vec<Scope>,
}

impl Policy {
    /// For the site of this number.
    pub(super) fn new(site: usize, required: &[Scope]) -> Self {
        Self { site, required: required.to_vec() }
    }

    /// Turns proof of identity into permission to pass.
    pub(super) fn authorize(&self, token: Proven) -> Result<Allowed, Forbidden> {
        let principal = token.token().principal();
        if self.required.iter().all(|scope| principal.has_scope(scope.as_str())) {
            let permit = Permit { token, site: self.site, session: None, _place: None };
            return Ok(Allowed(permit));
        }
        Err(Forbidden(token))
    }
}

/// May pass, if the proof that it came with was not used before.
#[must_use]
pub(super) struct Allowed(Permit);

impl Allowed {
    /// Uses the proof up. Last, so that nobody fills the store with tokens that may not pass.
    pub(super) fn spend(self, proofs: &Proofs, now: SystemTime) -> Result<Permit, Unproven> {
        proofs.spend(&self.0.token, now)?;
        Ok(self.0)
    }
}

/// Leave to reach the upstream, and whose it is. Only [`Policy`] makes one.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    token: Proven,
    site: usize,
    session: Option<HeaderValue>,
    /// Counted for as long as the permit is held.
    _place: Option<Place>,
}

impl Permit {
    /// Who may pass.
    pub fn principal(&self) -> &Principal {
        self.token.token().principal()
    }

    /// The same, counted among those that are open.
    pub(super) fn placed(self, place: Option<Place>) -> Self {
        Self { _place: place, ..self }
    }

    /// No leave after all.
    pub(super) fn forfeit(self) -> Forbidden {
        Forbidden(self.token)
    }

    /// Which site it is for.
    pub(super) fn site(&self) -> usize {
        self.site
    }

    /// By what a stream that it began may go on.
    pub(crate) fn standing(&self) -> Standing {
        self.token.token().standing(self.site)
    }

    /// What the upstream is told of them.
    pub(super) fn headers(&self) -> &Stamped {
        self.token.token().headers()
    }

    /// The same, for a session of the caller's, by the name that the upstream has for it.
    pub(super) fn within(self, session: HeaderValue) -> Self {
        Self { session: Some(session), ..self }
    }

    /// The session that the request goes on with, by the upstream's name.
    pub(super) fn session(&self) -> Option<&HeaderValue> {
        self.session.as_ref()
    }

    /// Whether the token is worth nothing to the upstream.
    pub(super) fn is_bound(&self) -> bool {
        self.token.token().confirmation().is_bound()
    }

    /// The nonce that the client is to use from now on, if that is news to it.
    pub(crate) fn nonce(&self) -> Option<&HeaderValue> {
        self.token.nonce()
    }

    /// Whether the token had been verified before.
    pub(crate) fn remembered(&self) -> bool {
        self.token.token().remembered()
    }
}

/// The token is good, but not for this, or not now.
#[derive(Debug)]
pub struct Forbidden(Proven);

impl Forbidden {
    /// Who may not pass.
    pub fn principal(&self) -> &Principal {
        self.0.token().principal()
    }
}

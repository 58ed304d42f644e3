//! What of a token's claims outlasts its verification.

use crate::config::{Claimed, Site};
use crate::pipeline::claims::Claims;
use crate::pipeline::headers::ClaimHeaders;
use crate::pipeline::material::Material;

/// Headers for the backend, and what conditions ask for: nothing else is kept.
pub(super) struct Keep {
    pub(super) headers: ClaimHeaders,
    asked_for: Claimed,
}

impl Keep {
    pub(super) fn new(site: &Site) -> Self {
        Self { headers: ClaimHeaders::new(&site.forward), asked_for: site.policy.claims() }
    }

    pub(super) fn of_claims(&self, claims: &Claims) -> Option<Box<Material>> {
        let nothing = matches!(&self.asked_for, Claimed::Only(names) if names.is_empty());
        (!nothing).then(|| Box::new(Material::of_claims(claims, &self.asked_for)))
    }
}

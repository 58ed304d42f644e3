//! One issuer's rules, and what they make of a token.

use std::sync::Arc;
use std::time::Duration;

use super::kind;
use super::verdict::{Moment, Origin, Verdict};
use super::{Keep, Rejected, UnknownKey};
use crate::config::{Resource, Source, TrustedIssuer};
use crate::keys::{Key, KeySet, Keyring};
use crate::pipeline::claims::{self, Claims, WrongType};
use crate::pipeline::jose::Header;
use crate::pipeline::proof::{Confirmation, Unprovable};
use crate::pipeline::token::{Compact, Digest, Principal};

/// What one issuer's tokens must look like, and its keys.
pub(super) struct Judge {
    index: usize,
    rules: TrustedIssuer,
    issuer: Arc<str>,
    keyring: Arc<Keyring>,
    /// Whether there is a list that could name a token by its id; else no id is kept.
    is_listed: bool,
}

impl Judge {
    pub(super) fn new(
        index: usize,
        rules: &TrustedIssuer,
        keyring: &Arc<Keyring>,
        resource: &Resource,
        is_listed: bool,
    ) -> Self {
        let mut rules = rules.clone();
        if rules.audiences.is_empty() {
            rules.audiences.push(resource.as_str().to_owned());
        }
        Self {
            index,
            issuer: rules.issuer.as_str().into(),
            keyring: Arc::clone(keyring),
            is_listed,
            rules,
        }
    }

    /// The issuer, as its tokens must spell it.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether its tokens are judged by asking it.
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.rules.source, Source::Introspection(_))
    }

    pub(super) fn keys(&self) -> Option<Arc<KeySet>> {
        self.keyring.current()
    }

    /// Judges a token whose `iss` is this issuer.
    pub(super) fn judge(
        &self,
        header: &Header,
        claims: &Claims,
        parts: &Compact<'_>,
        keep: &Keep,
        now: Duration,
    ) -> Result<Verdict, Rejected> {
        let keys = self.keys().ok_or(Rejected::NoKeys)?;
        // To refuse, unproven claims are good enough; and what is refused costs the issuer nothing.
        kind::check(self.rules.typ, header.typ, claims, &self.rules.claims)?;
        self.check_audience(claims)?;
        let expires = self.check_times(claims, now)?.ok_or(Rejected::Claim("exp"))?;
        let key = self.check_signature(&keys, header, parts)?;
        let origin = Origin::Signed { key, generation: keys.generation() };
        self.conclude(claims, keep, origin, Some(expires))
    }

    /// Judges what the issuer says about a token that it calls active.
    pub(super) fn learn(
        &self,
        told: &Claims,
        keep: &Keep,
        now: Duration,
    ) -> Result<Verdict, Rejected> {
        let Source::Introspection(introspection) = &self.rules.source else {
            return Err(Rejected::Unasked);
        };
        match told.optional_text("iss") {
            Ok(issuer) if issuer.is_none_or(|issuer| issuer == self.issuer()) => (),
            Ok(_) | Err(WrongType) => return Err(Rejected::Issuer),
        }
        kind::check_told(told)?;
        self.check_audience(told)?;
        let expires = self.check_times(told, now)?;
        // RFC 7662 section 4: no answer is believed past the token's end, whatever the clocks.
        let until = now.saturating_add(introspection.cache);
        let until = expires.map_or(until, |expires| until.min(expires));
        self.conclude(told, keep, Origin::Told(Box::new(now..until)), expires)
    }

    fn conclude(
        &self,
        claims: &Claims,
        keep: &Keep,
        origin: Origin,
        expires: Option<Duration>,
    ) -> Result<Verdict, Rejected> {
        let confirmation = Confirmation::read(claims).map_err(|Unprovable| Rejected::Bound)?;
        let names = &self.rules.claims;
        let principal = Principal::read(&self.issuer, claims, names).map_err(Rejected::Claim)?;
        Ok(Verdict {
            headers: keep.headers.stamp(&principal, claims),
            claims: keep.of_claims(claims),
            principal,
            confirmation,
            issuer: self.index,
            origin,
            ends: expires.map(|expires| Moment::at(expires.saturating_add(self.rules.leeway))),
            // One that no list can name could not be revoked.
            id: claims
                .optional_text("jti")
                .map_err(|WrongType| Rejected::Claim("jti"))?
                .filter(|_| self.is_listed)
                .map(Box::from),
            issued: claims.time("iat").ok().flatten().unwrap_or_default().as_secs(),
        })
    }

    fn check_signature(
        &self,
        keys: &KeySet,
        header: &Header,
        parts: &Compact<'_>,
    ) -> Result<Arc<Key>, Rejected> {
        if !self.rules.algorithms.contains(&header.algorithm) {
            return Err(Rejected::AlgorithmNotListed);
        }
        let id = header.key_id.as_deref();
        let mut candidates = keys.candidates(id, header.algorithm);
        let signs = |key: &&Arc<Key>| key.verifies(parts.signed.as_bytes(), parts.signature);
        if let Some(key) = candidates.find(signs) {
            return Ok(Arc::clone(key));
        }
        match id {
            Some(id) if keys.knows(id) => Err(Rejected::Signature),
            // Without an id, a key that we have not seen may be the one.
            Some(_) | None => {
                let mark = Digest::of(id.unwrap_or(parts.signed).as_bytes());
                Err(Rejected::UnknownKey(UnknownKey { issuer: self.index, mark }))
            }
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), Rejected> {
        let named = match claims.get("aud") {
            None if self.rules.azp_as_audience => claims.get("azp"),
            named => named,
        };
        let audiences = claims::texts(named).map_err(|WrongType| Rejected::Claim("aud"))?;
        let ours = |audience: &&str| self.rules.audiences.iter().any(|our| our == audience);
        if audiences.iter().any(ours) { Ok(()) } else { Err(Rejected::Audience) }
    }

    /// When the token expires, if it says so.
    fn check_times(&self, claims: &Claims, now: Duration) -> Result<Option<Duration>, Rejected> {
        let time = |name| claims.time(name).map_err(|WrongType| Rejected::Claim(name));
        let (expires, issued) = (time("exp")?, time("iat")?);
        if expires.is_some_and(|expires| now >= expires.saturating_add(self.rules.leeway)) {
            return Err(Rejected::Expired);
        }
        let latest = now.saturating_add(self.rules.leeway);
        if [time("nbf")?, issued].into_iter().flatten().any(|begins| begins > latest) {
            return Err(Rejected::NotYetValid);
        }
        if let Some(longest) = self.rules.max_lifetime {
            let expires = expires.ok_or(Rejected::Claim("exp"))?;
            let issued = issued.ok_or(Rejected::Claim("iat"))?;
            if expires > issued.saturating_add(longest) {
                return Err(Rejected::TooLong);
            }
        }
        Ok(expires)
    }
}

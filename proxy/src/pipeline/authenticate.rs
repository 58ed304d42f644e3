//! Bearer token in, verified token out.

mod judge;
mod kind;
mod rejected;
mod verdict;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moka::sync::Cache;

use super::claims::Claims;
use super::headers::{ClaimHeaders, Stamped};
use super::jose::Header;
use super::token::{BearerToken, Digest, Principal};
use crate::config::Rules;
use crate::keys::Keyring;
use judge::Judge;
pub use rejected::Rejected;
use verdict::Verdict;

/// Judges tokens of the issuers that we trust.
pub struct Verifier {
    judges: Vec<Judge>,
    headers: ClaimHeaders,
    /// Lives and dies with its rules: another policy never sees this one's verdicts.
    verdicts: Cache<Digest, Arc<Verdict>>,
}

impl Verifier {
    /// `keyrings` are the issuers' own, in the order of the rules.
    pub(super) fn new(rules: &Rules, keyrings: &[Arc<Keyring>]) -> Self {
        let pairs = rules.issuers.iter().zip(keyrings).enumerate();
        Self {
            judges: pairs
                .map(|(index, (rules, keyring))| Judge::new(index, rules, keyring))
                .collect(),
            headers: ClaimHeaders::new(&rules.forward),
            verdicts: Cache::builder()
                .weigher(|_, verdict: &Arc<Verdict>| verdict.weight())
                .max_capacity(CACHE_BYTES)
                .build(),
        }
    }

    /// Believes `token` only if signature, issuer, audience, type and lifetime all hold at `now`.
    pub fn verify(
        &self,
        token: BearerToken<'_>,
        now: SystemTime,
    ) -> Result<VerifiedToken, Rejected> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let digest = token.digest();
        if let Some(verdict) = self.verdicts.get(&digest)
            && self.stands(&verdict, now)
        {
            return Ok(VerifiedToken { verdict, remembered: true });
        }
        let verdict = Arc::new(self.judge(token, now)?);
        self.verdicts.insert(digest, Arc::clone(&verdict));
        Ok(VerifiedToken { verdict, remembered: false })
    }

    fn stands(&self, verdict: &Verdict, now: Duration) -> bool {
        let keys = self.judges.get(verdict.issuer).and_then(Judge::keys);
        keys.is_some_and(|keys| verdict.stands(&keys, now))
    }

    fn judge(&self, token: BearerToken<'_>, now: Duration) -> Result<Verdict, Rejected> {
        let parts = token.compact().ok_or(Rejected::NotAJwt)?;
        let header = Header::decode(parts.header)?;
        let claims = Claims::decode(parts.payload).ok_or(Rejected::NotAJwt)?;
        // Nothing is believed yet: `iss` only says whose keys and rules to judge by.
        let issuer = claims.text("iss").ok_or(Rejected::Claim("iss"))?;
        let judge = self.judges.iter().find(|judge| judge.issuer() == issuer);
        judge.ok_or(Rejected::Issuer)?.judge(&header, &claims, &parts, &self.headers, now)
    }
}

/// A principal whose token verified. Only [`Verifier::verify`] makes one.
#[must_use]
pub struct VerifiedToken {
    verdict: Arc<Verdict>,
    remembered: bool,
}

impl VerifiedToken {
    /// Whose token it is.
    pub fn principal(&self) -> &Principal {
        &self.verdict.principal
    }

    pub(super) fn headers(&self) -> &Stamped {
        &self.verdict.headers
    }

    /// Whether it had been verified before.
    pub(super) fn remembered(&self) -> bool {
        self.remembered
    }
}

/// A key that the issuer may have published since we looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// Which issuer, in the order of the rules.
    pub issuer: usize,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.judges.iter().map(Judge::issuer)).finish()
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifiedToken").field(self.principal()).finish()
    }
}

const CACHE_BYTES: u64 = 16 << 20;

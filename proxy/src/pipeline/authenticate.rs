//! Bearer token in, verified token out.

mod judge;
mod kind;
mod rejected;
mod verdict;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moka::notification::RemovalCause;
use moka::sync::Cache;

use super::claims::Claims;
use super::headers::{ClaimHeaders, Stamped};
use super::jose::Header;
use super::proof::Confirmation;
use super::revocation::Revocations;
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
    revocations: Arc<Revocations>,
    /// Lives and dies with its rules: another policy never sees this one's verdicts.
    verdicts: Cache<Digest, Arc<Verdict>>,
    /// Verdicts that had to go for others, though they still held.
    evicted: Arc<AtomicU64>,
}

impl Verifier {
    /// `keyrings` are the issuers' own, in the order of the rules.
    pub(super) fn new(
        rules: &Rules,
        keyrings: &[Arc<Keyring>],
        revocations: &Arc<Revocations>,
    ) -> Self {
        let evicted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&evicted);
        let pairs = rules.issuers.iter().zip(keyrings).enumerate();
        Self {
            judges: pairs
                .map(|(index, (rules, keyring))| Judge::new(index, rules, keyring))
                .collect(),
            headers: ClaimHeaders::new(&rules.forward),
            revocations: Arc::clone(revocations),
            verdicts: Cache::builder()
                .weigher(|_, verdict: &Arc<Verdict>| verdict.weight())
                .max_capacity(CACHE_BYTES)
                .eviction_listener(move |_, _, cause| {
                    count.fetch_add((cause == RemovalCause::Size).into(), Ordering::Relaxed);
                })
                .build(),
            evicted,
        }
    }

    /// Believes `token` only if signature, issuer, audience, type and lifetime all hold at `now`.
    pub fn verify(
        &self,
        token: BearerToken<'_>,
        now: SystemTime,
    ) -> Result<VerifiedToken, Rejected> {
        let now = since_epoch(now);
        let digest = token.digest();
        let (verdict, remembered) = match self.verdicts.get(&digest) {
            Some(verdict) if self.stands(&verdict, now) => (verdict, true),
            Some(_) | None => {
                let verdict = Arc::new(self.judge(token, now)?);
                self.verdicts.insert(digest, Arc::clone(&verdict));
                (verdict, false)
            }
        };
        verdict.check_revoked(&self.revocations)?;
        Ok(VerifiedToken { verdict, remembered })
    }

    /// Whether what was begun with a token may go on at `now`.
    pub(super) fn recheck(&self, standing: &Standing, now: SystemTime) -> Result<(), Rejected> {
        let verdict = &standing.0;
        let keys = self.judges.get(verdict.issuer).and_then(Judge::keys);
        verdict.lasts(keys.as_deref(), since_epoch(now))?;
        verdict.check_revoked(&self.revocations)
    }

    /// How many verdicts are remembered, and how many had to go.
    pub(super) fn memory(&self) -> Memory {
        // The cache counts when it tidies up, which it does now and then.
        self.verdicts.run_pending_tasks();
        let evicted = self.evicted.load(Ordering::Relaxed);
        Memory { verdicts: self.verdicts.entry_count(), evicted }
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

/// What the cache of verdicts holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) verdicts: u64,
    /// Since the start.
    pub(crate) evicted: u64,
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

    pub(super) fn standing(&self) -> Standing {
        Standing(Arc::clone(&self.verdict))
    }

    /// What whoever sends it must prove.
    pub(super) fn confirmation(&self) -> Confirmation {
        self.verdict.confirmation
    }

    /// Whether it had been verified before.
    pub(super) fn remembered(&self) -> bool {
        self.remembered
    }
}

/// What something that outlasts its request goes on by: whether the token still holds.
#[derive(Clone)]
pub struct Standing(Arc<Verdict>);

impl Standing {
    /// For how long the token lasts by itself.
    pub(crate) fn lasts(&self, now: SystemTime) -> Duration {
        self.0.ends.saturating_sub(since_epoch(now))
    }
}

/// A key that the issuer may have published since we looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// Which issuer, in the order of the rules.
    pub issuer: usize,
    /// What it is remembered by: its id, or the token that names none.
    pub(crate) mark: Digest,
}

fn since_epoch(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.judges.iter().map(Judge::issuer)).finish()
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Standing").field(&self.0.principal).finish()
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifiedToken").field(self.principal()).finish()
    }
}

const CACHE_BYTES: u64 = 16 << 20;

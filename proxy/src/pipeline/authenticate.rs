//! Bearer token in, verified token out.

mod judge;
mod keep;
mod kind;
mod memory;
mod rejected;
mod told;
mod verdict;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use moka::sync::Cache;

use super::Cells;
use super::claims::Claims;
use super::headers::Stamped;
use super::jose::Head;
use super::material::Material;
use super::proof::Confirmation;
use super::revocation::Revocations;
use super::token::{BearerToken, Digest, Inquiry, Principal};
use crate::config::{Rules, Site};
use judge::Judge;
use keep::Keep;
pub(crate) use memory::Memory;
pub use rejected::Rejected;
use told::Refusals;
pub use told::Told;
use verdict::Verdict;

/// Judges tokens of the issuers that we trust.
pub struct Verifier {
    judges: Vec<Judge>,
    keep: Keep,
    revocations: Arc<Revocations>,
    /// Lives and dies with its rules: another policy never sees this one's verdicts.
    verdicts: Cache<Digest, Arc<Verdict>>,
    /// How many verdicts would be there if none had had to go for others.
    learned: AtomicU64,
    /// The head of the last token that verified: most of an issuer's tokens have the same.
    last_head: ArcSwapOption<Head>,
    refusals: Refusals,
}

impl Verifier {
    pub(super) fn new(site: &Site, rules: &Rules, cells: &Cells) -> Self {
        let is_listed = rules.revocations.is_some();
        let pairs = rules.issuers.iter().zip(&cells.keyrings).enumerate();
        Self {
            judges: pairs
                .map(|(index, (issuer, keyring))| {
                    Judge::new(index, issuer, keyring, &site.resource, is_listed)
                })
                .collect(),
            keep: Keep::new(site),
            revocations: Arc::clone(&cells.revocations),
            verdicts: Cache::builder()
                .weigher(|_, verdict: &Arc<Verdict>| verdict.weight())
                .max_capacity(CACHE_BYTES)
                .build(),
            learned: AtomicU64::new(0),
            last_head: ArcSwapOption::empty(),
            refusals: Refusals::new(),
        }
    }

    /// What is known of a token before it is judged.
    pub(super) fn recall(&self, digest: Digest, now: SystemTime) -> Recalled {
        let now = since_epoch(now);
        let Some(verdict) = self.verdicts.get(&digest) else { return Recalled::Nothing };
        if !self.stands(&verdict, now) {
            let is_over = verdict.ends.is_some_and(|ends| now >= ends.since_epoch());
            return if is_over { Recalled::Nothing } else { Recalled::ToHaveHeld };
        }
        let revoked = verdict.check_revoked(&self.revocations);
        Recalled::Verdict(revoked.map(|()| VerifiedToken { verdict, remembered: true }))
    }

    /// Believes `token` only if signature, issuer, audience, type and lifetime all hold at `now`.
    pub(super) fn verify(
        &self,
        token: BearerToken<'_>,
        digest: Digest,
        now: SystemTime,
    ) -> Result<VerifiedToken, Rejected> {
        let now = since_epoch(now);
        match self.judge(token, now) {
            Ok(verdict) => self.remember(digest, verdict),
            Err(Rejected::Unasked) => {
                Err(self.refusals.find(digest, now).unwrap_or(Rejected::Unasked))
            }
            Err(why) => Err(why),
        }
    }

    /// Judges by what the issuer said, when it was asked, about this very token.
    pub fn learn(
        &self,
        token: BearerToken<'_>,
        told: &Told,
        now: SystemTime,
    ) -> Result<VerifiedToken, Rejected> {
        let now = since_epoch(now);
        let digest = token.digest();
        let judge = self.judges.iter().find(|judge| judge.is_asked()).ok_or(Rejected::NotAJwt)?;
        let learned = told.claims().and_then(|claims| judge.learn(claims, &self.keep, now));
        match learned {
            Ok(verdict) => self.remember(digest, verdict),
            Err(why) => {
                if self.verdicts.remove(&digest).is_some() {
                    self.learned.fetch_sub(1, Ordering::Relaxed);
                }
                self.refusals.remember(digest, why, now);
                Err(why)
            }
        }
    }

    /// What to ask about a token that is [`Rejected::Unasked`].
    pub(super) fn inquiry(&self, token: BearerToken<'_>) -> Inquiry {
        let digest = token.digest();
        token.inquiry(digest, self.verdicts.contains_key(&digest))
    }

    fn remember(&self, digest: Digest, verdict: Verdict) -> Result<VerifiedToken, Rejected> {
        let verdict = Arc::new(verdict);
        if !self.verdicts.contains_key(&digest) {
            self.learned.fetch_add(1, Ordering::Relaxed);
        }
        self.verdicts.insert(digest, Arc::clone(&verdict));
        verdict.check_revoked(&self.revocations)?;
        Ok(VerifiedToken { verdict, remembered: false })
    }

    /// Whether what was begun with a token may go on at `now`.
    pub(super) fn recheck(&self, standing: &Standing, now: SystemTime) -> Result<(), Rejected> {
        let verdict = &standing.verdict;
        let keys = || self.judges.get(verdict.issuer).and_then(Judge::keys);
        verdict.lasts(keys, since_epoch(now))?;
        verdict.check_revoked(&self.revocations)
    }

    /// How many verdicts are remembered, and how many had to go.
    pub(super) fn memory(&self) -> Memory {
        // The cache counts when it tidies up, which it does now and then.
        self.verdicts.run_pending_tasks();
        let verdicts = self.verdicts.entry_count();
        let evicted = self.learned.load(Ordering::Relaxed).saturating_sub(verdicts);
        Memory { verdicts, evicted }
    }

    fn stands(&self, verdict: &Verdict, now: Duration) -> bool {
        verdict.stands(|| self.judges.get(verdict.issuer).and_then(Judge::keys), now)
    }

    fn judge(&self, token: BearerToken<'_>, now: Duration) -> Result<Verdict, Rejected> {
        if self.judges.iter().any(Judge::is_asked) && token.is_opaque() {
            return Err(Rejected::Unasked);
        }
        let parts = token.compact().ok_or(Rejected::NotAJwt)?;
        let claims = Claims::decode(parts.payload);
        // Nothing is believed yet: `iss` only says whose keys and rules to judge by.
        let issuer = claims.as_ref().and_then(|claims| claims.text("iss"));
        let judge = self.judges.iter().find(|judge| Some(judge.issuer()) == issuer);
        // Whoever is asked may sign as it likes.
        if judge.is_some_and(Judge::is_asked) {
            return Err(Rejected::Unasked);
        }
        let last = self.last_head.load();
        let head = match last.as_ref().filter(|last| *last.text == *parts.header) {
            Some(last) => Arc::clone(last),
            None => Arc::new(Head::read(parts.header)?),
        };
        let claims = claims.ok_or(Rejected::NotAJwt)?;
        claims.text("iss").ok_or(Rejected::Claim("iss"))?;
        let judge = judge.ok_or(Rejected::Issuer)?;
        let verdict = judge.judge(&head.header, &claims, &parts, &self.keep, now)?;
        // Only what held: strangers have no say in what is kept.
        if last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &head)) {
            self.last_head.store(Some(head));
        }
        Ok(verdict)
    }
}

/// What a verifier remembers of a token.
pub(super) enum Recalled {
    /// A verdict that stands.
    Verdict(Result<VerifiedToken, Rejected>),
    /// It was good, and may be: keys have changed, or what its issuer said of it is too old.
    ToHaveHeld,
    Nothing,
}

/// A principal whose token verified. Only a [`Verifier`] makes one.
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

    /// What conditions ask for.
    pub(super) fn claims(&self) -> Option<&Material> {
        self.verdict.claims.as_deref()
    }

    pub(super) fn standing(&self, site: usize) -> Standing {
        Standing { verdict: Arc::clone(&self.verdict), site }
    }

    /// What whoever sends it must prove.
    pub(super) fn confirmation(&self) -> &Confirmation {
        &self.verdict.confirmation
    }

    /// What its signature was made with.
    pub(super) fn algorithm(&self) -> &'static str {
        self.verdict.algorithm()
    }

    /// Whether it had been verified before.
    pub(super) fn remembered(&self) -> bool {
        self.remembered
    }
}

/// What something that outlasts its request goes on by: whether the token still holds.
#[derive(Clone)]
pub struct Standing {
    verdict: Arc<Verdict>,
    site: usize,
}

impl Standing {
    /// At which site the token was good.
    pub(super) fn site(&self) -> usize {
        self.site
    }

    /// For how long the token lasts by itself, if it has an end.
    pub(crate) fn lasts(&self, now: SystemTime) -> Option<Duration> {
        self.verdict.ends.map(|ends| ends.since_epoch().saturating_sub(since_epoch(now)))
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
        f.debug_tuple("Standing").field(&self.verdict.principal).finish()
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifiedToken").field(self.principal()).finish()
    }
}

const CACHE_BYTES: u64 = 16 << 20;

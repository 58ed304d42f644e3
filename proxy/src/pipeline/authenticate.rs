//! Bearer token in, verified token out.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moka::sync::Cache;

use super::claims::{Claims, WrongType};
use super::headers::{self, ClaimHeaders, Stamped};
use super::jose::Header;
use super::token::{BearerToken, Compact, Digest, Principal};
use crate::config::{Rules, TrustedIssuer};
use crate::keys::{KeySet, Keyring};

/// Judges tokens of the issuers that we trust.
pub struct Verifier {
    issuers: Vec<Judge>,
    headers: ClaimHeaders,
    /// Lives and dies with its rules: another policy never sees this one's verdicts.
    verdicts: Cache<Digest, Arc<Verdict>>,
}

/// What one issuer's tokens must look like, and its keys.
struct Judge {
    rules: TrustedIssuer,
    keyring: Arc<Keyring>,
}

impl Verifier {
    /// `keyrings` are the issuers' own, in the order of the rules.
    pub(super) fn new(rules: &Rules, keyrings: &[Arc<Keyring>]) -> Self {
        let pair = |(rules, keyring): (&TrustedIssuer, &Arc<Keyring>)| Judge {
            rules: rules.clone(),
            keyring: Arc::clone(keyring),
        };
        Self {
            issuers: rules.issuers.iter().zip(keyrings).map(pair).collect(),
            headers: ClaimHeaders::new(&rules.forward.claims),
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

    /// Whether what was found then would be found again now.
    fn stands(&self, verdict: &Verdict, now: Duration) -> bool {
        let keys = self.issuers.get(verdict.issuer).and_then(|judge| judge.keyring.current());
        keys.is_some_and(|keys| keys.generation() == verdict.generation)
            && now < verdict.expires.saturating_add(LEEWAY)
    }

    fn judge(&self, token: BearerToken<'_>, now: Duration) -> Result<Verdict, Rejected> {
        let parts = token.compact().ok_or(Rejected::NotAJwt)?;
        let header = Header::decode(parts.header)?;
        let claims = Claims::decode(parts.payload).ok_or(Rejected::NotAJwt)?;

        // Nothing is believed yet: `iss` only says whose keys and rules to judge by.
        let issuer = claims.text("iss").ok_or(Rejected::Claim("iss"))?;
        let mut judges = self.issuers.iter().enumerate();
        let (index, judge) = judges
            .find(|(_, judge)| judge.rules.issuer.as_str() == issuer)
            .ok_or(Rejected::Issuer)?;
        let keys = judge.keyring.current().ok_or(Rejected::NoKeys)?;
        // To refuse, unproven claims are good enough; and what is refused costs the issuer nothing.
        judge.check_audience(&claims)?;
        let expires = check_times(&claims, now)?;
        judge.check_signature(index, &keys, &header, &parts)?;
        // A key-bound token is worthless without its proof (RFC 9449 section 7.2).
        if claims.get("cnf").is_some() {
            return Err(Rejected::Bound);
        }
        let principal = Principal::read(issuer, &claims).map_err(Rejected::Claim)?;
        Ok(Verdict {
            headers: self.headers.stamp(&principal, |name| claims.get(name)),
            principal,
            expires,
            issuer: index,
            generation: keys.generation(),
        })
    }
}

impl Judge {
    fn check_signature(
        &self,
        index: usize,
        keys: &KeySet,
        header: &Header,
        parts: &Compact<'_>,
    ) -> Result<(), Rejected> {
        if !self.rules.algorithms.contains(&header.algorithm) {
            return Err(Rejected::Algorithm);
        }
        let id = header.key_id.as_deref();
        let mut candidates = keys.candidates(id, header.algorithm);
        if candidates.any(|key| key.verifies(parts.signed.as_bytes(), parts.signature)) {
            return Ok(());
        }
        match id {
            Some(id) if keys.knows(id) => Err(Rejected::Signature),
            // Without an id, a key that we have not seen may be the one.
            Some(_) | None => Err(Rejected::UnknownKey(UnknownKey { issuer: index })),
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), Rejected> {
        let audiences = claims.texts("aud").map_err(|WrongType| Rejected::Claim("aud"))?;
        let ours = |audience: &&str| self.rules.audiences.iter().any(|our| our == audience);
        if audiences.iter().any(ours) { Ok(()) } else { Err(Rejected::Audience) }
    }
}

fn check_times(claims: &Claims, now: Duration) -> Result<Duration, Rejected> {
    let time = |name| claims.time(name).map_err(|WrongType| Rejected::Claim(name));
    let expires = time("exp")?.ok_or(Rejected::Claim("exp"))?;
    if now >= expires.saturating_add(LEEWAY) {
        return Err(Rejected::Expired);
    }
    let latest = now.saturating_add(LEEWAY);
    if time("nbf")?.is_some_and(|begins| begins > latest)
        || time("iat")?.is_some_and(|at| at > latest)
    {
        return Err(Rejected::NotYetValid);
    }
    Ok(expires)
}

/// What was found about one token.
struct Verdict {
    principal: Principal,
    headers: Stamped,
    expires: Duration,
    issuer: usize,
    generation: u64,
}

impl Verdict {
    fn weight(&self) -> u32 {
        let texts = self.principal.scopes.iter().map(String::len).sum::<usize>()
            + self.principal.issuer.len()
            + self.principal.subject.len();
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        u32::try_from(ENTRY_BYTES + texts + headers).unwrap_or(u32::MAX)
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

    pub(super) fn headers(&self) -> &[headers::Header] {
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

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Opaque, encrypted, torn or repeated members.
    #[error("the token is not a signed JWT in compact form")]
    NotAJwt,
    /// `none`, a shared secret, or one that the issuer may not use.
    #[error("the token is signed with an algorithm that is not allowed")]
    Algorithm,
    /// An ID token, say.
    #[error("the token is not an access token: its typ is not at+jwt")]
    Type,
    /// `crit` or `b64`.
    #[error("the token demands an extension that is not supported")]
    Critical,
    /// Nobody that we trust.
    #[error("the token is from an issuer that is not trusted")]
    Issuer,
    /// We have never had a key of this issuer: not the caller's fault.
    #[error("no keys of the issuer have been fetched yet")]
    NoKeys,
    /// Perhaps a new one.
    #[error("the token is signed with a key that the issuer does not publish")]
    UnknownKey(UnknownKey),
    /// Tampered with.
    #[error("the signature of the token is wrong")]
    Signature,
    /// For somebody else, or for nobody.
    #[error("the token is for another audience")]
    Audience,
    /// Past `exp`.
    #[error("the token has expired")]
    Expired,
    /// Before `nbf` or `iat`.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Bound to a key that the caller has not proved to hold.
    #[error("the token is bound to a key, and no proof of it is accepted here")]
    Bound,
    /// Absent or of the wrong type.
    #[error("the claim {0} of the token is missing or malformed")]
    Claim(&'static str),
}

impl Rejected {
    /// Its name in logs and metrics.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::NotAJwt => "token_not_a_jwt",
            Self::Algorithm => "token_algorithm",
            Self::Type => "token_type",
            Self::Critical => "token_critical",
            Self::Issuer => "token_issuer",
            Self::NoKeys => "no_keys",
            Self::UnknownKey(_) => "token_unknown_key",
            Self::Signature => "token_signature",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::Bound => "token_bound",
            Self::Claim(_) => "token_claim",
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.issuers.iter().map(|judge| &judge.rules.issuer)).finish()
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifiedToken").field(self.principal()).finish()
    }
}

/// Clocks of issuer and proxy may differ by this much.
const LEEWAY: Duration = Duration::from_secs(30);

const CACHE_BYTES: u64 = 16 << 20;

/// What an entry takes besides its texts, the cache's own bookkeeping included.
const ENTRY_BYTES: usize = 400;

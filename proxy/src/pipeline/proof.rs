//! Proof that whoever sends a bound token holds what it is bound to: a key (DPoP, RFC 9449) or a
//! client certificate (RFC 8705).

mod dpop;
mod nonce;
mod replay;
mod target;
mod unproven;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use http::request::Parts;
use serde_json::Value;

use super::authenticate::VerifiedToken;
use super::channel::Channel;
use super::claims::Claims;
use super::limit::Usage;
use super::token::{BearerToken, Scheme};
use crate::config;
pub(super) use dpop::ALGORITHMS;
use dpop::{Asked, Proof};
use nonce::{Nonces, Standing};
pub(super) use replay::ROOM_AFTER;
use replay::{Mark, Used};
pub use unproven::Unproven;

/// SHA-256 of a client certificate, of a key's public numbers, or of a token.
pub(super) type Sha256 = [u8; 32];

/// Asks of every request with a bound token that it be proven.
pub(super) struct Proofs {
    origin: String,
    required: bool,
    nonces: Option<Nonces>,
    ledger: Arc<Ledger>,
}

impl Proofs {
    pub(super) fn new(site: &config::Site, rules: &config::Dpop, ledger: Arc<Ledger>) -> Self {
        let nonces = match &rules.nonces {
            config::Nonces::Off => None,
            config::Nonces::OwnKey => Some(Nonces::new(&ledger.secret)),
            config::Nonces::SharedKey(key) => Some(Nonces::new(key.expose().as_bytes())),
        };
        Self { origin: site.resource.origin(), required: rules.required, nonces, ledger }
    }

    /// Believes that the sender may use the token, if only the proof has not been used before.
    pub(super) fn prove(
        &self,
        token: VerifiedToken,
        sent: &Sent<'_>,
        now: SystemTime,
    ) -> Result<Proven, Unproven> {
        let Bonds { key, certificate } = token.confirmation().bonds();
        match (certificate, sent.channel.certificate) {
            (Some(bound), Some(shown)) if bound == shown => (),
            (Some(_), Some(_)) => return Err(Unproven::OtherCertificate),
            (Some(_), None) => return Err(Unproven::NoCertificate),
            (None, _) => (),
        }
        let proof = match (sent.scheme, key) {
            (Scheme::Bearer, Some(_)) => return Err(Unproven::SentAsBearer),
            (Scheme::Dpop, None) => return Err(Unproven::NotBound),
            (Scheme::Bearer, None) if self.required => return Err(Unproven::Required),
            (Scheme::Bearer, None) => None,
            (Scheme::Dpop, Some(key)) => Some(self.check_proof(sent, &key, since_epoch(now))?),
        };
        Ok(Proven { token, shown: proof.map(Box::new) })
    }

    /// The proof counts as used from now on, and must not have been before.
    pub(super) fn spend(&self, proven: &Proven, now: SystemTime) -> Result<(), Unproven> {
        match &proven.shown {
            Some(shown) => self.ledger.used.note(&shown.mark, since_epoch(now)),
            None => Ok(()),
        }
    }

    /// Returns the nonce that the client should use next as well, if its own ends soon.
    fn check_proof(&self, sent: &Sent<'_>, key: &Sha256, now: Duration) -> Result<Shown, Unproven> {
        let token = sent.token.digest();
        let asked = Asked {
            method: &sent.request.method,
            origin: &self.origin,
            path: sent.request.uri.path(),
            token: token.as_bytes(),
            key,
            now,
        };
        let proof = Proof::read(&sent.request.headers, &asked)?;
        let standing = match &self.nonces {
            Some(nonces) => nonces.judge(proof.nonce.as_deref().unwrap_or_default(), now),
            None => Standing::Current,
        };
        if standing == Standing::Unknown {
            return Err(Unproven::Nonce);
        }
        let nonce = self.next_nonce(now).filter(|_| standing == Standing::Ending);
        Ok(Shown { mark: self.ledger.used.mark(key, &proof.id), nonce })
    }

    /// What the next proof should hold, if nonces are asked for.
    pub(super) fn nonce(&self, now: SystemTime) -> Option<HeaderValue> {
        self.next_nonce(since_epoch(now))
    }

    fn next_nonce(&self, now: Duration) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.nonces.as_ref()?.current(now)).ok()
    }
}

fn since_epoch(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What came with a token.
pub(super) struct Sent<'a> {
    pub(super) request: &'a Parts,
    pub(super) channel: &'a Channel<'a>,
    pub(super) scheme: Scheme,
    pub(super) token: BearerToken<'a>,
}

/// What must outlive a change of the rules: which proofs have been used, who has used how much, and a
/// secret of this process.
pub struct Ledger {
    used: Used,
    pub(super) usage: Usage,
    secret: [u8; 32],
}

impl Ledger {
    /// `secret` is random: whoever knows it can make nonces ahead of time.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { used: Used::new(&secret), usage: Usage::default(), secret }
    }

    /// What keys of this process's own are made from.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }
}

/// A token and proof that its sender may use it, once. Only `Proofs::prove` makes one.
#[must_use]
#[derive(Debug)]
pub struct Proven {
    token: VerifiedToken,
    /// Few tokens are bound.
    shown: Option<Box<Shown>>,
}

/// A proof that held.
#[derive(Debug)]
struct Shown {
    /// By what it is remembered once it is used.
    mark: Mark,
    /// What the client's next one should hold; its own nonce ends soon.
    nonce: Option<HeaderValue>,
}

impl Proven {
    pub(super) fn token(&self) -> &VerifiedToken {
        &self.token
    }

    /// What the client's next proof should hold; its own nonce ends soon.
    pub(super) fn nonce(&self) -> Option<&HeaderValue> {
        self.shown.as_ref()?.nonce.as_ref()
    }
}

/// What a token says that its sender must prove (RFC 7800 `cnf`). Most tokens say nothing, and they
/// are kept by the thousand.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Confirmation(Option<Box<Bonds>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bonds {
    /// Thumbprint of the key that signs proofs.
    key: Option<Sha256>,
    /// Digest of the client certificate.
    certificate: Option<Sha256>,
}

impl Confirmation {
    /// Both members bind when both are there. Any other, known elsewhere or not, is one that nobody
    /// here could check: the token would be as good as unbound.
    pub(super) fn read(claims: &Claims) -> Result<Self, Unprovable> {
        let Some(cnf) = claims.get("cnf") else { return Ok(Self::default()) };
        let members = cnf.as_object().filter(|members| !members.is_empty()).ok_or(Unprovable)?;
        let mut bonds = Bonds::default();
        for (name, value) in members {
            match name.as_str() {
                "jkt" => bonds.key = Some(digest(value)?),
                "x5t#S256" => bonds.certificate = Some(digest(value)?),
                _ => return Err(Unprovable),
            }
        }
        Ok(Self(Some(Box::new(bonds))))
    }

    /// Whether the token is worth nothing to whoever merely has it.
    pub(super) fn is_bound(&self) -> bool {
        self.0.is_some()
    }

    fn bonds(&self) -> Bonds {
        self.0.as_deref().copied().unwrap_or_default()
    }
}

fn digest(value: &Value) -> Result<Sha256, Unprovable> {
    let bytes = value.as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Unprovable)
}

/// The token is bound to something that cannot be proven here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unprovable;

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proofs for {}", self.origin)
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Confirmation, Unprovable> {
        Confirmation::read(&Claims::decode(&URL_SAFE_NO_PAD.encode(json)).unwrap())
    }

    const DIGEST: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn a_token_without_cnf_is_not_bound() {
        assert!(!read("{}").unwrap().is_bound());
    }

    #[test]
    fn a_key_and_a_certificate_bind_alone_or_together() {
        let key = read(&format!(r#"{{"cnf":{{"jkt":"{DIGEST}"}}}}"#)).unwrap();
        assert_eq!(key.bonds(), Bonds { key: Some([0; 32]), certificate: None });
        let certificate = read(&format!(r#"{{"cnf":{{"x5t#S256":"{DIGEST}"}}}}"#)).unwrap();
        assert_eq!(certificate.bonds(), Bonds { key: None, certificate: Some([0; 32]) });
        let both = format!(r#"{{"cnf":{{"x5t#S256":"{DIGEST}","jkt":"{DIGEST}"}}}}"#);
        let both = read(&both).unwrap();
        assert_eq!(both.bonds(), Bonds { key: Some([0; 32]), certificate: Some([0; 32]) });
    }

    #[test]
    fn whatever_else_a_token_is_bound_to_cannot_be_proven() {
        for cnf in ["null", "{}", "[]", "7", "\"a\"", "true"] {
            assert_eq!(read(&format!(r#"{{"cnf":{cnf}}}"#)), Err(Unprovable), "{cnf}");
        }
        for member in [
            r#""jwk":{}"#,
            r#""kid":"a""#,
            r#""jwe":"a""#,
            r#""jku":"https://a""#,
            r#""JKT":"a""#,
            r#""jkt":7"#,
            r#""jkt":null"#,
            r#""jkt":"""#,
            r#""jkt":"AAAA""#,
            r#""x5t#S256":["a"]"#,
        ] {
            assert_eq!(read(&format!(r#"{{"cnf":{{{member}}}}}"#)), Err(Unprovable), "{member}");
            // Nor does something that could be proven make up for it.
            let with_key = format!(r#"{{"cnf":{{"x5t#S256":"{DIGEST}",{member}}}}}"#);
            if !member.starts_with(r#""x5t"#) {
                assert_eq!(read(&with_key), Err(Unprovable), "{member}");
            }
        }
        let padded = format!(r#"{{"cnf":{{"jkt":"{DIGEST}="}}}}"#);
        assert_eq!(read(&padded), Err(Unprovable));
    }
}

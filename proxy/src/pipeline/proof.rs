//! Proof that whoever sends a bound token holds what it is bound to: a key (DPoP, RFC 9449) or a
//! client certificate (RFC 8705).

mod dpop;
mod nonce;
mod replay;
mod target;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::claims::Claims;

/// SHA-256 of a client certificate, of a key's public numbers, or of a token.
pub(super) type Sha256 = [u8; 32];

/// What a token says that its sender must prove (RFC 7800 `cnf`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Confirmation {
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
        let mut confirmation = Self::default();
        for (name, value) in members {
            match name.as_str() {
                "jkt" => confirmation.key = Some(digest(value)?),
                "x5t#S256" => confirmation.certificate = Some(digest(value)?),
                _ => return Err(Unprovable),
            }
        }
        Ok(confirmation)
    }

    /// Whether the token is worth nothing to whoever merely has it.
    pub(super) fn is_bound(&self) -> bool {
        self.key.is_some() || self.certificate.is_some()
    }
}

fn digest(value: &Value) -> Result<Sha256, Unprovable> {
    let bytes = value.as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Unprovable)
}

/// The token is bound to something that cannot be proven here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unprovable;

/// Why it is not believed that the sender may use the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// RFC 9449 section 7.2: whoever stole it would send it so.
    #[error("the token is bound to a key: send it under the DPoP scheme, with a proof")]
    SentAsBearer,
    /// The scheme promises what the token does not say.
    #[error("the token is not bound to a key, so the DPoP scheme is not for it")]
    NotBound,
    /// The operator wants bound tokens only.
    #[error("only tokens that are bound to a key are accepted here")]
    Required,
    /// No TLS here, no certificate asked for, or none shown.
    #[error("the token is bound to a client certificate, and this connection showed none")]
    NoCertificate,
    /// Whoever sends it is not whom it was given to.
    #[error("the token is bound to another client certificate")]
    OtherCertificate,
    /// Check 1, too few.
    #[error("the request carries no DPoP proof")]
    NoProof,
    /// Check 1, too many.
    #[error("the request carries more than one DPoP proof")]
    Repeated,
    /// Check 2.
    #[error("the DPoP proof is not a signed JWT in compact form")]
    NotAJwt,
    /// RFC 7515 section 4.1.11.
    #[error("the DPoP proof demands an extension that is not supported")]
    Critical,
    /// Check 3.
    #[error("the claim {0} of the DPoP proof is missing or malformed")]
    Claim(&'static str),
    /// Check 4.
    #[error("the typ of the DPoP proof is not dpop+jwt")]
    Type,
    /// Check 5.
    #[error("the DPoP proof is signed with an algorithm that is not allowed")]
    Algorithm,
    /// Check 6.
    #[error("the signature of the DPoP proof is wrong")]
    Signature,
    /// Checks 5 and 7: private, weak, or not for the algorithm.
    #[error("the DPoP proof shows no public key that its algorithm can be checked with")]
    Key,
    /// Check 8.
    #[error("the DPoP proof is for another method")]
    Method,
    /// Check 9.
    #[error("the DPoP proof is for another address")]
    Target,
    /// Check 10.
    #[error("the DPoP proof needs the nonce that this answer gives")]
    Nonce,
    /// Check 11.
    #[error("the DPoP proof is too old, or from the future")]
    Time,
    /// Check 12, first half.
    #[error("the DPoP proof is for another token")]
    OtherToken,
    /// Check 12, second half.
    #[error("the token is bound to another key than the DPoP proof is signed with")]
    OtherKey,
    /// Section 11.1.
    #[error("the DPoP proof has been used before")]
    Replayed,
    /// Nobody can say whether it has been used before: not the caller's fault.
    #[error("no further DPoP proofs can be remembered now")]
    Full,
}

impl Unproven {
    /// Its name in logs and metrics.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::SentAsBearer => "token_sent_as_bearer",
            Self::NotBound => "token_not_bound",
            Self::Required => "token_bound_required",
            Self::NoCertificate => "certificate_missing",
            Self::OtherCertificate => "certificate_other",
            Self::NoProof => "proof_missing",
            Self::Repeated => "proof_repeated",
            Self::NotAJwt => "proof_not_a_jwt",
            Self::Critical => "proof_critical",
            Self::Claim(_) => "proof_claim",
            Self::Type => "proof_type",
            Self::Algorithm => "proof_algorithm",
            Self::Signature => "proof_signature",
            Self::Key => "proof_key",
            Self::Method => "proof_method",
            Self::Target => "proof_target",
            Self::Nonce => "proof_nonce",
            Self::Time => "proof_time",
            Self::OtherToken => "proof_other_token",
            Self::OtherKey => "proof_other_key",
            Self::Replayed => "proof_replayed",
            Self::Full => "proofs_full",
        }
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
        assert_eq!(key, Confirmation { key: Some([0; 32]), certificate: None });
        let certificate = read(&format!(r#"{{"cnf":{{"x5t#S256":"{DIGEST}"}}}}"#)).unwrap();
        assert_eq!(certificate, Confirmation { key: None, certificate: Some([0; 32]) });
        let both = format!(r#"{{"cnf":{{"x5t#S256":"{DIGEST}","jkt":"{DIGEST}"}}}}"#);
        let both = read(&both).unwrap();
        assert_eq!(both, Confirmation { key: Some([0; 32]), certificate: Some([0; 32]) });
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

//! Why a bound token is not believed to be its sender's.

use crate::reason::Reason;

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
    /// The error code that clients are told (RFC 9449 section 12.2): whether another token or another
    /// proof would help.
    pub(in crate::pipeline) fn error(self) -> &'static str {
        match self {
            Self::SentAsBearer
            | Self::NotBound
            | Self::Required
            | Self::NoCertificate
            | Self::OtherCertificate
            | Self::OtherKey => "invalid_token",
            Self::Nonce => "use_dpop_nonce",
            Self::NoProof
            | Self::Repeated
            | Self::NotAJwt
            | Self::Critical
            | Self::Claim(_)
            | Self::Type
            | Self::Algorithm
            | Self::Signature
            | Self::Key
            | Self::Method
            | Self::Target
            | Self::Time
            | Self::OtherToken
            | Self::Replayed
            | Self::Full => "invalid_dpop_proof",
        }
    }

    /// Its name wherever it is told of.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::SentAsBearer => Reason::TokenSentAsBearer,
            Self::NotBound => Reason::TokenNotBound,
            Self::Required => Reason::TokenBoundRequired,
            Self::NoCertificate => Reason::CertificateMissing,
            Self::OtherCertificate => Reason::CertificateOther,
            Self::NoProof => Reason::ProofMissing,
            Self::Repeated => Reason::ProofRepeated,
            Self::NotAJwt => Reason::ProofNotAJwt,
            Self::Critical => Reason::ProofCritical,
            Self::Claim(_) => Reason::ProofClaim,
            Self::Type => Reason::ProofType,
            Self::Algorithm => Reason::ProofAlgorithm,
            Self::Signature => Reason::ProofSignature,
            Self::Key => Reason::ProofKey,
            Self::Method => Reason::ProofMethod,
            Self::Target => Reason::ProofTarget,
            Self::Nonce => Reason::ProofNonce,
            Self::Time => Reason::ProofTime,
            Self::OtherToken => Reason::ProofOtherToken,
            Self::OtherKey => Reason::ProofOtherKey,
            Self::Replayed => Reason::ProofReplayed,
            Self::Full => Reason::ProofsFull,
        }
    }
}

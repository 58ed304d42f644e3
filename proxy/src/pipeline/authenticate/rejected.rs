//! Why a token is not believed.

use super::UnknownKey;
use crate::reason::Reason;

/// Each reason has its own words for the client and its own name for whoever runs the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Opaque, encrypted, torn or repeated members.
    #[error("the token is not a signed JWT in compact form")]
    NotAJwt,
    /// `none`, a shared secret, or unheard of.
    #[error("the token is signed with an algorithm that is not allowed")]
    Algorithm,
    /// One that its issuer may not use.
    #[error("the token is signed with an algorithm that is not allowed")]
    AlgorithmNotListed,
    /// A logout token, say; or an ID token of an issuer that marks its access tokens.
    #[error("the token is not an access token by its typ")]
    Type,
    /// An ID token of an issuer that marks neither.
    #[error("the token is not an access token by its claims")]
    Kind,
    /// `crit` or `b64`.
    #[error("the token demands an extension that is not supported")]
    Critical,
    /// Nobody that we trust.
    #[error("the token is from an issuer that is not trusted")]
    Issuer,
    /// Never fetched, or too old by now: not the caller's fault.
    #[error("no keys of the issuer are at hand")]
    NoKeys,
    /// Its issuer has not said yet what it is worth: not the caller's fault.
    #[error("the issuer has not said whether the token is good")]
    Unasked,
    /// Expired, revoked or never issued: its issuer does not say which.
    #[error("the token is not active, says its issuer")]
    Inactive,
    /// Perhaps a new one.
    #[error("the token is signed with a key that the issuer does not publish")]
    UnknownKey(UnknownKey),
    /// Longer than any id that is kept, so no set has it.
    #[error("the token has a key id that is too long")]
    KeyId,
    /// It was published when the token was judged.
    #[error("the key of the token is no longer published")]
    KeyWithdrawn,
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
    /// Longer than the operator lets tokens live.
    #[error("the token is valid for longer than tokens may be here")]
    TooLong,
    /// The operator has put it on the list.
    #[error("the token has been revoked")]
    Revoked,
    /// Its `cnf` is none that is known here.
    #[error("the token is bound to something that cannot be proven here")]
    Bound,
    /// Absent or of the wrong type.
    #[error("the claim {0} of the token is missing or malformed")]
    Claim(&'static str),
}

impl Rejected {
    /// Its name wherever it is told of.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::NotAJwt => Reason::TokenNotAJwt,
            Self::Algorithm => Reason::TokenAlgorithm,
            Self::AlgorithmNotListed => Reason::TokenAlgorithmNotListed,
            Self::Type => Reason::TokenType,
            Self::Kind => Reason::TokenKind,
            Self::Critical => Reason::TokenCritical,
            Self::Issuer => Reason::TokenIssuer,
            Self::NoKeys => Reason::NoKeys,
            Self::Unasked => Reason::NoIntrospection,
            Self::Inactive => Reason::TokenInactive,
            Self::UnknownKey(_) => Reason::TokenUnknownKey,
            Self::KeyId => Reason::TokenKeyId,
            Self::KeyWithdrawn => Reason::TokenKeyWithdrawn,
            Self::Signature => Reason::TokenSignature,
            Self::Audience => Reason::TokenAudience,
            Self::Expired => Reason::TokenExpired,
            Self::NotYetValid => Reason::TokenNotYetValid,
            Self::TooLong => Reason::TokenTooLong,
            Self::Revoked => Reason::TokenRevoked,
            Self::Bound => Reason::TokenBound,
            Self::Claim(_) => Reason::TokenClaim,
        }
    }
}

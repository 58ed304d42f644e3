//! Why a token is not believed.

use super::UnknownKey;

/// Each reason has its own words for the client and its own name for whoever runs the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Opaque, encrypted, torn or repeated members.
    #[error("the token is not a signed JWT in compact form")]
    NotAJwt,
    /// `none`, a shared secret, or one that the issuer may not use.
    #[error("the token is signed with an algorithm that is not allowed")]
    Algorithm,
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
    /// Its name in logs and metrics.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::NotAJwt => "token_not_a_jwt",
            Self::Algorithm => "token_algorithm",
            Self::Type => "token_type",
            Self::Kind => "token_kind",
            Self::Critical => "token_critical",
            Self::Issuer => "token_issuer",
            Self::NoKeys => "no_keys",
            Self::Unasked => "no_introspection",
            Self::Inactive => "token_inactive",
            Self::UnknownKey(_) => "token_unknown_key",
            Self::KeyId => "token_key_id",
            Self::KeyWithdrawn => "token_key_withdrawn",
            Self::Signature => "token_signature",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::TooLong => "token_too_long",
            Self::Revoked => "token_revoked",
            Self::Bound => "token_bound",
            Self::Claim(_) => "token_claim",
        }
    }
}

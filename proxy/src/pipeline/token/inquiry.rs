//! What an issuer is asked.

use std::fmt;

use super::Digest;

/// A token that only its issuer can judge.
pub struct Inquiry {
    token: Box<str>,
    digest: Digest,
    known: bool,
}

impl Inquiry {
    pub(super) fn new(token: &str, digest: Digest, known: bool) -> Self {
        Self { token: token.into(), digest, known }
    }

    /// About a token that is nobody's: whether we may ask at all.
    pub(crate) fn of_nobody() -> Self {
        let token = "postern-validate-no-such-token";
        Self::new(token, Digest::of(token.as_bytes()), false)
    }

    /// The token, for the one place that sends it.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// What all inquiries about the same token share.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether the token was good when the issuer was last asked.
    pub(crate) fn is_known(&self) -> bool {
        self.known
    }
}

impl fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inquiry(…)")
    }
}

//! How strictly proofs of possession are asked for.

use std::fmt;

/// How strictly `DPoP` (RFC 9449) is asked for. Bound tokens need their proof in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dpop {
    /// Only tokens that are bound to a key are accepted.
    pub required: bool,
    /// Whether proofs must hold a nonce of ours.
    pub nonces: Nonces,
}

/// Nonces that a proof must hold, so that it cannot have been made long before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nonces {
    /// None.
    Off,
    /// Under a key made at start.
    OwnKey,
    /// Under a key that replicas share.
    SharedKey(NonceKey),
}

/// A secret: its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct NonceKey(pub(super) String);

impl NonceKey {
    /// What is used as the key.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey(…)")
    }
}

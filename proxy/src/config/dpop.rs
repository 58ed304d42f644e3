//! How strictly proofs of possession are asked for.

use super::Secret;

/// How strictly `DPoP` (RFC 9449) is asked for. Bound tokens need their proof in any case.
#[derive(Clone, Debug)]
pub struct Dpop {
    /// Whether metadata and challenges tell clients of it, so that they bind their tokens.
    pub offered: bool,
    /// Only tokens that are bound to a key are accepted.
    pub required: bool,
    /// Whether proofs must hold a nonce of ours.
    pub nonces: Nonces,
}

/// Nonces that a proof must hold, so that it cannot have been made long before.
#[derive(Clone, Debug)]
pub enum Nonces {
    /// None.
    Off,
    /// Under a key made at start.
    OwnKey,
    /// Under a key that replicas share.
    SharedKey(Secret),
}

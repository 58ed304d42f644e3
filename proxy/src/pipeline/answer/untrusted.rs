//! Why a backend is not believed to be who it should be.

use crate::reason::Reason;

/// For the operator alone: callers hear that it cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untrusted {
    /// Its certificate is for another name.
    Name,
    /// Nobody who is believed has signed it.
    Authority,
    /// It is too old, or too new.
    Expired,
    /// There was no TLS at all, or we were not believed.
    Otherwise,
}

impl Untrusted {
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::Name => Reason::UpstreamTlsName,
            Self::Authority => Reason::UpstreamTlsAuthority,
            Self::Expired => Reason::UpstreamTlsExpired,
            Self::Otherwise => Reason::UpstreamTls,
        }
    }
}

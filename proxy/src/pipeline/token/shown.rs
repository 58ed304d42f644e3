//! What a token shows of itself, for the eyes of whoever runs the proxy.

use crate::pipeline::claims::Claims;

/// Read as a token is read before it is judged. Nothing here is believed, and nothing is judged by it.
pub(crate) struct Shown {
    pub(crate) bytes: usize,
    /// How many parts there are between dots.
    pub(crate) parts: usize,
    /// How long the last of them is.
    pub(crate) signature: usize,
    pub(crate) header: Option<Claims>,
    pub(crate) claims: Option<Claims>,
}

impl Shown {
    pub(crate) fn of(token: &str) -> Self {
        let mut parts = token.split('.');
        let decoded = |part: Option<&str>| part.and_then(Claims::decode);
        Self {
            bytes: token.len(),
            parts: token.split('.').count(),
            header: decoded(parts.next()),
            claims: decoded(parts.next()),
            signature: parts.next().map_or(0, str::len),
        }
    }
}

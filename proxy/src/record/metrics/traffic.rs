//! What the listener counts.

use prometheus::{IntCounter, IntGauge, Registry};

use super::register::{counter, gauge};

/// Connections, not requests.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    pub(crate) open: IntGauge,
    pub(crate) refused: IntCounter,
    pub(crate) failed_handshakes: IntCounter,
}

impl Traffic {
    /// Counted, and shown to nobody: the admin listener's own connections.
    pub(crate) fn unseen() -> prometheus::Result<Self> {
        Self::new(&Registry::new())
    }

    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            open: gauge(all, "postern_connections", "Connections open.")?,
            refused: counter(
                all,
                "postern_connections_refused_total",
                "Connections closed at once because there were too many.",
            )?,
            failed_handshakes: counter(
                all,
                "postern_handshakes_failed_total",
                "Handshakes (TLS, PROXY protocol) that failed or took too long.",
            )?,
        })
    }
}

//! What the listener counts.

use std::net::IpAddr;

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

use super::register::{counter, counters, gauge};
use super::requests::class;
use crate::reason::Reason;

/// Connections, and what never became a request.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    pub(crate) open: IntGauge,
    /// How many may be.
    pub(crate) most: IntGauge,
    pub(crate) refused: IntCounter,
    pub(crate) failed_handshakes: IntCounterVec,
    requests: IntCounterVec,
}

impl Traffic {
    /// Counted, and shown to nobody: the admin listener's own connections.
    pub(crate) fn unseen() -> prometheus::Result<Self> {
        let nowhere = Registry::new();
        let requests =
            counters(&nowhere, "unseen", "Counted by nobody.", &["route", "status", "outcome"])?;
        Self::new(&nowhere, requests)
    }

    /// What was answered though no request could be read, or none would be.
    pub(crate) fn unread(&self, status: u16, peer: IpAddr) {
        let reason = if status == 405 { Reason::BadMethod } else { Reason::Torn };
        self.requests.with_label_values(&["none", class(status), reason.code()]).inc();
        tracing::info!(outcome = reason.code(), status, peer = %peer, "request");
    }

    pub(super) fn new(all: &Registry, requests: IntCounterVec) -> prometheus::Result<Self> {
        Ok(Self {
            requests,
            open: gauge(all, "postern_connections", "Connections open.")?,
            most: gauge(all, "postern_connections_limit", "Connections that may be open at once.")?,
            refused: counter(
                all,
                "postern_connections_refused_total",
                "Connections closed at once because there were too many.",
            )?,
            failed_handshakes: counters(
                all,
                "postern_handshakes_failed_total",
                "Handshakes (TLS, PROXY protocol) that failed or took too long, by the reason.",
                &["reason"],
            )?,
        })
    }
}

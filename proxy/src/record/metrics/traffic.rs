//! What the listener counts.

use std::net::IpAddr;
use std::sync::Arc;

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

use super::register::{counter, counters, gauge};
use super::requests::class;
use crate::reason::Reason;
use crate::record::Names;

/// Connections, and what never became a request.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    pub(crate) open: IntGauge,
    /// How many may be.
    pub(crate) most: IntGauge,
    pub(crate) refused: IntCounter,
    pub(crate) failed_handshakes: IntCounterVec,
    requests: IntCounterVec,
    names: Arc<Names>,
}

impl Traffic {
    /// Counted, and shown to nobody: the admin listener's own connections.
    pub(crate) fn unseen() -> prometheus::Result<Self> {
        let nowhere = Registry::new();
        let requests =
            counters(&nowhere, "unseen", "Counted by nobody.", &["route", "status", "outcome"])?;
        Self::new(&nowhere, requests)
    }

    /// What to call that: what it calls itself cannot be read.
    pub(crate) fn name(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.names.next()))
    }

    /// What was answered though no request could be read, or none would be.
    pub(crate) fn unread(&self, status: u16, peer: IpAddr, name: &str) {
        let reason = if status == 405 { Reason::BadMethod } else { Reason::Torn };
        self.requests.with_label_values(&["none", class(status), reason.code()]).inc();
        let outcome = reason.code();
        tracing::info!(outcome, status, peer = %peer, request_id = name, "request");
    }

    pub(super) fn new(all: &Registry, requests: IntCounterVec) -> prometheus::Result<Self> {
        Ok(Self {
            requests,
            names: Arc::default(),
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

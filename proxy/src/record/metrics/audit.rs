//! What becomes of audit events.

use prometheus::{IntCounter, IntGauge, Registry};

use super::register::{counters, gauge};

/// Events of the audit, by what became of them.
#[derive(Clone, Debug)]
pub(crate) struct AuditCounts {
    pub(crate) written: IntCounter,
    pub(crate) lost: IntCounter,
    /// Whether none can be written now.
    pub(crate) failing: IntGauge,
}

impl AuditCounts {
    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        let help = "Audit events, by what became of them.";
        let events = counters(all, "postern_audit_events_total", help, &["result"])?;
        Ok(Self {
            written: events.with_label_values(&["written"]),
            lost: events.with_label_values(&["lost"]),
            failing: gauge(
                all,
                "postern_audit_failing",
                "Whether audit events cannot be written now.",
            )?,
        })
    }
}

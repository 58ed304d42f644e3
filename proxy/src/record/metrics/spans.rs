//! What becomes of parts of traces.

use prometheus::{IntCounter, Registry};

use super::register::counters;

/// Spans, by what became of them.
#[derive(Clone, Debug)]
pub(crate) struct SpanCounts {
    pub(crate) sent: IntCounter,
    /// The collector could not be reached, or did not take them.
    pub(crate) failed: IntCounter,
    /// More came than could wait.
    pub(crate) dropped: IntCounter,
}

impl SpanCounts {
    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        let help = "Parts of traces, by what became of them.";
        let spans = counters(all, "postern_spans_total", help, &["result"])?;
        let count = |result| spans.with_label_values(&[result]);
        Ok(Self { sent: count("sent"), failed: count("failed"), dropped: count("dropped") })
    }
}

//! What happened, told once per request: a log line and the metrics.

pub(crate) mod log;
mod metrics;

pub(crate) use metrics::{KeyGauges, Recorder, Traffic};

/// How a request ended. Its label is the only name that logs and metrics use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The proxy replied by itself.
    Answered(&'static str),
    /// The upstream replied.
    Forwarded,
    /// It ended half-way: the client left, or a connection broke.
    Broken,
}

impl Outcome {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Answered(label) => label,
            Self::Forwarded => "forwarded",
            Self::Broken => "broken",
        }
    }
}

//! What happened, told once per request: a log line and the metrics.

pub(crate) mod log;
mod metrics;

pub(crate) use metrics::{InquiryCounts, KeyGauges, Recorder, RevocationGauges, Traffic};

/// How a request ended. Its label is the only name that logs and metrics use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The proxy replied by itself.
    Answered(&'static str),
    /// The upstream replied.
    Forwarded,
    /// The upstream's stream went on until the token did not; with the reason's name.
    Ended(&'static str),
    /// It ended half-way: the client left, or a connection broke.
    Broken,
}

impl Outcome {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Answered(label) => label,
            Self::Forwarded => "forwarded",
            Self::Ended(_) => "stream_ended",
            Self::Broken => "broken",
        }
    }

    /// Why a stream was ended.
    pub(crate) fn why_ended(self) -> Option<&'static str> {
        match self {
            Self::Ended(why) => Some(why),
            Self::Answered(_) | Self::Forwarded | Self::Broken => None,
        }
    }
}

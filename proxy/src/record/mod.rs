//! What happened, told once per request: a log line and the metrics.

pub(crate) mod log;
mod metrics;
mod names;
mod refusals;

use crate::reason::Reason;
pub(crate) use metrics::{
    AuditCounts, CertificateGauges, Done, Format, InquiryCounts, KeyGauges, OpenStream, Recorder,
    ReloadGauges, RevocationGauges, Sample, SpanCounts, Standing, Traffic, UpgradeCounts,
    UpstreamCounts,
};
pub(crate) use names::Names;
pub(crate) use refusals::{Refusal, Short};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The proxy replied by itself.
    Answered(Reason),
    /// The upstream replied.
    Forwarded,
    /// The upstream's stream went on until the token did not, or we.
    Ended(Reason),
    /// It ended half-way: the client left, or a connection broke.
    Broken,
}

impl Outcome {
    /// The only name that is told of it.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::Answered(reason) => reason,
            Self::Forwarded => Reason::Forwarded,
            Self::Ended(_) => Reason::StreamEnded,
            Self::Broken => Reason::Broken,
        }
    }

    /// Why a stream was ended.
    pub(crate) fn why_ended(self) -> Option<Reason> {
        match self {
            Self::Ended(why) => Some(why),
            Self::Answered(_) | Self::Forwarded | Self::Broken => None,
        }
    }
}

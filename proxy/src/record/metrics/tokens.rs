//! Tokens that were accepted, what is remembered of them, and what was revoked.

use std::sync::atomic::AtomicU64;

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

use super::register::{counter, counters, gauge};

/// Where verdicts come from, and how many are kept.
#[derive(Debug)]
pub(super) struct TokenMetrics {
    accepted: IntCounterVec,
    pub(super) kept: IntGauge,
    pub(super) evicted: IntCounter,
    /// As it was told the last time.
    pub(super) evicted_before: AtomicU64,
}

impl TokenMetrics {
    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            accepted: counters(
                all,
                "postern_tokens_accepted_total",
                "Accepted tokens, by issuer, by the algorithm of their signature (`none`: the issuer was \
                 asked), and by whether the verdict was remembered or found anew.",
                &["issuer", "algorithm", "verdict"],
            )?,
            kept: gauge(all, "postern_verdicts", "Verdicts on tokens that are remembered.")?,
            evicted: counter(
                all,
                "postern_verdicts_evicted_total",
                "Verdicts that had to make room for others.",
            )?,
            evicted_before: AtomicU64::new(0),
        })
    }

    pub(super) fn accepted(&self, issuer: &str, algorithm: &str, remembered: bool) {
        let verdict = if remembered { "remembered" } else { "verified" };
        self.accepted.with_label_values(&[issuer, algorithm, verdict]).inc();
    }
}

/// The list of what is revoked.
#[derive(Clone, Debug)]
pub(crate) struct RevocationGauges {
    entries: IntGauge,
    current: IntGauge,
}

impl RevocationGauges {
    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            entries: gauge(all, "postern_revocations", "Entries in the list of revocations.")?,
            current: gauge(
                all,
                "postern_revocations_current",
                "Whether the list of revocations in force is the one in its file.",
            )?,
        })
    }

    pub(crate) fn taken(&self, entries: usize) {
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    pub(crate) fn current(&self, current: bool) {
        self.current.set(current.into());
    }
}

/// Inquiries at one issuer, by what came of them.
#[derive(Clone, Debug)]
pub(crate) struct InquiryCounts {
    pub(crate) active: IntCounter,
    pub(crate) inactive: IntCounter,
    /// No answer that says anything.
    pub(crate) failed: IntCounter,
    /// Not even made: too many were under way.
    pub(crate) refused: IntCounter,
}

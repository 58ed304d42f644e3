//! Counters, with labels that nobody outside can add to.

mod audit;
mod keys;
mod register;
mod reload;
mod tokens;
mod traffic;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, Registry, TextEncoder,
};

use super::Outcome;
pub(crate) use audit::AuditCounts;
pub(crate) use keys::KeyGauges;
use keys::KeyMetrics;
use register::{counters, gauges, register};
use reload::CertificateMetrics;
pub(crate) use reload::{CertificateGauges, ReloadGauges};
use tokens::TokenMetrics;
pub(crate) use tokens::{InquiryCounts, RevocationGauges};
pub(crate) use traffic::Traffic;

/// Owned by the server, not global, so that two servers in one process stay apart.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(Arc<Metrics>);

#[derive(Debug)]
struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    forwarded: IntCounter,
    seconds: Histogram,
    tokens: TokenMetrics,
    keys: KeyMetrics,
    revocations: RevocationGauges,
    traffic: Traffic,
    reloads: ReloadGauges,
    certificates: CertificateMetrics,
    inquiries: IntCounterVec,
    shadows: IntCounterVec,
    failed_conditions: IntCounterVec,
    audit: AuditCounts,
    injections: IntCounterVec,
}

impl Recorder {
    /// Fails only if two metrics share a name.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let all = Registry::new();
        let requests =
            counters(&all, "postern_requests_total", "Requests, by how they ended.", &["outcome"])?;
        let help = "The version that is running; always 1.";
        let build = gauges(&all, "postern_build_info", help, &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self(Arc::new(Metrics {
            forwarded: requests.with_label_values(&[Outcome::Forwarded.reason().code()]),
            traffic: Traffic::new(&all, requests.clone())?,
            requests,
            seconds: register(&all, request_seconds()?)?,
            tokens: TokenMetrics::new(&all)?,
            keys: KeyMetrics::new(&all)?,
            revocations: RevocationGauges::new(&all)?,
            reloads: ReloadGauges::new(&all)?,
            certificates: CertificateMetrics::new(&all)?,
            inquiries: counters(
                &all,
                "postern_introspections_total",
                "Inquiries about tokens at an issuer, and those that were not made.",
                &["issuer", "result"],
            )?,
            shadows: counters(
                &all,
                "postern_policy_shadow_total",
                "Requests that passed and that a rule in shadow would have refused.",
                &["rule"],
            )?,
            failed_conditions: counters(
                &all,
                "postern_policy_condition_errors_total",
                "Requests for which a rule's condition was neither true nor false.",
                &["rule"],
            )?,
            audit: AuditCounts::new(&all)?,
            injections: counters(
                &all,
                "postern_injections_total",
                "Pods that the webhook was asked about, by what became of them.",
                &["result"],
            )?,
            registry: all,
        })))
    }

    pub(crate) fn request(&self, outcome: Outcome, took: Duration) {
        match outcome {
            Outcome::Forwarded => self.0.forwarded.inc(),
            Outcome::Answered(_) | Outcome::Ended(_) | Outcome::Broken => {
                self.0.requests.with_label_values(&[outcome.reason().code()]).inc();
            }
        }
        self.0.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn token(&self, remembered: bool) {
        let tokens = &self.0.tokens;
        if remembered { tokens.remembered.inc() } else { tokens.verified.inc() }
    }

    /// By a name from the configuration.
    pub(crate) fn shadow(&self, rule: &str) {
        self.0.shadows.with_label_values(&[rule]).inc();
    }

    /// Likewise.
    pub(crate) fn condition_failed(&self, rule: &str) {
        self.0.failed_conditions.with_label_values(&[rule]).inc();
    }

    /// The metrics of the audit.
    pub(crate) fn audit(&self) -> AuditCounts {
        self.0.audit.clone()
    }

    /// A pod that the webhook was asked about.
    pub(crate) fn injection(&self, result: &'static str) {
        self.0.injections.with_label_values(&[result]).inc();
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.0.traffic.clone()
    }

    /// What becomes of the configuration's file.
    pub(crate) fn reloads(&self) -> ReloadGauges {
        self.0.reloads.clone()
    }

    /// The metrics of a certificate that clients are shown.
    pub(crate) fn certificate(&self, file: &Path) -> CertificateGauges {
        self.0.certificates.of(file)
    }

    /// Says nothing more about an issuer.
    pub(crate) fn forget_issuer(&self, issuer: &str) {
        self.0.keys.forget(issuer);
    }

    /// The metrics of one configured issuer.
    pub(crate) fn keys(&self, issuer: &str) -> KeyGauges {
        self.0.keys.of(issuer)
    }

    /// The metrics of the list of what is revoked.
    pub(crate) fn revocations(&self) -> RevocationGauges {
        self.0.revocations.clone()
    }

    /// What the cache of verdicts holds, as of the moment of asking.
    pub(crate) fn verdicts(&self, remembered: u64, evicted: u64) {
        let tokens = &self.0.tokens;
        tokens.kept.set(i64::try_from(remembered).unwrap_or(i64::MAX));
        // Other rules begin to count anew.
        let before = tokens.evicted_before.swap(evicted, Ordering::Relaxed);
        tokens.evicted.inc_by(evicted.checked_sub(before).unwrap_or(evicted));
    }

    /// The metrics of one issuer that is asked about its tokens.
    pub(crate) fn inquiries(&self, issuer: &str) -> InquiryCounts {
        let count = |result| self.0.inquiries.with_label_values(&[issuer, result]);
        InquiryCounts {
            active: count("ok"),
            inactive: count("inactive"),
            failed: count("failed"),
            refused: count("refused"),
        }
    }

    /// All of it, in Prometheus' text format.
    pub(crate) fn exposition(&self) -> prometheus::Result<(String, Vec<u8>)> {
        let encoder = TextEncoder::new();
        let mut text = Vec::new();
        encoder.encode(&self.0.registry.gather(), &mut text)?;
        Ok((encoder.format_type().to_owned(), text))
    }
}

fn request_seconds() -> prometheus::Result<Histogram> {
    let help = "Time from a request's head to the end of its answer, streams included.";
    let buckets =
        [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0].to_vec();
    Histogram::with_opts(HistogramOpts::new("postern_request_seconds", help).buckets(buckets))
}

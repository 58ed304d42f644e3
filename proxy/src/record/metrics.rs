//! Counters, with labels that nobody outside can add to.

mod audit;
mod exposition;
mod keys;
mod latency;
mod process;
mod register;
mod reload;
mod requests;
mod spans;
mod tokens;
mod traffic;
mod upstreams;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus::{IntCounterVec, Registry, TextEncoder};

use super::refusals::{Refusal, Refusals};
pub(crate) use audit::AuditCounts;
pub(crate) use exposition::{Format, Sample};
pub(crate) use keys::KeyGauges;
use keys::KeyMetrics;
use process::Process;
use register::{counters, gauges};
use reload::CertificateMetrics;
pub(crate) use reload::{CertificateGauges, ReloadGauges, UpgradeCounts};
use requests::RequestMetrics;
pub(crate) use requests::{Done, OpenStream};
pub(crate) use spans::SpanCounts;
use tokens::TokenMetrics;
pub(crate) use tokens::{InquiryCounts, RevocationGauges};
pub(crate) use traffic::Traffic;
use upstreams::UpstreamMetrics;
pub(crate) use upstreams::{Standing, UpstreamCounts};

/// Owned by the server, not global, so that two servers in one process stay apart.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(Arc<Metrics>);

#[derive(Debug)]
struct Metrics {
    registry: Registry,
    requests: RequestMetrics,
    tokens: TokenMetrics,
    keys: KeyMetrics,
    revocations: RevocationGauges,
    traffic: Traffic,
    reloads: ReloadGauges,
    upgrades: UpgradeCounts,
    certificates: CertificateMetrics,
    inquiries: IntCounterVec,
    shadows: IntCounterVec,
    failed_conditions: IntCounterVec,
    audit: AuditCounts,
    injections: IntCounterVec,
    plain: IntCounterVec,
    upstreams: UpstreamMetrics,
    spans: SpanCounts,
    refusals: Refusals,
}

impl Recorder {
    /// Fails only if two metrics share a name.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let all = Registry::new();
        let requests = RequestMetrics::new(&all)?;
        all.register(Box::new(Process::new()?))?;
        let help = "The version that is running; always 1.";
        let build = gauges(&all, "postern_build_info", help, &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self(Arc::new(Metrics {
            traffic: Traffic::new(&all, requests.total().clone())?,
            requests,
            tokens: TokenMetrics::new(&all)?,
            keys: KeyMetrics::new(&all)?,
            revocations: RevocationGauges::new(&all)?,
            reloads: ReloadGauges::new(&all)?,
            upgrades: UpgradeCounts::new(&all)?,
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
            plain: counters(
                &all,
                "postern_plain_requests_total",
                "Requests that came without TLS to be led to https, by what became of them.",
                &["result"],
            )?,
            upstreams: UpstreamMetrics::new(&all)?,
            spans: SpanCounts::new(&all)?,
            refusals: Refusals::new(),
            registry: all,
        })))
    }

    pub(crate) fn request(&self, done: &Done<'_>) {
        self.0.requests.count(done);
    }

    /// Remembers it for whoever looks.
    pub(crate) fn refused(&self, refusal: Refusal) {
        self.0.refusals.note(refusal);
    }

    /// The last ones, the latest first, each with its number.
    pub(crate) fn refusals(&self) -> Vec<Arc<(u64, Refusal)>> {
        self.0.refusals.latest()
    }

    /// What is measured now: of each series its name, labels and value. Histograms are left out.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.0.registry.gather().iter().flat_map(exposition::samples).collect()
    }

    /// An answer whose length nobody knows yet.
    pub(crate) fn stream(&self) -> OpenStream {
        self.0.requests.stream()
    }

    /// One that was accepted: whose, what it rests on, and whether it had been verified before.
    pub(crate) fn token(&self, issuer: &str, algorithm: &str, remembered: bool) {
        self.0.tokens.accepted(issuer, algorithm, remembered);
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

    /// The metrics of traces.
    pub(crate) fn spans(&self) -> SpanCounts {
        self.0.spans.clone()
    }

    /// A pod that the webhook was asked about.
    pub(crate) fn injection(&self, result: &'static str) {
        self.0.injections.with_label_values(&[result]).inc();
    }

    /// A request that came without TLS to where clients are led to https.
    pub(crate) fn plain(&self, result: &'static str) {
        self.0.plain.with_label_values(&[result]).inc();
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.0.traffic.clone()
    }

    /// What becomes of the configuration's file.
    pub(crate) fn reloads(&self) -> ReloadGauges {
        self.0.reloads.clone()
    }

    /// What becomes of attempts to let another process take over.
    pub(crate) fn upgrades(&self) -> UpgradeCounts {
        self.0.upgrades.clone()
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

    /// The metrics of one configured backend.
    pub(crate) fn upstream(&self, name: &str) -> UpstreamCounts {
        self.0.upstreams.of(name)
    }

    /// How all of them are, as of the moment of asking.
    pub(crate) fn upstreams(&self, all: &BTreeMap<Arc<str>, Standing>) {
        self.0.upstreams.show(all);
    }

    /// All of it.
    pub(crate) fn exposition(&self, format: Format) -> prometheus::Result<String> {
        let families = self.0.registry.gather();
        match format {
            Format::Text => TextEncoder::new().encode_to_string(&families),
            Format::OpenMetrics => {
                Ok(exposition::open_metrics(&families, &self.0.requests.exemplars()))
            }
        }
    }
}

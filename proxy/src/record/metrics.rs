//! Counters, with labels that nobody outside can add to.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::Outcome;

/// Owned by the server, not global, so that two servers in one process stay apart.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(Arc<Metrics>);

#[derive(Debug)]
struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    forwarded: IntCounter,
    seconds: Histogram,
    remembered: IntCounter,
    verified: IntCounter,
    traffic: Traffic,
    fetches: IntCounterVec,
    keys: IntGaugeVec,
    skipped: IntGaugeVec,
    refused_looks: IntCounterVec,
    reused: IntCounterVec,
    fetched_at: GaugeVec,
    revocations: RevocationGauges,
}

/// The list of what is revoked.
#[derive(Clone, Debug)]
pub(crate) struct RevocationGauges {
    entries: IntGauge,
    current: IntGauge,
}

impl RevocationGauges {
    pub(crate) fn taken(&self, entries: usize) {
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    pub(crate) fn current(&self, current: bool) {
        self.current.set(current.into());
    }
}

/// What the listener counts.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    pub(crate) open: IntGauge,
    pub(crate) refused: IntCounter,
    pub(crate) failed_handshakes: IntCounter,
}

impl Recorder {
    /// Fails only if two metrics share a name.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let all = Registry::new();
        let requests =
            counters(&all, "postern_requests_total", "Requests, by how they ended.", &["outcome"])?;
        let tokens = counters(
            &all,
            "postern_tokens_accepted_total",
            "Accepted tokens, by where the verdict came from.",
            &["verdict"],
        )?;
        let build = Opts::new("postern_build_info", "The version that is running; always 1.");
        let build = register(&all, IntGaugeVec::new(build, &["version"])?)?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let keys = Opts::new("postern_keys", "Keys of an issuer that are in use.");
        let skipped = Opts::new(
            "postern_keys_skipped",
            "Keys that an issuer publishes and that are weak, malformed or not for the public.",
        );
        let fetched_at = Opts::new(
            "postern_keys_fetched_timestamp_seconds",
            "When an issuer's keys were last fetched.",
        );
        Ok(Self(Arc::new(Metrics {
            forwarded: requests.with_label_values(&[Outcome::Forwarded.label()]),
            requests,
            seconds: register(&all, request_seconds()?)?,
            remembered: tokens.with_label_values(&["remembered"]),
            verified: tokens.with_label_values(&["verified"]),
            traffic: Traffic::new(&all)?,
            fetches: counters(
                &all,
                "postern_key_fetches_total",
                "Fetches of an issuer's keys.",
                &["issuer", "result"],
            )?,
            keys: register(&all, IntGaugeVec::new(keys, &["issuer"])?)?,
            skipped: register(&all, IntGaugeVec::new(skipped, &["issuer"])?)?,
            refused_looks: counters(
                &all,
                "postern_key_looks_refused_total",
                "Tokens with an unknown key id that were told to come back: too many at once.",
                &["issuer"],
            )?,
            reused: counters(
                &all,
                "postern_key_ids_reused_total",
                "Key ids under which an issuer has published another key.",
                &["issuer"],
            )?,
            fetched_at: register(&all, GaugeVec::new(fetched_at, &["issuer"])?)?,
            revocations: RevocationGauges {
                entries: gauge(&all, "postern_revocations", "Entries in the list of revocations.")?,
                current: gauge(
                    &all,
                    "postern_revocations_current",
                    "Whether the list of revocations in force is the one in its file.",
                )?,
            },
            registry: all,
        })))
    }

    pub(crate) fn request(&self, outcome: Outcome, took: Duration) {
        match outcome {
            Outcome::Forwarded => self.0.forwarded.inc(),
            Outcome::Answered(_) | Outcome::Ended(_) | Outcome::Broken => {
                self.0.requests.with_label_values(&[outcome.label()]).inc();
            }
        }
        self.0.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn token(&self, remembered: bool) {
        if remembered { self.0.remembered.inc() } else { self.0.verified.inc() }
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.0.traffic.clone()
    }

    /// The metrics of one configured issuer.
    pub(crate) fn keys(&self, issuer: &str) -> KeyGauges {
        KeyGauges {
            fetched: self.0.fetches.with_label_values(&[issuer, "ok"]),
            failed: self.0.fetches.with_label_values(&[issuer, "failed"]),
            keys: self.0.keys.with_label_values(&[issuer]),
            skipped: self.0.skipped.with_label_values(&[issuer]),
            refused_looks: self.0.refused_looks.with_label_values(&[issuer]),
            reused: self.0.reused.with_label_values(&[issuer]),
            fetched_at: self.0.fetched_at.with_label_values(&[issuer]),
        }
    }

    /// The metrics of the list of what is revoked.
    pub(crate) fn revocations(&self) -> RevocationGauges {
        self.0.revocations.clone()
    }

    /// All of it, in Prometheus' text format.
    pub(crate) fn exposition(&self) -> prometheus::Result<(String, Vec<u8>)> {
        let encoder = TextEncoder::new();
        let mut text = Vec::new();
        encoder.encode(&self.0.registry.gather(), &mut text)?;
        Ok((encoder.format_type().to_owned(), text))
    }
}

/// The metrics of one issuer's keys.
#[derive(Clone, Debug)]
pub(crate) struct KeyGauges {
    fetched: IntCounter,
    failed: IntCounter,
    keys: IntGauge,
    skipped: IntGauge,
    refused_looks: IntCounter,
    reused: IntCounter,
    fetched_at: Gauge,
}

impl KeyGauges {
    #[expect(clippy::disallowed_methods, reason = "the metric is a date; no request sees it")]
    pub(crate) fn fetched(&self, keys: usize) {
        self.fetched.inc();
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.fetched_at.set(now.as_secs_f64());
    }

    pub(crate) fn failed(&self) {
        self.failed.inc();
    }

    pub(crate) fn emptied(&self) {
        self.keys.set(0);
    }

    pub(crate) fn skipped(&self, keys: usize) {
        self.skipped.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }

    pub(crate) fn refused(&self) {
        self.refused_looks.inc();
    }

    pub(crate) fn reused(&self) {
        self.reused.inc();
    }
}

impl Traffic {
    /// Counted, and shown to nobody: the admin listener's own connections.
    pub(crate) fn unseen() -> prometheus::Result<Self> {
        Self::new(&Registry::new())
    }

    fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            open: gauge(registry, "postern_connections", "Connections open.")?,
            refused: register(
                registry,
                IntCounter::new(
                    "postern_connections_refused_total",
                    "Connections closed at once because there were too many.",
                )?,
            )?,
            failed_handshakes: register(
                registry,
                IntCounter::new(
                    "postern_handshakes_failed_total",
                    "TLS handshakes that failed or took too long.",
                )?,
            )?,
        })
    }
}

fn request_seconds() -> prometheus::Result<Histogram> {
    let help = "Time from a request's head to the end of its answer, streams included.";
    let buckets =
        [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0].to_vec();
    Histogram::with_opts(HistogramOpts::new("postern_request_seconds", help).buckets(buckets))
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    register(registry, IntGauge::new(name, help)?)
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

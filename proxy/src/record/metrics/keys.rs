//! What becomes of issuers' keys.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{
    Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::register::{counters, gauges, register};

/// Of all issuers.
#[derive(Debug)]
pub(super) struct KeyMetrics {
    fetches: IntCounterVec,
    keys: IntGaugeVec,
    skipped: IntGaugeVec,
    refused_looks: IntCounterVec,
    reused: IntCounterVec,
    fetched_at: GaugeVec,
    next_at: GaugeVec,
}

impl KeyMetrics {
    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        let fetched_at = Opts::new(
            "postern_keys_fetched_timestamp_seconds",
            "When an issuer's keys were last fetched.",
        );
        let next_at = Opts::new(
            "postern_keys_next_fetch_timestamp_seconds",
            "When an issuer's keys are fetched next, unless a token names an unknown one before.",
        );
        Ok(Self {
            fetches: counters(
                all,
                "postern_key_fetches_total",
                "Fetches of an issuer's keys.",
                &["issuer", "result"],
            )?,
            keys: gauges(all, "postern_keys", "Keys of an issuer that are in use.", &["issuer"])?,
            skipped: gauges(
                all,
                "postern_keys_skipped",
                "Keys that an issuer publishes and that are weak, malformed or not for the public.",
                &["issuer"],
            )?,
            refused_looks: counters(
                all,
                "postern_key_looks_refused_total",
                "Tokens with an unknown key id that were told to come back: too many at once.",
                &["issuer"],
            )?,
            reused: counters(
                all,
                "postern_key_ids_reused_total",
                "Key ids under which an issuer has published another key.",
                &["issuer"],
            )?,
            fetched_at: register(all, GaugeVec::new(fetched_at, &["issuer"])?)?,
            next_at: register(all, GaugeVec::new(next_at, &["issuer"])?)?,
        })
    }

    /// What was counted stays; what is no longer so goes.
    pub(super) fn forget(&self, issuer: &str) {
        for gauges in [&self.keys, &self.skipped] {
            // The only failure there is: it was never there.
            drop(gauges.remove_label_values(&[issuer]));
        }
        for dates in [&self.fetched_at, &self.next_at] {
            drop(dates.remove_label_values(&[issuer]));
        }
    }

    pub(super) fn of(&self, issuer: &str) -> KeyGauges {
        KeyGauges {
            fetched: self.fetches.with_label_values(&[issuer, "ok"]),
            failed: self.fetches.with_label_values(&[issuer, "failed"]),
            keys: self.keys.with_label_values(&[issuer]),
            skipped: self.skipped.with_label_values(&[issuer]),
            refused_looks: self.refused_looks.with_label_values(&[issuer]),
            reused: self.reused.with_label_values(&[issuer]),
            fetched_at: self.fetched_at.with_label_values(&[issuer]),
            next_at: self.next_at.with_label_values(&[issuer]),
        }
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
    next_at: Gauge,
}

impl KeyGauges {
    pub(crate) fn fetched(&self, keys: usize) {
        self.fetched.inc();
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.fetched_at.set(now().as_secs_f64());
    }

    /// When the next look is due.
    pub(crate) fn next_look_in(&self, pause: Duration) {
        self.next_at.set(now().saturating_add(pause).as_secs_f64());
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

#[expect(clippy::disallowed_methods, reason = "the metrics are dates; no request sees them")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

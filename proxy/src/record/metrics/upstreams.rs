//! The servers behind us, by the names that the configuration has for them.

#![expect(clippy::disallowed_types, reason = "only who reads the metrics comes here")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Registry};

use super::register::{counters, gauges};

/// Of all of them.
#[derive(Debug)]
pub(super) struct UpstreamMetrics {
    connects: IntCounterVec,
    failures: IntCounterVec,
    retries: IntCounterVec,
    lookups: IntCounterVec,
    servers: IntGaugeVec,
    open: IntGaugeVec,
    shown: Mutex<BTreeSet<Arc<str>>>,
}

/// What there is of one name at the moment of asking.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) up: i64,
    pub(crate) down: i64,
    pub(crate) open: i64,
}

impl UpstreamMetrics {
    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            connects: counters(
                all,
                "postern_upstream_connects_total",
                "Connections made to a backend.",
                &["upstream"],
            )?,
            failures: counters(
                all,
                "postern_upstream_failures_total",
                "Requests and checks that a backend failed, before any answer.",
                &["upstream", "reason"],
            )?,
            retries: counters(
                all,
                "postern_upstream_retries_total",
                "Requests that failed at a backend and were sent once more.",
                &["upstream"],
            )?,
            lookups: counters(
                all,
                "postern_upstream_lookups_total",
                "Looks at the addresses of a backend's name.",
                &["upstream", "result"],
            )?,
            servers: gauges(
                all,
                "postern_upstream_servers",
                "Servers of a backend: up, or down while others could take their requests.",
                &["upstream", "state"],
            )?,
            open: gauges(
                all,
                "postern_upstream_open_requests",
                "Requests that are open at a backend, streams among them.",
                &["upstream"],
            )?,
            shown: Mutex::default(),
        })
    }

    /// What is not there any more is shown no longer.
    pub(super) fn show(&self, all: &BTreeMap<Arc<str>, Standing>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.iter().filter(|name| !all.contains_key(*name)) {
            // The only failure there is: it was never there.
            drop(self.servers.remove_label_values(&[gone, "up"]));
            drop(self.servers.remove_label_values(&[gone, "down"]));
            drop(self.open.remove_label_values(&[gone]));
        }
        for (name, standing) in all {
            self.servers.with_label_values(&[&**name, "up"]).set(standing.up);
            self.servers.with_label_values(&[&**name, "down"]).set(standing.down);
            self.open.with_label_values(&[name]).set(standing.open);
        }
        *shown = all.keys().cloned().collect();
    }

    pub(super) fn of(&self, name: &str) -> UpstreamCounts {
        UpstreamCounts {
            connects: self.connects.with_label_values(&[name]),
            retries: self.retries.with_label_values(&[name]),
            found: self.lookups.with_label_values(&[name, "ok"]),
            not_found: self.lookups.with_label_values(&[name, "failed"]),
            failures: self.failures.clone(),
            name: name.into(),
        }
    }
}

/// The metrics of one name.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamCounts {
    connects: IntCounter,
    retries: IntCounter,
    found: IntCounter,
    not_found: IntCounter,
    failures: IntCounterVec,
    name: Arc<str>,
}

impl UpstreamCounts {
    pub(crate) fn connected(&self) {
        self.connects.inc();
    }

    pub(crate) fn retried(&self) {
        self.retries.inc();
    }

    pub(crate) fn failed(&self, reason: &'static str) {
        self.failures.with_label_values(&[&*self.name, reason]).inc();
    }

    pub(crate) fn looked_up(&self, found: bool) {
        if found { self.found.inc() } else { self.not_found.inc() }
    }
}

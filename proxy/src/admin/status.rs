//! What the status page shows, as one JSON document.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Admin;
use crate::config::Source;
use crate::holder::KeyHolder;
use crate::reason::Reason;
use crate::record::{Refusal, Sample, Short};
use crate::snapshot::Snapshot;

/// All of it, as of now.
pub(super) fn document(admin: &Admin, now: SystemTime) -> Value {
    let snapshot = admin.live.pin();
    let samples = Samples(admin.recorder.samples());
    let refusals = admin.recorder.refusals();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": seconds(now),
        "started": samples.sum("process_start_time_seconds", &[]),
        "ready": admin.is_ready(&snapshot),
        "stopping": admin.is_stopping(),
        "config": admin.report().as_deref(),
        "process": {
            "memory": samples.sum("process_resident_memory_bytes", &[]),
            "files": samples.sum("process_open_fds", &[]),
            "most_files": samples.sum("process_max_fds", &[]),
        },
        "connections": {
            "open": samples.sum("postern_connections", &[]),
            "most": samples.sum("postern_connections_limit", &[]),
        },
        "streams": samples.sum("postern_streams", &[]),
        "requests": {
            "all": samples.sum(REQUESTS, &[]),
            "4xx": samples.sum(REQUESTS, &[("status", "4xx")]),
            "5xx": samples.sum(REQUESTS, &[("status", "5xx")]),
        },
        "issuers": snapshot.issuers.holders().map(|one| issuer(one, &samples)).collect::<Vec<_>>(),
        "certificates": certificates(&samples),
        "upstreams": upstreams(&snapshot, &samples),
        "servers": super::upstreams(&snapshot),
        "limits": snapshot.about.limits,
        "refusals": refusals.iter().map(|one| refusal(&one.1)).collect::<Vec<_>>(),
    })
}

/// What is measured now.
struct Samples(Vec<Sample>);

impl Samples {
    fn named<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// Of those that have these labels, among others.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            labels.iter().all(|(name, value)| label(sample, name) == Some(value))
        };
        // Not `sum`: of nothing that is less than nothing, -0.
        self.named(name).filter(has).fold(0.0, |sum, sample| sum + sample.value)
    }
}

fn label<'s>(sample: &'s Sample, name: &str) -> Option<&'s str> {
    let mut labels = sample.labels.iter();
    labels.find(|(its, _)| its == name).map(|(_, value)| value.as_str())
}

fn issuer(holder: &KeyHolder, samples: &Samples) -> Value {
    let name = holder.issuer.issuer.as_str();
    let of = |metric| samples.sum(metric, &[("issuer", name)]);
    let keys = holder.keyring.current();
    let keys = keys.iter().flat_map(|keys| keys.keys());
    let keys = keys.map(|key| {
        json!({ "id": key.id().map(|id| Short::of(id).as_str().to_owned()), "algorithm": key.algorithm() })
    });
    let failed = match &holder.issuer.source {
        Source::Keys(_) => "postern_key_fetches_total",
        Source::Introspection(_) => "postern_introspections_total",
    };
    json!({
        "issuer": name,
        "usable": holder.is_ready(),
        "state": state(holder),
        "keys": keys.collect::<Vec<_>>(),
        "skipped": of("postern_keys_skipped"),
        "fetched": of("postern_keys_fetched_timestamp_seconds"),
        "next": of("postern_keys_next_fetch_timestamp_seconds"),
        "failed": samples.sum(failed, &[("issuer", name), ("result", "failed")]),
    })
}

/// How things stand with it, in words.
pub(super) fn state(holder: &KeyHolder) -> &'static str {
    match &holder.issuer.source {
        Source::Keys(_) if holder.is_ready() => "in use",
        Source::Keys(_) if holder.keyring.is_emptied() => "too old to be used",
        Source::Keys(_) => "never fetched",
        Source::Introspection(_) if holder.is_ready() => "asked about each token",
        Source::Introspection(_) => "its endpoint is not known",
    }
}

fn certificates(samples: &Samples) -> Vec<Value> {
    let expiries = samples.named("postern_certificate_expiry_timestamp_seconds");
    let one = |sample: &Sample| {
        let file = label(sample, "file").unwrap_or_default();
        let current = samples.sum("postern_certificate_current", &[("file", file)]) > 0.0;
        json!({ "file": file, "expires": sample.value, "current": current })
    };
    expiries.map(one).collect()
}

fn upstreams(snapshot: &Snapshot, samples: &Samples) -> Vec<Value> {
    let sites = snapshot.about.sites.iter();
    let one = |(resource, address): &(String, String)| {
        let measured = ["forwarded", "bad_gateway", "gateway_timeout"].map(|outcome| {
            let labels = [("route", resource.as_str()), ("outcome", outcome)];
            (outcome.replace('_', " "), samples.sum(REQUESTS, &labels))
        });
        json!({ "resource": resource, "address": address, "measured": measured })
    };
    sites.map(one).collect()
}

fn refusal(one: &Refusal) -> Value {
    let text = |text: &Option<Short>| text.as_ref().map(|text| text.as_str().to_owned());
    json!({
        "time": seconds(one.time),
        "reason": one.reason.code(),
        "means": one.reason.about().what,
        "ended": one.ended.map(Reason::code),
        "status": one.status,
        "method": one.method.as_str(),
        "path": one.path.as_str(),
        "issuer": text(&one.issuer),
        "subject": text(&one.subject),
        "client": text(&one.client),
        "call": text(&one.call),
        "name": text(&one.name),
        "rule": text(&one.rule),
        "address": one.address,
        "request_id": text(&one.request_id),
    })
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

const REQUESTS: &str = "postern_requests_total";

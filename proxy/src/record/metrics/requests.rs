//! Requests that are over: how many, how they ended, and how long they took.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Registry};

use super::latency::{Exemplars, Latency};
use super::register::{counters, gauge, register};
use crate::record::Outcome;

/// What is counted of one request. Each label's values come from the configuration or from a list of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done<'a> {
    /// The resource that it was for, as its URL; or the public place, or `none`.
    pub(crate) route: &'a str,
    /// Of the answer; 0 where there was none.
    pub(crate) status: u16,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
    /// What of that was our own doing.
    pub(crate) added: Option<Duration>,
    /// What a tool counts as, if one was called.
    pub(crate) tool: Option<&'a str>,
    pub(crate) trace_id: Option<&'a str>,
}

#[derive(Debug)]
pub(super) struct RequestMetrics {
    total: IntCounterVec,
    seconds: Latency,
    added: Latency,
    calls: IntCounterVec,
    call_seconds: HistogramVec,
    streams: IntGauge,
}

impl RequestMetrics {
    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        let total = "Requests, by the resource or public place that they were for, the class of their \
                     answer's status, and how they ended.";
        let seconds = "Time from a request's head to the end of its answer, streams included.";
        let added = "Of requests that the backend answered, the time that they spent here: from the head \
                     to when the backend was turned to (reading a body, waiting for keys or an issuer's \
                     word included), and from the last of its answer to the end of ours.";
        let calls = "Calls of tools, where a policy reads them, by the first name or pattern of the policy \
                     that the tool fits, and how they ended.";
        let call_seconds = "Time from the head of a tool's call to the end of its answer.";
        let call_seconds = HistogramOpts::new("postern_tool_call_seconds", call_seconds);
        let call_seconds = call_seconds.buckets(TOTAL.to_vec());
        Ok(Self {
            total: counters(all, "postern_requests_total", total, &["route", "status", "outcome"])?,
            seconds: Latency::new(all, "postern_request_seconds", seconds, TOTAL)?,
            added: Latency::new(all, "postern_added_seconds", added, ADDED)?,
            calls: counters(all, "postern_tool_calls_total", calls, &["route", "tool", "outcome"])?,
            call_seconds: register(all, HistogramVec::new(call_seconds, &["route", "tool"])?)?,
            streams: gauge(
                all,
                "postern_streams",
                "Answers without a known length that are being passed on now, streams of events among them.",
            )?,
        })
    }

    pub(super) fn total(&self) -> &IntCounterVec {
        &self.total
    }

    pub(super) fn count(&self, done: &Done<'_>) {
        let outcome = done.outcome.reason().code();
        self.total.with_label_values(&[done.route, class(done.status), outcome]).inc();
        self.seconds.observe(done.route, done.took, done.trace_id);
        if let Some(added) = done.added {
            self.added.observe(done.route, added, done.trace_id);
        }
        if let Some(tool) = done.tool {
            self.calls.with_label_values(&[done.route, tool, outcome]).inc();
            let seconds = self.call_seconds.with_label_values(&[done.route, tool]);
            seconds.observe(done.took.as_secs_f64());
        }
    }

    pub(super) fn stream(&self) -> OpenStream {
        self.streams.inc();
        OpenStream(self.streams.clone())
    }

    pub(super) fn exemplars(&self) -> [&Exemplars; 2] {
        [self.seconds.exemplars(), self.added.exemplars()]
    }
}

/// Counts as open for as long as it is held.
#[derive(Debug)]
pub(crate) struct OpenStream(IntGauge);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// All that is told of a status.
pub(super) fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "none",
    }
}

const TOTAL: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Most need a hundred microseconds or two; a look at an issuer's keys may take five seconds.
const ADDED: &[f64] = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];

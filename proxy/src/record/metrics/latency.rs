//! How long requests took, and for each bucket the last trace that shows it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use prometheus::{HistogramOpts, HistogramVec, Registry};

use super::register::register;

/// One histogram, by route.
#[derive(Debug)]
pub(super) struct Latency {
    seconds: HistogramVec,
    exemplars: Exemplars,
}

/// The last traced request of each bucket.
#[derive(Debug)]
pub(super) struct Exemplars {
    pub(super) name: &'static str,
    bounds: &'static [f64],
    /// One more than there are bounds: what is beyond the last.
    last: Box<[ArcSwapOption<Exemplar>]>,
}

/// One request that fell into a bucket.
#[derive(Debug)]
pub(super) struct Exemplar {
    pub(super) route: Box<str>,
    pub(super) trace_id: Box<str>,
    pub(super) value: f64,
    /// Since 1970.
    pub(super) at: f64,
}

impl Latency {
    pub(super) fn new(
        all: &Registry,
        name: &'static str,
        help: &str,
        bounds: &'static [f64],
    ) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        let last = bounds.iter().map(|_| ArcSwapOption::empty());
        let last = last.chain([ArcSwapOption::empty()]).collect();
        Ok(Self {
            seconds: register(all, HistogramVec::new(options, &["route"])?)?,
            exemplars: Exemplars { name, bounds, last },
        })
    }

    /// Requests without a trace, most of them, cost nothing but the count.
    pub(super) fn observe(&self, route: &str, took: Duration, trace_id: Option<&str>) {
        let value = took.as_secs_f64();
        self.seconds.with_label_values(&[route]).observe(value);
        if let Some(trace_id) = trace_id {
            self.exemplars.note(route, value, trace_id);
        }
    }

    pub(super) fn exemplars(&self) -> &Exemplars {
        &self.exemplars
    }
}

impl Exemplars {
    fn note(&self, route: &str, value: f64, trace_id: &str) {
        #[expect(clippy::disallowed_methods, reason = "the exemplar is dated; no request sees it")]
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        if let Some(last) = self.last.get(self.bounds.partition_point(|bound| *bound < value)) {
            let (route, trace_id) = (route.into(), trace_id.into());
            last.store(Some(Arc::new(Exemplar { route, trace_id, value, at })));
        }
    }

    /// Of the bucket with this number, if the last one in it was for `route`.
    pub(super) fn of(&self, bucket: usize, route: &str) -> Option<Arc<Exemplar>> {
        self.last.get(bucket)?.load_full().filter(|exemplar| *exemplar.route == *route)
    }
}

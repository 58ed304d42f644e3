//! Everything a request may read, fixed for as long as the request lasts.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{Limits, Rate, Rules};
use crate::front::Front;
use crate::pipeline::authorize::Permit;
use crate::pipeline::framing::Bounds;
use crate::pipeline::proof::Ledger;
use crate::pipeline::revocation::Revocations;
use crate::pipeline::{Cells, Pipeline};
use crate::trust::Trust;
use crate::upstream::{Pool, Pools};

/// One consistent generation of the rules, ready to use. Immutable.
pub(crate) struct Snapshot {
    pub(crate) pipeline: Pipeline,
    pub(crate) body_bytes: usize,
    pub(crate) issuers: Trust,
    pub(crate) pools: Pools,
    /// Of each site, by its number.
    backends: Vec<Option<Arc<Pool>>>,
    /// If anything of it is turned on.
    pub(crate) front: Option<Front>,
    pub(crate) about: About,
}

/// What people are told of the rules.
pub(crate) struct About {
    /// Each resource, and what stands behind it.
    pub(crate) sites: Vec<(String, String)>,
    /// Each limit by its name, as it is written.
    pub(crate) limits: Vec<(&'static str, String)>,
}

impl Snapshot {
    /// Of the rules, and of what others look after.
    pub(crate) fn new(rules: &Rules, limits: &Limits, parts: Parts) -> Self {
        let Parts { issuers, pools, revocations, ledger, front } = parts;
        let keyrings = issuers.holders().map(|holder| Arc::clone(&holder.keyring)).collect();
        let cells = Cells { keyrings, revocations, ledger };
        let pipeline = pipeline(rules, limits, &cells);
        let backends = pipeline.upstreams().map(|upstream| pools.of(upstream)).collect();
        let about = about(rules, limits);
        let body_bytes = limits.body_bytes;
        Self { pipeline, body_bytes, issuers, pools, backends, front, about }
    }

    /// The servers that a permitted request may go to.
    pub(crate) fn pool(&self, permit: &Permit) -> Option<&Arc<Pool>> {
        self.backends.get(permit.site())?.as_ref()
    }
}

/// What a generation is made of besides its rules.
pub(crate) struct Parts {
    /// Those of the rules, in their order.
    pub(crate) issuers: Trust,
    /// Those of the rules' sites.
    pub(crate) pools: Pools,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) front: Option<Front>,
}

fn about(rules: &Rules, limits: &Limits) -> About {
    let sites = rules.sites.iter();
    let sites = sites.map(|site| (site.resource.as_str().to_owned(), site.upstream.to_string()));
    let rates = &rules.rates;
    let rate = |rate: Option<Rate>| rate.map_or_else(|| OFF.to_owned(), |rate| rate.to_string());
    let streams = rates.streams_per_principal;
    About {
        sites: sites.collect(),
        limits: vec![
            ("connections", limits.connections.to_string()),
            ("header_bytes", limits.header_bytes.to_string()),
            ("body_bytes", limits.body_bytes.to_string()),
            ("failed_authentication", rate(rates.failed_authentication)),
            ("requests_per_principal", rate(rates.requests_per_principal)),
            ("requests_per_client", rate(rates.requests_per_client)),
            (
                "streams_per_principal",
                streams.map_or_else(|| OFF.to_owned(), |most| most.to_string()),
            ),
        ],
    }
}

const OFF: &str = "off";

/// The rules at work.
pub(crate) fn pipeline(rules: &Rules, limits: &Limits, cells: &Cells) -> Pipeline {
    let bounds = Bounds {
        target_bytes: limits.target_bytes,
        header_bytes: limits.header_bytes,
        headers: limits.headers,
        body_bytes: limits.body_bytes,
    };
    Pipeline::new(rules, bounds, cells)
}

/// The generation now in force.
pub(crate) struct Live(ArcSwap<Snapshot>);

impl Live {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self(ArcSwap::from_pointee(snapshot))
    }

    /// Pins the current generation; a later swap does not disturb the holder.
    pub(crate) fn pin(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Puts another generation into force, for all that begin from now on.
    pub(crate) fn swap(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }
}

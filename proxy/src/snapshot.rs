//! Everything a request may read, fixed for as long as the request lasts.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{Limits, Rules};
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
}

impl Snapshot {
    /// Of the rules, and of what others look after.
    pub(crate) fn new(rules: &Rules, limits: &Limits, parts: Parts) -> Self {
        let Parts { issuers, pools, revocations, ledger, front } = parts;
        let keyrings = issuers.holders().map(|holder| Arc::clone(&holder.keyring)).collect();
        let cells = Cells { keyrings, revocations, ledger };
        let pipeline = pipeline(rules, limits, &cells);
        let backends = pipeline.upstreams().map(|upstream| pools.of(upstream)).collect();
        Self { pipeline, body_bytes: limits.body_bytes, issuers, pools, backends, front }
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

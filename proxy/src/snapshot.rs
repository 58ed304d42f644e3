//! Everything a request may read, fixed for as long as the request lasts.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use url::Url;

use crate::config::{IntrospectionEndpoint, Limits, Rules, Source, TrustedIssuer};
use crate::keys::Keyring;
use crate::pipeline::framing::Bounds;
use crate::pipeline::proof::Ledger;
use crate::pipeline::revocation::Revocations;
use crate::pipeline::{Cells, Pipeline};

/// One consistent generation of the rules, ready to use. Immutable.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) pipeline: Pipeline,
    pub(crate) body_bytes: usize,
    pub(crate) issuers: Vec<KeyHolder>,
    pub(crate) revocations: Arc<Revocations>,
}

/// An issuer, and where that is kept which it is judged by: its keys, or where it is asked.
#[derive(Clone)]
pub(crate) struct KeyHolder {
    pub(crate) issuer: TrustedIssuer,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) endpoint: Arc<ArcSwapOption<Url>>,
}

impl KeyHolder {
    fn new(issuer: &TrustedIssuer) -> Self {
        let configured = match &issuer.source {
            Source::Introspection(introspection) => match &introspection.endpoint {
                IntrospectionEndpoint::Url(url) => Some(url.clone()),
                IntrospectionEndpoint::Discover => None,
            },
            Source::Keys(_) => None,
        };
        let endpoint = Arc::new(ArcSwapOption::from_pointee(configured));
        Self { issuer: issuer.clone(), keyring: Arc::default(), endpoint }
    }

    /// Whether its tokens can be judged, as far as is known without trying.
    pub(crate) fn is_ready(&self) -> bool {
        match &self.issuer.source {
            Source::Keys(_) => self.keyring.current().is_some(),
            Source::Introspection(_) => self.endpoint.load().is_some(),
        }
    }
}

impl Snapshot {
    pub(crate) fn new(rules: &Rules, limits: &Limits, ledger: Arc<Ledger>) -> Self {
        let issuers: Vec<KeyHolder> = rules.issuers.iter().map(KeyHolder::new).collect();
        let cells = Cells {
            keyrings: issuers.iter().map(|holder| Arc::clone(&holder.keyring)).collect(),
            revocations: Arc::default(),
            ledger,
        };
        let bounds = Bounds {
            target_bytes: limits.target_bytes,
            header_bytes: limits.header_bytes,
            headers: limits.headers,
            body_bytes: limits.body_bytes,
        };
        Self {
            pipeline: Pipeline::new(rules, bounds, &cells),
            body_bytes: limits.body_bytes,
            issuers,
            revocations: cells.revocations,
        }
    }

    /// Whether every issuer's tokens can be judged.
    pub(crate) fn has_all_keys(&self) -> bool {
        self.issuers.iter().all(KeyHolder::is_ready)
    }
}

/// The generation now in force.
#[derive(Debug)]
pub(crate) struct Live(ArcSwap<Snapshot>);

impl Live {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self(ArcSwap::from_pointee(snapshot))
    }

    /// Pins the current generation; a later swap does not disturb the holder.
    pub(crate) fn pin(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

impl fmt::Debug for KeyHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyHolder").field(&self.issuer.issuer).field(&self.keyring).finish()
    }
}

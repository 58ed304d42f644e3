//! One resource: its place, and the stages that guard it.

mod admit;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::Cells;
use super::assertion::{Assertions, Unsigned};
use super::authenticate::{Memory, Rejected, Standing, Verifier};
use super::authorize::{Permit, Policy};
use super::call::Call;
use super::challenge::Challenges;
use super::channel::Channel;
use super::headers::Relay;
use super::limit::Limiter;
use super::list::Unreadable;
use super::metadata::Metadata;
use super::origin::Doors;
use super::proof::Proofs;
use super::response;
use super::session::{BackendTag, Sessions, Unsealable};
use super::trail::Arrival;
use crate::config::{self, Resource, Rules, Upstream};
pub(super) use admit::Case;

/// Everything that is one resource's own.
#[derive(Debug)]
pub struct Site {
    doors: Doors,
    websocket: bool,
    resource: Resource,
    landing: Bytes,
    metadata: Metadata,
    challenges: Challenges,
    verifier: Verifier,
    proofs: Proofs,
    policy: Policy,
    sessions: Sessions,
    limiter: Limiter,
    relay: Relay,
    assertions: Option<Assertions>,
    upstream: Upstream,
}

impl Site {
    /// `number` is its own among the pipeline's; `is_alone` if no other has its host.
    pub(super) fn new(
        number: usize,
        site: &config::Site,
        rules: &Rules,
        cells: &Cells,
        is_alone: bool,
    ) -> Self {
        let metadata = Metadata::new(site, rules, is_alone);
        Self {
            doors: Doors::new(site),
            websocket: site.websocket,
            resource: site.resource.clone(),
            landing: landing(site, &metadata, rules),
            challenges: Challenges::new(metadata.url(), &site.scopes, &rules.dpop),
            metadata,
            verifier: Verifier::new(site, rules, cells),
            proofs: Proofs::new(site, &rules.dpop, Arc::clone(&cells.ledger)),
            limiter: Limiter::new(&site.resource, &rules.rates, Arc::clone(&cells.ledger)),
            policy: Policy::new(number, site),
            sessions: Sessions::new(&site.resource, &rules.session_keys, cells.ledger.secret()),
            relay: Relay::new(site),
            assertions: Assertions::new(site, rules, cells.ledger.secret()),
            upstream: site.upstream.clone(),
        }
    }

    /// Whether it goes by this name.
    pub(super) fn is_at(&self, host: &str) -> bool {
        self.doors.are_at(host)
    }

    /// Whether a client that named this host when TLS began may mean it: TLS knows no ports.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.doors.are_named(name)
    }

    /// The path at which, and below which, everything needs a token.
    pub(super) fn endpoint(&self) -> &str {
        self.resource.path()
    }

    /// What is protected, as clients name it.
    pub(crate) fn resource(&self) -> &Resource {
        &self.resource
    }

    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(super) fn landing(&self) -> Bytes {
        self.landing.clone()
    }

    /// What to tell the upstream.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Signs what the upstream is told, if it wants that; after all else has been said.
    pub(crate) fn vouch(
        &self,
        headers: &mut HeaderMap,
        permit: &Permit,
        arrival: &Arrival,
        now: SystemTime,
    ) -> Result<(), Unsigned> {
        let Some(assertions) = &self.assertions else { return Ok(()) };
        assertions.vouch(headers, permit, arrival, now)
    }

    pub(super) fn assertion_keys(&self, now: SystemTime) -> Option<serde_json::Value> {
        self.assertions.as_ref()?.published(now)
    }

    /// Where permitted requests go.
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// What the permit's caller gets to hold instead of the session id in the upstream's answer.
    pub(crate) fn session(
        &self,
        permit: &Permit,
        answer: &HeaderMap,
        backend: BackendTag,
    ) -> Result<Option<HeaderValue>, Unsealable> {
        self.sessions.hold(answer, permit.principal(), backend)
    }

    /// What to tell the permit's caller where the upstream refuses the token that it was shown: that is
    /// ours to say, since only we say where another is to be had.
    pub(crate) fn refused_behind(
        &self,
        permit: &Permit,
        status: StatusCode,
        answer: &HeaderMap,
    ) -> Option<HeaderValue> {
        let refused = self.relay.shows_token(permit) && response::refuses_token(status, answer);
        refused.then(|| self.challenges.refused_behind().into_header())
    }

    /// Whether anything depends on what a request calls.
    pub(crate) fn reads_calls(&self) -> bool {
        self.policy.reads_calls()
    }

    /// What a call counts as, if it is a tool's: a name that the configuration has, or `other`.
    pub(crate) fn counts_as(&self, call: &Call) -> Option<&str> {
        self.policy.counts_as(call)
    }

    /// Whether the answer to what this permits must be cut down to what its reader may use.
    pub(crate) fn cuts(&self, permit: &Permit, request: &Parts) -> bool {
        self.policy.cuts(permit, &request.method)
    }

    /// One message of such an answer, cut down; none if it stays as it is.
    pub(crate) fn cut(
        &self,
        permit: &Permit,
        request: &Parts,
        channel: &Channel<'_>,
        message: &str,
    ) -> Result<Option<String>, Unreadable> {
        self.policy.cut(permit, request, channel, message)
    }

    pub(super) fn memory(&self) -> Memory {
        self.verifier.memory()
    }

    pub(super) fn recheck(&self, standing: &Standing, now: SystemTime) -> Result<(), Rejected> {
        self.verifier.recheck(standing, now)
    }

    /// The page that may read the answer, if a page sent the request.
    pub(super) fn page(&self, request: &Parts) -> Option<HeaderValue> {
        self.doors.check_origin(request).ok().flatten().cloned()
    }
}

fn landing(site: &config::Site, metadata: &Metadata, rules: &Rules) -> Bytes {
    let origin = site.resource.origin();
    let mut endpoints = json!({
        "mcp": site.resource.as_str(),
        "protected_resource_metadata": metadata.url(),
        "health": format!("{origin}/healthz"),
    });
    let login = rules.front.as_ref().and_then(|front| front.login.as_ref());
    let here = login.filter(|login| login.resource == site.resource);
    if let (Some(_), Some(endpoints)) = (here, endpoints.as_object_mut()) {
        endpoints.insert("login".to_owned(), format!("{origin}/login").into());
    }
    let document = json!({
        "name": site.name.as_deref().unwrap_or("postern"),
        "gateway": "postern",
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": endpoints,
    });
    document.to_string().into()
}

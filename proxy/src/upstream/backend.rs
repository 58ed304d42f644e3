//! One server: where it is, what is open there, and how it is.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderValue;
use pingora_core::Result;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};

use super::dial::Dial;
use super::health::{Failure, Health};
use super::secure::Secure;
use crate::config::{Address, Upstream};
use crate::pipeline::session::BackendTag;
use crate::record::UpstreamCounts;

/// Where it can be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One server.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(super) place: Place,
    /// As the configuration spells it: several share a name.
    name: Arc<str>,
    tag: BackendTag,
    host: HeaderValue,
    peer: HttpPeer,
    dial_to_switch: Arc<Dial>,
    secure: Option<Arc<Secure>>,
    /// Requests that it may have open.
    most: u32,
    open: AtomicU32,
    pub(super) health: Health,
    counts: UpstreamCounts,
}

impl Backend {
    /// Fails only for a path that no socket can have.
    pub(super) fn new(
        place: Place,
        address: &Address,
        upstream: &Upstream,
        secure: Option<Arc<Secure>>,
        body_timeout: Duration,
        counts: UpstreamCounts,
    ) -> Result<Self> {
        let (tls, name) = (secure.is_some(), server_name(address, upstream));
        let mut peer = match &place {
            Place::Tcp(address) => HttpPeer::new(*address, tls, name),
            Place::Unix(path) => HttpPeer::new_uds(&path.to_string_lossy(), tls, name)?,
        };
        let dial = |to_switch| {
            let patience = upstream.connect_timeout;
            Arc::new(Dial { to_switch, patience, counts: counts.clone() })
        };
        peer.options.custom_l4 = Some(dial(false));
        peer.options.write_timeout = Some(body_timeout);
        // A stream of events may be silent for hours.
        peer.options.read_timeout = None;
        peer.options.idle_timeout = Some(IDLE);
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        Ok(Self {
            tag: tag(&place),
            host: host(address),
            name: address.to_string().into(),
            place,
            peer,
            dial_to_switch: dial(true),
            secure,
            most: upstream.open_requests.unwrap_or(u32::MAX),
            open: AtomicU32::new(0),
            health: Health::default(),
            counts,
        })
    }

    /// As the configuration spells it.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where it is dialled.
    pub(crate) fn address(&self) -> String {
        self.place.to_string()
    }

    /// What of it goes into the names of its sessions.
    pub(crate) fn tag(&self) -> BackendTag {
        self.tag
    }

    /// By what name it is called.
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// How pingora connects to it, over a connection that may go on as a WebSocket if `may_switch`.
    pub(crate) fn peer(&self, may_switch: bool) -> HttpPeer {
        let mut peer = self.peer.clone();
        if let Some(secure) = &self.secure {
            secure.dress(&mut peer);
        }
        if may_switch {
            // A group of one: whatever comes of it, no other request may have its connection.
            peer.group_key = OF_ONE | SWITCHES.fetch_add(1, Ordering::Relaxed);
            peer.options.custom_l4 = Some(Arc::clone(&self.dial_to_switch) as Arc<_>);
            peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::standard();
        }
        peer
    }

    /// Requests that it has open.
    pub(crate) fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether requests go there while others could take them.
    pub(crate) fn is_up(&self) -> bool {
        self.health.is_up()
    }

    /// It has answered.
    pub(crate) fn answered(&self) {
        if self.health.answered() {
            self.tell_up();
        }
    }

    /// It has not.
    pub(crate) fn failed(&self, how: Failure) {
        self.counts.failed(how.name());
        if self.health.failed(how) {
            self.tell_down(how.name());
        }
    }

    /// What was to go there goes elsewhere.
    pub(crate) fn passed_over(&self) {
        self.counts.retried();
    }

    /// It was looked at, and not as it should be.
    pub(super) fn check_failed(&self) {
        self.counts.failed(Failure::Check.name());
    }

    pub(super) fn found_unwell(&self, why: &str) {
        if self.health.found_unwell() {
            self.tell_down(why);
        }
    }

    pub(super) fn found_well(&self) {
        if self.health.found_well() {
            self.tell_up();
        }
    }

    fn tell_down(&self, why: &str) {
        let (name, place) = (&*self.name, &self.place);
        tracing::warn!(upstream = name, address = %place, why, "upstream down");
    }

    fn tell_up(&self) {
        tracing::info!(upstream = &*self.name, address = %self.place, "upstream up again");
    }
}

/// What it must have a certificate for. pingora would believe anybody if there were none.
pub(crate) fn server_name(address: &Address, upstream: &Upstream) -> String {
    let written = upstream.tls.as_ref().and_then(|tls| tls.server_name.clone());
    written.unwrap_or_else(|| match address {
        Address::Tcp(address) => address.ip().to_string(),
        Address::Name { host, .. } => host.clone(),
        Address::Unix(_) => NOBODY.to_owned(),
    })
}

/// A backend on this machine expects to be called by a local name, and one that was named by its own.
fn host(address: &Address) -> HeaderValue {
    match address {
        Address::Unix(_) => LOCALHOST,
        Address::Tcp(_) | Address::Name { .. } => {
            HeaderValue::try_from(address.to_string()).unwrap_or(LOCALHOST)
        }
    }
}

/// The same wherever and whenever it is made, so that replicas agree on it.
fn tag(place: &Place) -> BackendTag {
    let digest = digest(&SHA256, place.to_string().as_bytes());
    let mut tag = [0; BackendTag::LENGTH];
    for (to, from) in tag.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    BackendTag(tag)
}

/// One request's place at a server, for as long as it is open.
#[derive(Debug)]
pub(crate) struct Hold(Arc<Backend>);

impl Hold {
    /// None if as many as may be are open there.
    pub(super) fn take(backend: &Arc<Backend>) -> Option<Self> {
        // Counted before it is compared: of all that come at once only as many stay as may.
        let open = backend.open.fetch_add(1, Ordering::Relaxed);
        let hold = Self(Arc::clone(backend));
        (open < backend.most).then_some(hold)
    }

    pub(crate) fn backend(&self) -> &Arc<Backend> {
        &self.0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counted through all generations, as pingora keeps connections through them.
static SWITCHES: AtomicU64 = AtomicU64::new(0);
/// Generations of certificates count from below, and never get here.
const OF_ONE: u64 = 1 << 63;
const LOCALHOST: HeaderValue = HeaderValue::from_static("localhost");
/// No certificate is for it.
const NOBODY: &str = "nobody.invalid";
/// Below the five seconds after which common servers close: a request must not meet that close.
const IDLE: Duration = Duration::from_secs(4);

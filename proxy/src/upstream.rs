//! The connection to the server behind us.

use std::time::Duration;

use pingora_core::Result;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};

use crate::config::Upstream;

/// Where pingora should connect, and how long it may take there.
pub(crate) fn peer(upstream: &Upstream, body_timeout: Duration) -> Result<HttpPeer> {
    let mut peer = match upstream {
        Upstream::Tcp(address) => HttpPeer::new(*address, false, String::new()),
        Upstream::Unix(path) => HttpPeer::new_uds(&path.to_string_lossy(), false, String::new())?,
    };
    peer.options.connection_timeout = Some(CONNECT);
    peer.options.write_timeout = Some(body_timeout);
    // A stream of events may be silent for hours.
    peer.options.read_timeout = None;
    peer.options.idle_timeout = Some(IDLE);
    peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
    Ok(peer)
}

const CONNECT: Duration = Duration::from_secs(2);
/// Below the five seconds after which common servers close: a request must not meet that close.
const IDLE: Duration = Duration::from_secs(4);

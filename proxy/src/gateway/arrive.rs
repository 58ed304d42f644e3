//! Where a request comes from, and what it is called.

use pingora_proxy::Session;

use crate::config::TrustedProxies;
use crate::edge::Caller;
use crate::exchange::Exchange;
use crate::pipeline::address;
use crate::pipeline::trail::{Arrival, Roots, Trail};
use crate::record::Names;

/// None only if pingora lost its connection.
pub(super) fn from(
    session: &Session,
    exchange: &Exchange,
    proxies: &TrustedProxies,
    (names, roots): (&Names, Option<Roots>),
) -> Option<Arrival> {
    let Caller { peer, introduced } = exchange.connection.as_ref()?.caller();
    let headers = &session.req_header().headers;
    Some(Arrival {
        address: address::of_client(peer, introduced, headers, proxies),
        trail: Trail::read(headers, roots, || names.next()),
    })
}

//! Where a request comes from, and what it is called.

use pingora_proxy::Session;

use crate::config::TrustedProxies;
use crate::edge::Caller;
use crate::exchange::Exchange;
use crate::pipeline::address;
use crate::pipeline::trail::{Arrival, Trail};

/// None only if pingora lost its connection.
pub(super) fn from(
    session: &Session,
    exchange: &Exchange,
    proxies: &TrustedProxies,
) -> Option<Arrival> {
    let Caller { peer, introduced } = exchange.connection.as_ref()?.caller();
    let headers = &session.req_header().headers;
    Some(Arrival {
        address: address::of_client(peer, introduced, headers, proxies),
        trail: Trail::read(headers, random),
    })
}

/// For names, which need not be secret: should the system give none, they are merely not unique.
fn random() -> [u8; 16] {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).unwrap_or_default();
    random
}

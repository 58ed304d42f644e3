//! The section `limits`: sizes, counts and deadlines; and how often callers may call.

use std::time::Duration;

use crate::config::file::Section;
use crate::config::invalid::Wrong;
use crate::config::{Limits, Rate, Rates, units};

/// `knows_clients`: whose a connection is, it says itself, or a proxy does that is trusted.
pub(super) fn all(root: &mut Section<'_>, knows_clients: bool) -> (Limits, Rates) {
    let (mut limits, mut rates) = (LIMITS, rates(knows_clients));
    let Some(mut section) = root.section("limits") else { return (limits, rates) };
    sizes(&mut section, &mut limits);
    let slots = [
        ("failed_authentication", &mut rates.failed_authentication),
        ("oauth_requests", &mut rates.visits),
        ("requests_per_principal", &mut rates.requests_per_principal),
        ("requests_per_client", &mut rates.requests_per_client),
    ];
    for (key, slot) in slots {
        *slot = section.optional(key, units::rate).unwrap_or(*slot);
    }
    let streams = section.optional("streams_per_principal", units::count_or_off);
    rates.streams_per_principal = streams.unwrap_or(rates.streams_per_principal);
    (limits, rates)
}

fn sizes(section: &mut Section<'_>, limits: &mut Limits) {
    let durations = [
        ("handshake_timeout", &mut limits.handshake_timeout),
        ("header_timeout", &mut limits.header_timeout),
        ("idle_timeout", &mut limits.idle_timeout),
        ("body_timeout", &mut limits.body_timeout),
        ("write_timeout", &mut limits.write_timeout),
    ];
    for (key, slot) in durations {
        *slot = section.optional(key, units::duration).unwrap_or(*slot);
    }
    let keepalive = section.optional("stream_keepalive", units::duration_or_off);
    limits.stream_keepalive = keepalive.unwrap_or(limits.stream_keepalive);
    for (key, slot) in [("connections", &mut limits.connections), ("headers", &mut limits.headers)]
    {
        *slot = section.optional(key, units::count).unwrap_or(*slot);
    }
    let sizes = [
        ("target_bytes", &mut limits.target_bytes),
        ("header_bytes", &mut limits.header_bytes),
        ("body_bytes", &mut limits.body_bytes),
    ];
    for (key, slot) in sizes {
        *slot = section.optional(key, units::size).unwrap_or(*slot);
    }
    if let Some(found) = section.written("target_bytes")
        && limits.target_bytes > limits.header_bytes
    {
        let reason = "the target is part of the head, which may not be as long (header_bytes)";
        let wrong = Wrong::new(reason, "write less, or raise header_bytes");
        section.wrong("target_bytes", Some(found), wrong);
    }
}

const LIMITS: Limits = Limits {
    connections: 4096,
    handshake_timeout: Duration::from_secs(10),
    header_timeout: Duration::from_secs(15),
    idle_timeout: Duration::from_secs(75),
    body_timeout: Duration::from_secs(30),
    write_timeout: Duration::from_secs(30),
    stream_keepalive: Some(Duration::from_secs(15)),
    target_bytes: 8 << 10,
    header_bytes: 32 << 10,
    headers: 100,
    body_bytes: 4 << 20,
};

/// Where somebody else ends TLS and does not say for whom, every request comes from them: counted
/// together, one client's failures would keep out the new tokens of all.
fn rates(knows_clients: bool) -> Rates {
    Rates {
        failed_authentication: knows_clients.then_some(FAILED),
        visits: knows_clients.then_some(VISITS),
        requests_per_principal: None,
        requests_per_client: None,
        streams_per_principal: Some(STREAMS),
    }
}

/// More than a network full of clients with expired tokens comes to.
const FAILED: Rate = Rate { count: 300, window: Duration::from_mins(1) };

/// More than a network full of people who log in comes to, and few enough not to make us a burden.
const VISITS: Rate = Rate { count: 120, window: Duration::from_mins(1) };

/// More than a program opens for one person, and few enough that one cannot take all connections.
const STREAMS: u32 = 256;

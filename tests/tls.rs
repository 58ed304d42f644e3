//! The listener with TLS of its own.

use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{ALL_VERSIONS, SupportedProtocolVersion};

use crate::harness::{Certificate, H2, Identity, World, wait_until};

fn world(identity: &Identity, settings: &str) -> World {
    World::with(&format!("{}\n{settings}", identity.settings()))
}

#[test]
fn both_versions_of_http_pass_through_tls() {
    let identity = Identity::new();
    let world = world(&identity, "");
    let token = world.issuer.token();
    assert_eq!(identity.connect(world.gateway).call(&token).status, 200);
    assert_eq!(H2::connect(world.gateway, &identity).call(&token).status, 200);
    for _ in 0..2 {
        assert_eq!(world.upstream.next().values("x-postern-subject"), ["ada"]);
    }
}

#[test]
fn tls_1_2_and_1_3_are_spoken() {
    let identity = Identity::new();
    let world = world(&identity, "");
    let versions: [&'static SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
    for version in versions {
        let client = identity.client(&["http/1.1"], &[version]);
        let mut wire = Identity::connect_as(world.gateway, client);
        assert_eq!(wire.call(&world.issuer.token()).status, 200, "{version:?}");
    }
}

#[test]
fn a_client_is_shown_the_certificate_for_the_name_that_it_dials() {
    let (first, other) = (Identity::new(), Identity::for_names(&["*.other.example"]));
    let files = |one: &Identity| {
        let Certificate { chain, key, .. } = &one.certificate;
        format!("certificate: '{}', key: '{}'", chain.display(), key.display())
    };
    let world = World::with(&format!(
        "tls: {{{}, others: [{{{}}}]}}\n\
         resource: {{url: https://mcp.example/mcp, hosts: [a.other.example], scopes: [mcp:read]}}",
        files(&first),
        files(&other)
    ));
    let token = world.issuer.token();
    // Whoever knows the signer of the one does not believe the other. The last is no name of the site.
    for (name, identity, status) in
        [("a.other.example", &other, 200), ("mcp.example", &first, 200), ("localhost", &first, 421)]
    {
        let client = identity.client(&["http/1.1"], ALL_VERSIONS);
        let name = name.try_into().unwrap();
        let mut wire = Identity::connect_to(world.gateway, name, client);
        assert_eq!(wire.call(&token).status, status);
    }
}

#[test]
fn a_client_without_alpn_is_spoken_to_in_http_1_1() {
    let identity = Identity::new();
    let world = world(&identity, "");
    let mut wire = Identity::connect_as(world.gateway, identity.client(&[], ALL_VERSIONS));
    assert_eq!(wire.call(&world.issuer.token()).status, 200);
}

#[test]
fn a_client_that_wants_another_protocol_gets_none() {
    let identity = Identity::new();
    let world = world(&identity, "");
    let mut wire = Identity::connect_as(world.gateway, identity.client(&["ftp"], ALL_VERSIONS));
    wire.send("GET /healthz HTTP/1.1\r\nHost: mcp.example\r\n\r\n");
    assert_eq!(wire.rest(), "");
}

#[test]
fn tls_1_1_is_not_spoken() {
    let identity = Identity::new();
    let world = world(&identity, "");
    let mut wire = world.connect();
    wire.send(hello(2));
    let answer = wire.rest().into_bytes();
    // Record type 21, an alert; its last byte is protocol_version (RFC 5246 section 7.2).
    assert_eq!((answer.first(), answer.last()), (Some(&21), Some(&70)), "{answer:?}");

    let mut wire = world.connect();
    wire.send(hello(3));
    assert_eq!(wire.byte(), 22, "the same of TLS 1.2 is answered with a handshake");
}

#[test]
fn plain_http_gets_no_answer() {
    let identity = Identity::new();
    let world = world(&identity, "");
    let mut wire = world.connect();
    wire.send("GET /healthz HTTP/1.1\r\nHost: mcp.example\r\n\r\n");
    let answer = wire.rest();
    assert!(!answer.contains("HTTP"), "{answer}");
    wait_until("it is counted", || world.metric_in_all("postern_handshakes_failed_total") >= 1.0);
}

#[test]
fn http2_is_not_spoken_without_tls() {
    let world = World::start();
    let mut wire = world.connect();
    wire.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    let answer = wire.rest();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:?}");
    world.upstream.saw_nothing();
}

#[test]
fn a_client_that_is_silent_or_slow_in_the_handshake_is_cut() {
    let identity = Identity::new();
    let world = world(&identity, "limits: {handshake_timeout: 300ms}");
    assert!(world.connect().is_closed_within(LATE), "silent");
    let mut wire = world.connect();
    for byte in hello(3) {
        wire.send([byte]);
        if !wire.is_silent_for(Duration::from_millis(50)) {
            break;
        }
    }
    assert!(wire.is_closed_within(LATE), "slow");
    wait_until("both are counted", || {
        world.metric_in_all("postern_handshakes_failed_total") >= 2.0
    });
    assert_eq!(identity.connect(world.gateway).call(&world.issuer.token()).status, 200);
}

/// The first message of a client that knows nothing newer than TLS 1.`minor - 1` (RFC 5246
/// section 7.4.1.2, RFC 8422 section 5.1).
fn hello(minor: u8) -> Vec<u8> {
    let mut hello = vec![3, minor];
    hello.extend([7; 32]); // random
    hello.push(0); // no session to resume
    hello.extend([0, 2, 0xC0, 0x2B]); // ECDHE-ECDSA with AES-128-GCM
    hello.extend([1, 0]); // no compression
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let points = [0, 11, 0, 2, 1, 0];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    hello.extend([0, 22]);
    hello.extend(groups.into_iter().chain(points).chain(signatures));
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let mut handshake = vec![1, 0, 0, length(&hello)];
    handshake.extend(hello);
    let mut record = vec![22, 3, 1, 0, length(&handshake)];
    record.extend(handshake);
    record
}

const LATE: Duration = Duration::from_secs(8);

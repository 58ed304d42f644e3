//! A connection that goes on as a WebSocket, where a site has that. `upgrade.rs` has all other sites.

use std::thread;
use std::time::Duration;

use crate::harness::{Certificate, Identity, TlsRelay, Upstream, Wire, World, now, wait_until};

const SITE: &str = "resource: {url: https://mcp.example/mcp, scopes: [mcp:read], websocket: true, \
                    origins: ['https://page.example']}";

/// RFC 6455 section 1.2.
const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: mcp\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";

/// What the backend is to answer it with.
const SWITCH: &str = "x-answer: HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: WebSocket\\r\\n\
    Connection: upgrade, x-left\\r\\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\\r\\n\
    Sec-WebSocket-Protocol: mcp\\r\\nServer: backend\\r\\nContent-Length: 2\\r\\n\
    Mcp-Session-Id: theirs\\r\\n\\r\\n\r\n";

fn with(settings: &str) -> World {
    World::with(&format!("{SITE}\n{settings}"))
}

fn ask(mut wire: Wire, token: &str, fields: &str) -> Wire {
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n{fields}\r\n"
    ));
    wire
}

/// A connection that has become a WebSocket.
#[track_caller]
fn open(world: &World, token: &str) -> Wire {
    let mut wire = ask(world.connect(), token, &format!("{HANDSHAKE}{SWITCH}"));
    let head = wire.head();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    world.upstream.next();
    wire
}

/// The backend takes whatever comes now for a request, and answers it: here both are bytes and no more.
#[track_caller]
fn is_a_tunnel(upstream: &Upstream, wire: &mut Wire, bytes: &str) {
    wire.send(format!("{bytes}\r\n\r\n"));
    assert_eq!(upstream.next().head, format!("{bytes}\r\n\r\n"));
    let back = "HTTP/1.1 200 OK\r\nserver: backend\r\ncontent-length: 2\r\n\r\n";
    assert_eq!(wire.head(), back);
    assert_eq!([wire.byte(), wire.byte()], *b"{}");
}

#[test]
fn a_connection_goes_on_as_a_websocket_where_the_site_has_them() {
    let world = with("");
    let token = world.issuer.token();
    let mut wire = ask(world.connect(), &token, &format!("{HANDSHAKE}{SWITCH}"));
    let answer = wire.head();
    assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
    let answer = answer.to_lowercase();
    for field in [
        "\r\nupgrade: websocket\r\n",
        "\r\nconnection: upgrade\r\n",
        "\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n",
        "\r\nsec-websocket-protocol: mcp\r\n",
        "\r\nx-request-id: ",
    ] {
        assert!(answer.contains(field), "{field} in {answer}");
    }
    for field in ["\r\nserver:", "\r\ncontent-length:", "theirs"] {
        assert!(!answer.contains(field), "{field} in {answer}");
    }
    let seen = world.upstream.next();
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "mcp"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("x-postern-subject", "ada"),
    ] {
        assert_eq!(seen.values(name), [value], "{name}");
    }
    assert_eq!(seen.values("authorization"), [""; 0]);
    is_a_tunnel(&world.upstream, &mut wire, "\x01\x02 POST /mcp/hidden HTTP/1.1");
    drop(wire);
    let line = world.log_line("\"status\":101");
    assert!(line.contains("\"outcome\":\"forwarded\""), "{line}");
}

#[test]
fn a_websocket_passes_through_tls() {
    let identity = Identity::new();
    let world = with(&identity.settings());
    let wire = identity.connect(world.gateway);
    let mut wire = ask(wire, &world.issuer.token(), &format!("{HANDSHAKE}{SWITCH}"));
    assert!(wire.head().starts_with("HTTP/1.1 101"));
    world.upstream.next();
    is_a_tunnel(&world.upstream, &mut wire, "frames");
}

#[test]
fn a_websocket_passes_to_a_server_behind_tls_and_to_no_other_than_that() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::write_for(directory.path(), &["127.0.0.1"]);
    let server = Upstream::start();
    let relay = TlsRelay::start(&certificate, None, server.address());
    let to = |tls: &str| {
        let authority = certificate.authority.display();
        let (address, tls) = (relay.address, format!("tls: {{ca_file: '{authority}'{tls}}}"));
        with(&format!("upstream: {{address: '{address}', {tls}}}"))
    };
    let world = to("");
    let token = world.issuer.token();
    for _ in 0..20 {
        let mut wire = ask(world.connect(), &token, &format!("{HANDSHAKE}{SWITCH}"));
        let head = wire.head();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        server.next();
        is_a_tunnel(&server, &mut wire, "frames");
    }
    let world = to(", server_name: other.example");
    let token = world.issuer.token();
    let heard = ask(world.connect(), &token, &format!("{HANDSHAKE}{SWITCH}")).rest();
    assert!(heard.starts_with("HTTP/1.1 502"), "{heard}");
    assert!(world.log_line("\"outcome\":").contains("\"upstream_tls_name\""));
    server.saw_nothing();
}

#[test]
fn a_websocket_is_asked_for_like_anything_else() {
    let world = with("");
    let mut wire = world.connect();
    wire.send(format!("GET /mcp HTTP/1.1\r\nHost: mcp.example\r\n{HANDSHAKE}\r\n"));
    let refused = wire.response(false);
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), World::PLAIN_CHALLENGE);
    let mut wire = ask(world.connect(), "opaque", HANDSHAKE);
    assert_eq!(wire.response(false).status, 401);
    let token = world.issuer.token();
    // A page may open one anywhere, without a preflight: only the origin tells.
    for origin in ["https://evil.example", "null"] {
        let fields = format!("Origin: {origin}\r\n{HANDSHAKE}");
        assert_eq!(ask(world.connect(), &token, &fields).response(false).status, 403);
    }
    let unscoped = world.issuer.key.sign(&world.issuer.claims().without("scope"));
    assert_eq!(ask(world.connect(), &unscoped, HANDSHAKE).response(false).status, 403);
    world.upstream.saw_nothing();
    let fields = format!("Origin: https://page.example\r\n{HANDSHAKE}{SWITCH}");
    assert_eq!(ask(world.connect(), &token, &fields).response(true).status, 101);
}

#[test]
fn only_a_whole_handshake_passes() {
    let world = with("");
    let token = world.issuer.token();
    let spoilt = |from: &str, to: &str| {
        assert!(HANDSHAKE.contains(from));
        HANDSHAKE.replace(from, to)
    };
    for fields in [
        spoilt("Version: 13", "Version: 8"),
        spoilt("Sec-WebSocket-Version: 13\r\n", ""),
        spoilt("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ=="),
        spoilt("keep-alive, Upgrade", "keep-alive"),
        spoilt("Upgrade: websocket", "Upgrade: websocket, h2c"),
        spoilt("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"),
        format!("{HANDSHAKE}Content-Length: 5\r\n\r\nhello"),
    ] {
        let mut wire = ask(world.connect(), &token, &fields);
        let refused = wire.response(false);
        assert_eq!(refused.status, 400, "{fields}");
        assert_eq!(refused.header("sec-websocket-version"), "13");
        assert!(refused.body.contains("RFC 6455"), "{}", refused.body);
        assert!(wire.is_closed());
    }
    world.upstream.saw_nothing();
    // What is no WebSocket passes here as elsewhere: without its question.
    let fields = format!("{}{SWITCH}", spoilt("Upgrade: websocket", "Upgrade: h2c"));
    let heard = ask(world.connect(), &token, &fields).rest();
    assert!(heard.starts_with("HTTP/1.1 502") && !heard.contains("HTTP/1.1 101"), "{heard}");
    let seen = world.upstream.next();
    for name in ["upgrade", "connection", "sec-websocket-key"] {
        assert_eq!(seen.values(name), [""; 0], "{name}");
    }
}

#[test]
fn a_server_that_has_not_read_the_handshake_switches_nothing() {
    let world = with("");
    let token = world.issuer.token();
    for (from, to) in [
        ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO="),
        ("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\\r\\n", ""),
        ("Upgrade: WebSocket\\r\\n", ""),
        ("Upgrade: WebSocket", "Upgrade: h2c"),
    ] {
        assert!(SWITCH.contains(from));
        let hidden = "GET /mcp/hidden HTTP/1.1\r\n";
        let fields = format!("{HANDSHAKE}{}\r\n{hidden}", SWITCH.replace(from, to));
        let heard = ask(world.connect(), &token, &fields).rest();
        assert!(heard.starts_with("HTTP/1.1 502") && !heard.contains("HTTP/1.1 101"), "{heard}");
        world.upstream.next();
        world.upstream.saw_nothing();
    }
}

/// pingora hangs up on an answer that is there before it has looked whether the request had a body.
#[test]
fn an_answer_at_once_is_no_end() {
    let world = with("limits: {streams_per_principal: off}");
    let (gateway, token) = (world.gateway, world.issuer.token());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let wire = Wire::connect(gateway);
                    let mut wire = ask(wire, &token, &format!("{HANDSHAKE}{SWITCH}"));
                    assert!(wire.head().starts_with("HTTP/1.1 101"));
                    wire.send("frames\r\n\r\n");
                    assert!(wire.head().starts_with("HTTP/1.1 200"), "the backend's own bytes");
                }
            });
        }
    });
}

#[test]
fn a_server_that_wants_none_answers_as_it_likes_and_the_next_request_is_one() {
    let world = with("");
    let no = "x-answer: HTTP/1.1 426 Upgrade Required\\r\\nContent-Length: 2\\r\\n\\r\\nno\r\n";
    let hidden = "GET /mcp/hidden HTTP/1.1\r\nHost: mcp.example\r\n";
    let fields = format!("{HANDSHAKE}{no}\r\n{hidden}");
    let mut wire = ask(world.connect(), &world.issuer.token(), &fields);
    let answer = wire.response(false);
    assert_eq!((answer.status, answer.body.as_str()), (426, "no"));
    world.upstream.next();
    let next = wire.head();
    assert!(next.is_empty() || next.starts_with("HTTP/1.1 401"), "{next}");
    world.upstream.saw_nothing();
}

#[test]
fn silence_and_size_end_no_websocket() {
    let world = with(
        "limits: {body_bytes: 100B, body_timeout: 300ms, header_timeout: 300ms, \
         idle_timeout: 300ms, write_timeout: 300ms, stream_keepalive: 100ms}",
    );
    let mut wire = open(&world, &world.issuer.token());
    assert!(wire.is_silent_for(Duration::from_millis(1200)), "and nothing is put in");
    is_a_tunnel(&world.upstream, &mut wire, &"x".repeat(200_000));
}

#[test]
fn a_websocket_ends_with_its_token() {
    let world = with("");
    let mut lasting = open(&world, &world.issuer.token());
    // The clocks may differ by the leeway.
    let short = world.issuer.claims().set("exp", now() - 28);
    let mut wire = open(&world, &world.issuer.key.sign(&short));
    assert_eq!(wire.rest(), "");
    let line = world.log_line("\"status\":101");
    assert!(line.contains("\"ended\":\"token_expired\""), "{line}");
    is_a_tunnel(&world.upstream, &mut lasting, "frames");
}

#[test]
fn a_websocket_counts_as_open_for_as_long_as_it_is() {
    let world = with("limits: {streams_per_principal: 1}");
    let token = world.issuer.token();
    let wire = open(&world, &token);
    assert_eq!(world.call(&token).status, 429);
    drop(wire);
    wait_until("there is room again", || world.call(&token).status == 200);
}

#[test]
fn when_one_side_goes_the_other_is_hung_up_on_and_told_nothing() {
    let world = with("");
    let token = world.issuer.token();
    let mut wire = open(&world, &token);
    // What it has not read when it goes makes it a break rather than an end.
    let unread = "x".repeat(100_000);
    wire.send(format!("frames\r\nx-answer: hang-up\r\n\r\n{unread}"));
    assert_eq!(wire.rest(), "", "no answer is put into what is no HTTP");
    world.upstream.next();
    let mut wire = open(&world, &token);
    wire.send("frames\r\nx-answer: wait\r\n\r\n");
    world.upstream.next();
    drop(wire);
    assert!(world.upstream.was_abandoned_within(Duration::from_secs(5)));
}

#[test]
fn a_websocket_is_cut_at_the_end_of_the_time_to_stop() {
    let mut world = with("shutdown_timeout: 300ms");
    let mut wire = open(&world, &world.issuer.token());
    world.signal("-TERM");
    assert_eq!(wire.rest(), "");
    wait_until("it has stopped", || world.proxy.0.try_wait().unwrap().is_some());
    assert!(world.proxy.0.wait().unwrap().success());
}

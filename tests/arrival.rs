//! Where requests come from and by which names they are found again.

use std::time::Duration;

use rustls::ALL_VERSIONS;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;

use crate::harness::{H2, Identity, Response, Seen, Wire, World, wait_until};

/// The configuration that believes what loopback says.
fn believing(from: &str) -> String {
    format!("trusted_proxies: {{networks: ['127.0.0.0/8', '10.0.0.0/8'], client_from: {from}}}")
}

/// What the backend hears of a call with these headers, and what the client does.
#[track_caller]
fn call(world: &World, wire: &mut Wire, headers: &[(&str, &str)]) -> (Seen, Response) {
    let bearer = format!("Bearer {}", world.issuer.token());
    let mut all = vec![("Authorization", bearer.as_str())];
    all.extend_from_slice(headers);
    let response = wire.request("POST", "/mcp", &all, "{}");
    assert_eq!(response.status, 200, "{headers:?} {response:?}");
    (world.upstream.next(), response)
}

/// The address that the backend hears, which is the only one.
#[track_caller]
fn heard_address(world: &World, headers: &[(&str, &str)]) -> String {
    let (seen, _) = call(world, &mut world.connect(), headers);
    assert_eq!(seen.values("forwarded"), [""; 0]);
    let addresses = seen.values("x-forwarded-for");
    assert_eq!(addresses.len(), 1, "{}", seen.head);
    addresses[0].to_owned()
}

/// The log's next line about a request.
fn logged(world: &World) -> Value {
    serde_json::from_str(&world.log_line("\"message\":\"request\"")).unwrap()
}

#[test]
fn the_backend_hears_where_clients_are_and_what_they_dialled() {
    let world =
        World::with("resource: {url: 'https://mcp.example:8443/mcp', hosts: [mcp.example]}");
    let forged = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        ("Forwarded", "for=6.6.6.6;host=evil.example;proto=http"),
        ("X-Forwarded-Port", "666"),
    ];
    let token = world.issuer.claims().set("aud", "https://mcp.example:8443/mcp");
    let bearer = format!("Bearer {}", world.issuer.key.sign(&token));
    for forged in [&forged[..0], &forged[..]] {
        let mut headers = forged.to_vec();
        headers.push(("Authorization", &bearer));
        assert_eq!(world.request("GET", "/mcp", &headers).status, 200);
        let seen = world.upstream.next();
        assert_eq!(seen.values("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(seen.values("x-forwarded-host"), ["mcp.example:8443"]);
        assert_eq!(seen.values("x-forwarded-proto"), ["https"]);
        for name in ["forwarded", "x-forwarded-port"] {
            assert_eq!(seen.values(name), [""; 0], "{name}");
        }
        let line = logged(&world);
        assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
        assert_eq!(line["address"], Value::Null);
    }
}

#[test]
fn a_trusted_proxy_says_where_the_client_is() {
    let world = World::with(&believing("x-forwarded-for"));
    let said = |value| heard_address(&world, &[("X-Forwarded-For", value)]);
    assert_eq!(said("6.6.6.6, 198.51.100.1, 10.0.0.2"), "198.51.100.1");
    let line = logged(&world);
    assert_eq!(line["address"], "198.51.100.1");
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    assert_eq!(said("198.51.100.1, nobody, 10.0.0.2"), "10.0.0.2");
    assert_eq!(said("2001:db8::1"), "2001:db8::1");
    let two = [("X-Forwarded-For", "6.6.6.6"), ("x-forwarded-for", "198.51.100.1")];
    assert_eq!(heard_address(&world, &two), "198.51.100.1");
    // What these proxies do not write, they may pass on as a client wrote it.
    for other in [("Forwarded", "for=6.6.6.6"), ("X-Real-IP", "6.6.6.6")] {
        assert_eq!(heard_address(&world, &[other]), "127.0.0.1", "{other:?}");
    }
}

#[test]
fn a_trusted_proxy_may_say_it_as_rfc_7239_does() {
    let world = World::with(&believing("forwarded"));
    let said = |name, value| heard_address(&world, &[(name, value)]);
    let chain = "for=6.6.6.6, for=\"[2001:db8::1]:4711\";proto=https, for=10.0.0.2";
    assert_eq!(said("Forwarded", chain), "2001:db8::1");
    assert_eq!(said("X-Forwarded-For", "6.6.6.6"), "127.0.0.1");
}

#[test]
fn a_load_balancer_introduces_the_client_before_the_first_request() {
    let world = World::with(&believing("proxy-protocol"));
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x02\xcb\0\x71\x07\x01\x02\x03\x04";
    for (header, address) in [
        (&b"PROXY TCP4 198.51.100.1 203.0.113.7 56324 443\r\n"[..], "198.51.100.1"),
        (v2, "198.51.100.2"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "127.0.0.1"),
    ] {
        let mut wire = world.connect();
        wire.send(header);
        for _ in 0..2 {
            let (seen, _) = call(&world, &mut wire, &[("X-Forwarded-For", "6.6.6.6")]);
            assert_eq!(seen.values("x-forwarded-for"), [address]);
        }
    }
}

#[test]
fn a_load_balancer_that_introduces_nobody_is_hung_up_on() {
    let settings = format!("{}\nlimits: {{handshake_timeout: 300ms}}", believing("proxy-protocol"));
    let world = World::with(&settings);
    let failed = || world.metric_in_all("postern_handshakes_failed_total");
    for (count, begin) in (1..).zip([
        "GET /healthz HTTP/1.1\r\nHost: mcp.example\r\n\r\n",
        "PROXY TCP4 198.51.100.1 203.0.113.7 1 2\nGET /healthz HTTP/1.1\r\n\r\n",
        "PROXY TCP5 198.51.100.1 203.0.113.7 1 2\r\nGET /healthz HTTP/1.1\r\n\r\n",
        // And goes on no more.
        "PROXY TCP4 198.51.100.1",
        "PROXY",
        "",
    ]) {
        let mut wire = world.connect();
        wire.send(begin);
        assert_eq!(wire.rest(), "", "{begin:?}");
        wait_until("it is counted", || failed() >= f64::from(count));
    }
    world.upstream.saw_nothing();
}

#[test]
fn strangers_introduce_nobody() {
    let settings =
        "trusted_proxies: {networks: ['192.0.2.0/24'], client_from: proxy-protocol}".to_owned();
    for settings in [settings, believing("x-forwarded-for"), String::new()] {
        let world = World::with(&settings);
        assert_eq!(heard_address(&world, &[]), "127.0.0.1", "as usual");
        for header in [
            &b"PROXY TCP4 198.51.100.1 203.0.113.7 56324 443\r\n"[..],
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x02\xcb\0\x71\x07\x01\x02\x03\x04",
        ] {
            let mut wire = world.connect();
            wire.send(header);
            wire.send("GET /healthz HTTP/1.1\r\nHost: mcp.example\r\n\r\n");
            let heard = wire.rest();
            assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400"), "{heard}");
        }
        world.upstream.saw_nothing();
    }
}

#[test]
fn the_introduction_comes_before_tls() {
    let identity = Identity::new();
    let settings = format!("{}\n{}", identity.settings(), believing("proxy-protocol"));
    let world = World::with(&format!("{settings}\nlimits: {{handshake_timeout: 500ms}}"));
    let introduced = |after: &'static str| {
        let client = identity.client(&["http/1.1"], ALL_VERSIONS);
        let name: ServerName<'static> = "mcp.example".try_into().unwrap();
        Wire::through(world.gateway, |mut socket| {
            let header = format!("PROXY TCP4 198.51.100.1 203.0.113.7 56324 443\r\n{after}");
            std::io::Write::write_all(&mut socket, header.as_bytes()).unwrap();
            Box::new(StreamOwned::new(ClientConnection::new(client, name).unwrap(), socket))
        })
    };
    let (seen, _) = call(&world, &mut introduced(""), &[]);
    assert_eq!(seen.values("x-forwarded-for"), ["198.51.100.1"]);
    let mut twice = introduced("PROXY TCP4 198.51.100.1 203.0.113.7 56324 443\r\n");
    twice.send("GET /healthz HTTP/1.1\r\nHost: mcp.example\r\n\r\n");
    assert!(!twice.rest().contains("HTTP/1.1"));
    // The deadline is for both together.
    let mut slow = world.connect();
    slow.send("PROXY TCP4 198.51.100.1 203.0.113.7 56324 443\r\n");
    assert!(slow.is_closed_within(Duration::from_secs(8)));
    world.upstream.saw_nothing();
}

/// Not one that the client said.
#[track_caller]
fn is_minted(id: &str) {
    let hexadecimal = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    assert!(id.len() == 32 && hexadecimal, "{id}");
}

#[test]
fn a_request_has_the_same_name_everywhere() {
    let world = World::start();
    let mut wire = world.connect();
    let own = [("X-Request-Id", "req-1"), ("X-Correlation-ID", "cor.1")];
    let (seen, response) = call(&world, &mut wire, &own);
    let line = logged(&world);
    assert_eq!(
        (seen.values("x-request-id"), response.header("x-request-id")),
        (vec!["req-1"], "req-1")
    );
    assert_eq!(seen.values("x-correlation-id"), ["cor.1"]);
    assert_eq!(response.header("x-correlation-id"), "cor.1");
    assert_eq!((&line["request_id"], &line["correlation_id"]), (&"req-1".into(), &"cor.1".into()));

    let mut minted = Vec::new();
    for bad in ["", "a b", "{}", "a\"b", &"x".repeat(129)] {
        let headers = [("X-Request-Id", bad), ("X-Correlation-ID", bad)];
        let (seen, response) = call(&world, &mut wire, &headers);
        let id = response.header("x-request-id");
        is_minted(id);
        assert_eq!(response.header("x-correlation-id"), id);
        assert_eq!(
            (seen.values("x-request-id"), seen.values("x-correlation-id")),
            (vec![id], vec![id])
        );
        assert_eq!(logged(&world)["request_id"], id);
        minted.push(id.to_owned());
    }
    minted.sort();
    minted.dedup();
    assert_eq!(minted.len(), 5, "each has its own");
}

#[test]
fn every_answer_has_a_name_whoever_gives_it() {
    let world = World::start();
    for (method, path, status) in [
        ("GET", "/healthz", 200),
        ("GET", "/.well-known/oauth-protected-resource/mcp", 200),
        ("POST", "/mcp", 401),
        ("GET", "/nothing", 404),
        ("GET", "/a//b", 400),
    ] {
        let response = world.request(method, path, &[("X-Request-Id", "mine")]);
        assert_eq!((response.status, response.header("x-request-id")), (status, "mine"), "{path}");
        is_minted(world.request(method, path, &[]).header("x-request-id"));
    }
    let mut wire = world.connect();
    wire.send("GET /mcp HTTP/1.1\r\nX-Request-Id: mine\r\n\r\n");
    assert_eq!(wire.response(false).header("x-request-id"), "mine");
    // The backend's own is not the client's.
    let answer = "HTTP/1.1 200 OK\\r\\nX-Request-Id: other\\r\\nX-Correlation-ID: other\\r\\n\
                  Content-Length: 0\\r\\n\\r\\n";
    let headers = [("X-Request-Id", "mine"), ("x-answer", answer)];
    let (_, response) = call(&world, &mut world.connect(), &headers);
    assert_eq!(response.header("x-request-id"), "mine");
    assert_eq!(response.header("x-correlation-id"), "mine");
    let headers = [("x-answer", "hang-up"), ("X-Request-Id", "mine")];
    let bearer = format!("Bearer {}", world.issuer.token());
    let response =
        world.request("GET", "/mcp", &[headers[0], headers[1], ("Authorization", &bearer)]);
    assert_eq!((response.status, response.header("x-request-id")), (502, "mine"));
}

#[test]
fn over_http2_a_request_has_a_name_too() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let mut client = H2::connect(world.gateway, &identity);
    let response = client.request("GET", "/healthz", &[("x-request-id", "mine")], "");
    assert_eq!(response.header("x-request-id"), "mine");
    is_minted(client.call(&world.issuer.token()).header("x-request-id"));
    assert_eq!(world.upstream.next().values("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn a_trace_goes_on_through_us_and_a_broken_one_ends() {
    let world = World::start();
    let mut wire = world.connect();
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let more = [("tracestate", "vendor=1"), ("baggage", "user=1")];
    let (seen, _) = call(&world, &mut wire, &[("traceparent", good), more[0], more[1]]);
    let told = seen.values("traceparent");
    let [ours] = told[..] else { panic!("{told:?}") };
    let parts: Vec<&str> = ours.split('-').collect();
    assert_eq!((parts[0], parts[1], parts[3]), ("00", "4bf92f3577b34da6a3ce929d0e0e4736", "01"));
    assert!(parts[2].len() == 16 && parts[2] != "00f067aa0ba902b7", "{ours}");
    assert_eq!(
        (seen.values("tracestate"), seen.values("baggage")),
        (vec!["vendor=1"], vec!["user=1"])
    );
    assert_eq!(logged(&world)["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");

    for bad in ["", "00-0-0-0", &good.to_uppercase(), &good.replace("00-4", "01-4"), "evil"] {
        let (seen, _) = call(&world, &mut wire, &[("traceparent", bad), more[0], more[1]]);
        for name in ["traceparent", "tracestate", "baggage"] {
            assert_eq!(seen.values(name), [""; 0], "{name} with {bad}");
        }
        assert_eq!(logged(&world)["trace_id"], Value::Null);
    }
}

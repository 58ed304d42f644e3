//! What a client can make the proxy hold, and for how long.

use std::time::{Duration, Instant};

use crate::harness::{H2, Identity, Wire, World, wait_until};

fn bearer(world: &World) -> String {
    format!("Bearer {}", world.issuer.token())
}

/// Sends one byte after the other, each when it is clear that the last got no answer, and tells how
/// long the proxy listened.
fn drip(wire: &mut Wire, bytes: impl IntoIterator<Item = u8>) -> Duration {
    let began = Instant::now();
    for byte in bytes {
        wire.send([byte]);
        if !wire.is_silent_for(Duration::from_millis(20)) {
            break;
        }
    }
    began.elapsed()
}

fn endless_head() -> impl Iterator<Item = u8> {
    b"POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nX-Slow: ".iter().copied().chain([b'x'; 2000])
}

#[test]
fn a_head_that_drips_is_cut_on_every_request_of_a_connection() {
    let world = World::with("limits: {header_timeout: 300ms}");
    let mut wire = world.connect();
    let took = drip(&mut wire, endless_head());
    assert!(IN_TIME.contains(&took), "first: {took:?}");
    assert!(wire.is_closed());

    let mut wire = world.connect();
    for nth in ["second", "third"] {
        assert_eq!(wire.call(&world.issuer.token()).status, 200);
        world.upstream.next();
        if nth == "third" {
            let took = drip(&mut wire, endless_head());
            assert!(IN_TIME.contains(&took), "{nth}: {took:?}");
        }
    }
    assert!(wire.is_closed());
    world.upstream.saw_nothing();
}

#[test]
fn a_client_that_says_nothing_is_cut() {
    let identity = Identity::new();
    let limits = "limits: {header_timeout: 300ms}";
    let world = World::with(limits);
    assert!(world.connect().is_closed_within(LATE));

    let world = World::with(&format!("{}\n{limits}", identity.settings()));
    assert!(identity.connect(world.gateway).is_closed_within(LATE), "over TLS");
    assert!(H2::connect(world.gateway, &identity).is_closed_within(LATE), "over HTTP/2");
}

#[test]
fn an_idle_connection_is_closed() {
    let identity = Identity::new();
    let limits = "limits: {idle_timeout: 1s}";
    let world = World::with(&format!("{}\n{limits}", identity.settings()));
    let mut wire = identity.connect(world.gateway);
    assert_eq!(wire.call(&world.issuer.token()).status, 200);
    assert_eq!(wire.call(&world.issuer.token()).status, 200);
    assert!(wire.is_closed_within(LATE));

    let mut client = H2::connect(world.gateway, &identity);
    assert_eq!(client.call(&world.issuer.token()).status, 200);
    assert!(client.is_closed_within(LATE), "over HTTP/2");
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let world = World::start();
    let (token, long) = (bearer(&world), "x".repeat(33 << 10));
    let response =
        world.request("POST", "/mcp", &[("Authorization", token.as_str()), ("X-Long", &long)]);
    assert_eq!(response.status, 431);
    let names: Vec<String> = (0..100).map(|number| format!("X-{number}")).collect();
    let mut many: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    many.push(("Authorization", &token));
    assert_eq!(world.request("POST", "/mcp", &many).status, 431);
    many.truncate(90);
    many.push(("Authorization", &token));
    world.upstream.saw_nothing();
    assert_eq!(world.request("POST", "/mcp", &many).status, 200);
}

#[test]
fn a_head_that_is_too_large_is_refused_over_http2() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let (token, long) = (bearer(&world), "x".repeat(33 << 10));
    let mut client = H2::connect(world.gateway, &identity);
    let headers = [("authorization", token.as_str()), ("x-long", &long)];
    let answer = client.open("POST", "/mcp", &headers, "{}");
    let status = answer.map_or(431, |answer| answer.head.status);
    assert_eq!(status, 431);
    world.upstream.saw_nothing();
}

#[test]
fn a_target_that_is_too_long_is_refused() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let token = bearer(&world);
    let of = |bytes: usize| format!("/mcp?{}", "x".repeat(bytes - "/mcp?".len()));
    let headers = [("authorization", token.as_str())];
    let over_h1 =
        |bytes| identity.connect(world.gateway).request("POST", &of(bytes), &headers, "{}");
    let mut client = H2::connect(world.gateway, &identity);
    for bytes in [(8 << 10) + 1, 20 << 10] {
        assert_eq!(over_h1(bytes).status, 414, "{bytes}");
        let response = client.request("POST", &of(bytes), &headers, "{}");
        assert_eq!(response.status, 414, "{bytes} over HTTP/2");
    }
    let response = over_h1(40 << 10);
    assert_eq!(response.status, 414, "longer than a whole head may be");
    world.upstream.saw_nothing();
    assert_eq!(over_h1(8 << 10).status, 200);
    assert_eq!(client.request("POST", &of(8 << 10), &headers, "{}").status, 200);
    let tight = World::with("limits: {target_bytes: 100B}");
    assert_eq!(tight.request("GET", &of(101), &[]).status, 414);
    assert_eq!(tight.request("GET", &of(100), &[]).status, 401);
}

#[test]
fn a_body_that_is_announced_too_large_is_refused_over_http2() {
    let identity = Identity::new();
    let world = World::with(&format!("{}\nlimits: {{body_bytes: 1KiB}}", identity.settings()));
    let token = bearer(&world);
    let headers = [("authorization", token.as_str()), ("content-length", "1025")];
    let mut client = H2::connect(world.gateway, &identity);
    let answer = client.begin("POST", "/mcp", &headers).unwrap().answer().unwrap();
    assert_eq!(answer.head.status, 413);
    world.upstream.saw_nothing();
}

#[test]
fn a_body_that_is_announced_too_large_is_refused_at_once() {
    let world = World::with("limits: {body_bytes: 1KiB}");
    let mut wire = world.connect();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: {}\r\n\
         Expect: 100-continue\r\nContent-Length: 1025\r\n\r\n",
        bearer(&world)
    ));
    assert_eq!(wire.response(false).status, 413);
    world.upstream.saw_nothing();
    let headers = [("Authorization", &*bearer(&world))];
    let response = world.connect().request("POST", "/mcp", &headers, &"x".repeat(1024));
    assert_eq!(response.status, 200, "as much as is allowed");
}

#[test]
fn a_body_that_grows_too_large_is_cut_off() {
    let world = World::with("limits: {body_bytes: 1KiB}");
    let mut wire = world.connect();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: {}\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        bearer(&world)
    ));
    for _ in 0..3 {
        wire.send(format!("200\r\n{}\r\n", "x".repeat(512)));
    }
    assert_eq!(wire.response(false).status, 413);
    assert!(wire.is_closed());
    world.upstream.saw_nothing();
}

#[test]
fn a_body_that_grows_too_large_is_cut_off_over_http2() {
    let identity = Identity::new();
    let world = World::with(&format!("{}\nlimits: {{body_bytes: 1KiB}}", identity.settings()));
    let token = bearer(&world);
    let body = "x".repeat(1025);
    let mut client = H2::connect(world.gateway, &identity);
    let response = client.request("POST", "/mcp", &[("authorization", &token)], &body);
    assert_eq!(response.status, 413);
    assert_eq!(client.call(&world.issuer.token()).status, 200, "only the stream is gone");
}

#[test]
fn a_body_that_does_not_come_is_waited_for_only_so_long() {
    let world = World::with("limits: {body_timeout: 300ms}");
    let mut wire = world.connect();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: {}\r\n\
         Content-Length: 10\r\n\r\n{{",
        bearer(&world)
    ));
    assert_eq!(wire.response(false).status, 408);
    assert!(wire.is_closed());
    world.upstream.saw_nothing();
}

#[test]
fn a_body_that_does_not_come_is_waited_for_only_so_long_over_http2() {
    let identity = Identity::new();
    let world = World::with(&format!("{}\nlimits: {{body_timeout: 300ms}}", identity.settings()));
    let token = bearer(&world);
    let mut client = H2::connect(world.gateway, &identity);
    let began = Instant::now();
    let request = client.begin("POST", "/mcp", &[("authorization", &token)]).unwrap();
    assert!(request.answer().is_err(), "the connection ends: a stream alone has no deadline");
    assert!(IN_TIME.contains(&began.elapsed()), "{:?}", began.elapsed());
    world.upstream.saw_nothing();
}

#[test]
fn a_body_that_takes_its_time_but_comes_is_waited_for_over_http2() {
    let identity = Identity::new();
    let world = World::with(&format!("{}\nlimits: {{body_timeout: 1s}}", identity.settings()));
    let token = bearer(&world);
    let mut client = H2::connect(world.gateway, &identity);
    let mut slow = client.begin("POST", "/mcp", &[("authorization", &token)]).unwrap();
    for _ in 0..8 {
        slow.say("x");
        assert!(!client.is_closed_within(Duration::from_millis(200)));
    }
    assert_eq!(slow.end(None).unwrap().head.status, 200);
    assert_eq!(world.upstream.next().body, "xxxxxxxx");
}

#[test]
fn nobody_waits_for_the_body_of_a_request_without_a_token() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let mut wire = identity.connect(world.gateway);
    wire.send("POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nContent-Length: 10\r\n\r\n");
    assert_eq!(wire.response(false).status, 401);
    let mut client = H2::connect(world.gateway, &identity);
    let begun = client.begin("POST", "/mcp", &[]).unwrap();
    assert_eq!(begun.answer().unwrap().head.status, 401);
}

#[test]
fn a_refused_request_leaves_the_connection_usable() {
    let world = World::start();
    let mut wire = world.connect();
    assert_eq!(wire.request("POST", "/mcp", &[], "{}").status, 401);
    assert_eq!(wire.request("POST", "/mcp", &[], &"x".repeat(60 << 10)).status, 401);
    assert_eq!(wire.call(&world.issuer.token()).status, 200);
}

#[test]
fn a_client_that_asks_before_it_sends_hears_no_at_once() {
    let world = World::start();
    let mut wire = world.connect();
    let began = Instant::now();
    let waits = [("Expect", "100-continue"), ("Content-Length", "1000000")];
    assert_eq!(wire.request("POST", "/mcp", &waits, "").status, 401);
    // Waiting for the body that will not come would take a second.
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
}

#[test]
fn a_client_that_asks_before_it_sends_hears_yes_from_the_server() {
    let world = World::start();
    let mut wire = world.connect();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: {}\r\n\
         Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{{}}",
        bearer(&world)
    ));
    let mut response = wire.response(false);
    while response.status == 100 {
        response = wire.response(false);
    }
    assert_eq!(response.status, 200);
    assert_eq!(world.upstream.next().body, "{}");
}

#[test]
fn more_connections_than_allowed_are_closed_at_once() {
    let world = World::with("limits: {connections: 2}");
    let mut first = world.connect();
    assert_eq!(first.call(&world.issuer.token()).status, 200);
    let mut second = world.connect();
    assert_eq!(second.call(&world.issuer.token()).status, 200);
    assert!(world.connect().is_closed_within(LATE));
    assert_eq!(first.call(&world.issuer.token()).status, 200, "those that are in stay in");
    wait_until("it is counted", || world.metric("postern_connections_refused_total") >= 1.0);
    drop(second);
    wait_until("there is room again", || {
        let mut third = world.connect();
        third.send("GET /healthz HTTP/1.1\r\nHost: mcp.example\r\n\r\n");
        third.head().starts_with("HTTP/1.1 200")
    });
}

/// What 300 ms may take on a busy machine.
const IN_TIME: std::ops::Range<Duration> = Duration::from_millis(290)..LATE;
const LATE: Duration = Duration::from_secs(8);

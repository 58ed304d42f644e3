//! Told to stop: no more is taken in, what is under way ends, what does not end is cut.

use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{H2, Identity, Wire, World, wait_until};

/// Opens a stream of events that is heard.
#[track_caller]
fn open(world: &World) -> Wire {
    let mut wire = world.connect();
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\nx-answer: stream\r\n\r\n",
        world.issuer.token()
    ));
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    world.upstream.next();
    world.upstream.say("before");
    assert_eq!(wire.event(), "data: before");
    wire
}

/// Tells it to stop, and waits until it says so.
#[track_caller]
fn stop(world: &World) {
    world.signal("-TERM");
    wait_until("it is not ready", || world.admin("/readyz").status == 503);
    wait_until("it takes no more connections", || TcpStream::connect(world.gateway).is_err());
}

/// The code that the process ends with, once it does.
#[track_caller]
fn exit_code(world: &mut World) -> Option<i32> {
    wait_until("it has stopped", || world.proxy.0.try_wait().unwrap().is_some());
    world.proxy.0.wait().unwrap().code()
}

#[test]
fn a_stream_under_way_ends_when_it_ends() {
    let mut world = World::start();
    let mut wire = open(&world);
    stop(&world);
    let told: serde_json::Value = serde_json::from_str(&world.admin("/readyz").body).unwrap();
    assert_eq!(told["stopping"], true);
    assert_eq!(world.admin("/livez").status, 200, "not ready is not dead");
    for _ in 0..3 {
        world.upstream.say("after");
        assert_eq!(wire.event(), "data: after");
    }
    assert!(world.proxy.0.try_wait().unwrap().is_none(), "it waits for the stream");
    world.upstream.say("");
    assert!(wire.stream_ends());
    assert!(wire.is_closed());
    assert_eq!(exit_code(&mut world), Some(0));
}

#[test]
fn a_stream_under_way_ends_when_it_ends_over_http2() {
    let identity = Identity::new();
    let mut world = World::with(&identity.settings());
    let bearer = format!("Bearer {}", world.issuer.token());
    let headers = [("authorization", bearer.as_str()), ("x-answer", "stream")];
    let mut client = H2::connect(world.gateway, &identity);
    let mut answer = client.open("GET", "/mcp", &headers, "").unwrap();
    stop(&world);
    world.upstream.say("after");
    assert_eq!(answer.piece().unwrap().unwrap(), "data: after\n\n");
    world.upstream.say("");
    assert_eq!(answer.rest().unwrap(), "");
    assert!(client.is_closed_within(Duration::from_secs(8)));
    assert_eq!(exit_code(&mut world), Some(0));
}

#[test]
fn what_does_not_end_in_time_is_cut() {
    let mut world = World::with("shutdown_timeout: 300ms");
    let mut wire = open(&world);
    world.signal("-TERM");
    assert!(!wire.rest().contains("0\r\n\r\n"), "the client can tell that something is missing");
    assert_eq!(exit_code(&mut world), Some(0));
    let cut = world.log.iter().find(|line| line.contains("cut at the end of shutdown_timeout"));
    assert!(cut.unwrap().contains("\"connections\":1"));
}

#[test]
fn idle_connections_do_not_hold_it_up() {
    let identity = Identity::new();
    let mut world = World::with(&identity.settings());
    let mut wire = identity.connect(world.gateway);
    assert_eq!(wire.call(&world.issuer.token()).status, 200);
    let mut client = H2::connect(world.gateway, &identity);
    assert_eq!(client.call(&world.issuer.token()).status, 200);
    world.signal("-TERM");
    // Well below the half minute that a request under way may take.
    assert!(wire.is_closed_within(PROMPTLY));
    assert!(client.is_closed_within(PROMPTLY));
    assert_eq!(exit_code(&mut world), Some(0));
}

#[test]
fn a_connection_that_has_said_nothing_does_not_hold_it_up() {
    let mut world = World::start();
    let mut silent = world.connect();
    wait_until("it is taken in", || world.metric("postern_connections") >= 1.0);
    world.signal("-TERM");
    assert!(silent.is_closed_within(PROMPTLY));
    assert_eq!(exit_code(&mut world), Some(0));
}

#[test]
fn an_interrupt_stops_it_as_well() {
    let mut world = World::start();
    world.signal("-INT");
    assert_eq!(exit_code(&mut world), Some(0));
    let last = world.log.iter().last().unwrap();
    assert!(last.contains("\"message\":\"stopped\""), "{last}");
}

const PROMPTLY: Duration = Duration::from_secs(5);

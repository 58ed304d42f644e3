//! Told to stop: no more is taken in, what is under way ends, what does not end is cut.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::frames::{
    self, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, SETTINGS, WINDOW_UPDATE,
    frame,
};
use crate::harness::{H2, Identity, Wire, World, wait_until};

/// Opens a stream of events that is heard.
#[track_caller]
fn open(world: &World) -> Wire {
    let mut wire = world.connect();
    listen(&mut wire, world);
    wire
}

#[track_caller]
fn listen(wire: &mut Wire, world: &World) {
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\nx-answer: stream\r\n\r\n",
        world.issuer.token()
    ));
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    world.upstream.next();
    world.upstream.say("before");
    assert_eq!(wire.event(), "data: before");
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
fn streams_that_do_not_end_in_time_end_as_whole_ones() {
    let identity = Identity::new();
    let settings = format!("{}\nshutdown_timeout: 2s", identity.settings());
    let mut world = World::with(&settings);
    let mut wire = identity.connect(world.gateway);
    listen(&mut wire, &world);
    let bearer = format!("Bearer {}", world.issuer.token());
    // The backend of these tests streams to one at a time; this one waits for its turn, with a head.
    let head = "HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\n\
        transfer-encoding: chunked\\r\\n\\r\\nd\\r\\ndata: half an\\r\\n";
    let headers = [("authorization", bearer.as_str()), ("x-answer", head)];
    let mut client = H2::connect(world.gateway, &identity);
    let mut answer = client.open("GET", "/mcp", &headers, "").unwrap();
    let began = Instant::now();
    world.signal("-TERM");
    assert!(wire.stream_ends(), "the last chunk comes");
    assert!(wire.is_closed());
    assert_eq!(answer.rest().unwrap(), "data: half an", "END_STREAM, and no RST_STREAM");
    assert!(client.is_closed_within(PROMPTLY));
    assert!(began.elapsed() > Duration::from_secs(1), "they had their time");
    assert_eq!(exit_code(&mut world), Some(0));
    let lines: Vec<String> = world.log.iter().collect();
    let ended = lines.iter().filter(|line| line.contains("\"ended\":\"stopping\"")).count();
    assert_eq!(ended, 2);
    assert!(!lines.iter().any(|line| line.contains("cut at the end")), "nothing was left");
}

#[test]
fn an_answer_of_another_kind_is_cut_for_nobody_shall_take_a_part_for_the_whole() {
    let mut world = World::with("shutdown_timeout: 300ms");
    let mut wire = world.connect();
    let half = "HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\n\
        transfer-encoding: chunked\\r\\n\\r\\n5\\r\\n{\"a\":\\r\\n";
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\nx-answer: {half}\r\n\r\n",
        world.issuer.token()
    ));
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    world.signal("-TERM");
    assert_eq!(wire.rest(), "5\r\n{\"a\":\r\n", "the client can tell that something is missing");
    assert_eq!(exit_code(&mut world), Some(0));
}

#[test]
fn what_does_not_end_in_time_is_cut() {
    let mut world = World::with("shutdown_timeout: 300ms");
    let mut wire = world.connect();
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\nx-answer: wait\r\n\r\n",
        world.issuer.token()
    ));
    world.upstream.next();
    world.signal("-TERM");
    assert_eq!(wire.rest(), "");
    assert_eq!(exit_code(&mut world), Some(0));
    let cut = world.log.iter().find(|line| line.contains("cut at the end of shutdown_timeout"));
    assert!(cut.unwrap().contains("\"connections\":1"));
}

#[test]
fn a_second_signal_ends_streams_at_once() {
    for second in ["-TERM", "-INT"] {
        let mut world = World::start();
        let mut wire = open(&world);
        stop(&world);
        world.upstream.say("after");
        assert_eq!(wire.event(), "data: after");
        world.signal(second);
        assert!(wire.stream_ends());
        // Well below the half minute that it might have had.
        assert!(wire.is_closed_within(PROMPTLY));
        assert_eq!(exit_code(&mut world), Some(0));
    }
}

#[test]
fn for_a_while_only_probes_are_told() {
    let mut world = World::with("shutdown_delay: 1h");
    let token = world.issuer.token();
    let mut before = world.connect();
    assert_eq!(before.call(&token).status, 200);
    world.signal("-TERM");
    wait_until("it is not ready", || world.admin("/readyz").status == 503);
    assert_eq!(world.call(&token).status, 200, "those who come");
    let answer = before.call(&token);
    assert_eq!(answer.status, 200, "and those who are there");
    assert_ne!(answer.header("connection"), "close", "who may stay");
    world.configure("shutdown_delay: 1h\nresource: {url: https://mcp.example/mcp, scopes: [a]}");
    wait_until("even rules change", || world.call(&token).status == 403);
    world.signal("-TERM");
    wait_until("it takes no more", || TcpStream::connect(world.gateway).is_err());
    assert_eq!(exit_code(&mut world), Some(0));
}

#[test]
fn who_calls_again_is_answered_and_told_to_come_back_on_another_connection() {
    let world = World::start();
    let token = world.issuer.token();
    let mut wire = world.connect();
    assert_ne!(wire.call(&token).header("connection"), "close");
    world.signal("-TERM");
    let mut answer = wire.call(&token);
    while answer.header("connection") != "close" {
        assert_eq!(answer.status, 200);
        answer = wire.call(&token);
    }
    assert_eq!(answer.status, 200);
    assert!(wire.is_closed());
}

/// RFC 9113 section 6.8: first that there is an end, then, when the client must have heard of it, which
/// requests it is too late for.
#[test]
fn an_http2_client_is_told_to_go_in_two_steps() {
    let identity = Identity::new();
    let mut world = World::with(&identity.settings());
    let bearer = format!("Bearer {}", world.issuer.token());
    let ask = |stream: u32, fields: &[(&str, &str)]| {
        let fields = [&[("authorization", bearer.as_str())], fields].concat();
        let head = frames::head("GET", "/mcp", &fields);
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &head)
    };
    let mut client = Frames::connect(world.gateway, &identity);
    // What is said of the connection alone says nothing here.
    let next = |client: &mut Frames| loop {
        let heard = client.next();
        if ![SETTINGS, WINDOW_UPDATE].contains(&heard.0) {
            return heard;
        }
    };
    assert!(client.send(&ask(1, &[("x-answer", "stream")])));
    let (kind, _, stream, _) = next(&mut client);
    assert_eq!((kind, stream), (HEADERS, 1));
    world.signal("-TERM");

    let (kind, _, stream, last) = next(&mut client);
    assert_eq!((kind, stream), (GOAWAY, 0));
    assert_eq!(last, [0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0], "no request is too late yet, NO_ERROR");
    let (kind, flags, _, asked) = next(&mut client);
    assert_eq!((kind, flags), (PING, 0));
    // Under way when the first word came.
    assert!(client.send(&ask(3, &[])));
    let (kind, _, stream, _) = next(&mut client);
    assert_eq!((kind, stream), (HEADERS, 3), "it is answered");
    let (kind, flags, stream, body) = next(&mut client);
    assert_eq!((kind, flags & END_STREAM, stream), (DATA, END_STREAM, 3));
    assert_eq!(body, b"{}");

    assert!(client.send(&frame(PING, ACK, 0, &asked)));
    let (kind, _, _, last) = next(&mut client);
    assert_eq!(kind, GOAWAY);
    assert_eq!(last, [0, 0, 0, 3, 0, 0, 0, 0], "what came after this was not looked at, NO_ERROR");
    assert!(client.send(&ask(5, &[])));
    world.upstream.say("after");
    let (kind, _, stream, event) = next(&mut client);
    assert_eq!((kind, stream, event.as_slice()), (DATA, 1, &b"data: after\n\n"[..]));
    world.upstream.say("");
    let (kind, flags, stream, _) = next(&mut client);
    assert_eq!((kind, flags & END_STREAM, stream), (DATA, END_STREAM, 1));
    assert!(client.is_closed_within(PROMPTLY));
    assert_eq!(exit_code(&mut world), Some(0));
}

#[test]
fn a_thousand_streams_end_as_whole_ones() {
    let identity = Identity::new();
    let backend = endless();
    let mut world = World::with(&format!(
        "{}\nshutdown_timeout: 20s\nlimits: {{streams_per_principal: 2000, stream_keepalive: off}}\n\
         upstream: {{address: '{backend}'}}",
        identity.settings()
    ));
    let bearer = format!("Bearer {}", world.issuer.token());
    let headers = [("authorization", bearer.as_str())];
    let mut plain: Vec<Wire> = (0..600)
        .map(|_| {
            let mut wire = identity.connect(world.gateway);
            wire.send(format!(
                "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: {bearer}\r\n\r\n"
            ));
            assert!(wire.head().starts_with("HTTP/1.1 200"));
            assert_eq!(wire.event(), "data: hello");
            wire
        })
        .collect();
    let mut clients: Vec<H2> = (0..4).map(|_| H2::connect(world.gateway, &identity)).collect();
    let mut answers = Vec::new();
    for client in &mut clients {
        for _ in 0..100 {
            let mut answer = client.open("GET", "/mcp", &headers, "").unwrap();
            assert_eq!(answer.piece().unwrap().unwrap(), "data: hello\n\n");
            answers.push(answer);
        }
    }
    let began = Instant::now();
    world.signal("-TERM");
    let whole = plain.iter_mut().filter_map(|wire| wire.stream_ends().then_some(())).count();
    assert_eq!(whole, 600, "each has its last chunk");
    for answer in &mut answers {
        assert_eq!(answer.rest().unwrap(), "", "each has its END_STREAM");
    }
    assert_eq!(exit_code(&mut world), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(!world.log.iter().any(|line| line.contains("cut at the end")), "nothing was cut");
}

/// A backend whose streams never end by themselves.
fn endless() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut open = Vec::new();
        for mut connection in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\n\r\nd\r\ndata: hello\n\n\r\n";
            connection.write_all(answer.as_bytes()).unwrap();
            open.push(connection);
        }
    });
    address
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

/// Of a PING.
const ACK: u8 = 1;
const PROMPTLY: Duration = Duration::from_secs(5);

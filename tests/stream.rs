//! Streams of events: through at once, for as long as both ends want.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::{H2, Identity, Wire, World, wait_until};

/// Opens a stream of events.
#[track_caller]
fn open(world: &World, method: &str) -> Wire {
    let mut wire = world.connect();
    let body = if method == "GET" { "" } else { "Content-Length: 2\r\n" };
    wire.send(format!(
        "{method} /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\n\
         Accept-Encoding: gzip, br\r\nx-answer: stream\r\n{body}\r\n{}",
        world.issuer.token(),
        if body.is_empty() { "" } else { "{}" },
    ));
    let head = wire.head();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_lowercase().contains("content-type: text/event-stream"), "{head}");
    world.upstream.next();
    wire
}

/// Said only once the one before was heard: nothing waits in a buffer for more.
#[track_caller]
fn hears_each_at_once(world: &World, wire: &mut Wire) {
    for number in 0..20 {
        let event = format!("event {number}");
        world.upstream.say(&event);
        assert_eq!(wire.event(), format!("data: {event}"));
    }
}

#[test]
fn events_arrive_one_by_one() {
    let world = World::start();
    for method in ["POST", "GET"] {
        let mut wire = open(&world, method);
        hears_each_at_once(&world, &mut wire);
        world.upstream.say("");
        assert!(wire.stream_ends());
    }
}

/// From the backend's writing to the client's reading, most times: of the first event and of any other.
#[track_caller]
fn pass_at_once(world: &World, mut hear: impl FnMut() -> String) {
    let mut took: Vec<Duration> = (0..101)
        .map(|number| {
            let began = Instant::now();
            world.upstream.say(&number.to_string());
            assert_eq!(hear(), format!("data: {number}\n\n"));
            began.elapsed()
        })
        .collect();
    took.sort();
    assert!(took[50] < Duration::from_millis(5), "{took:?}");
}

#[test]
fn an_event_passes_within_five_milliseconds() {
    let identity = Identity::new();
    let (plain, secure) = (World::start(), World::with(&identity.settings()));
    let mut wire = open(&plain, "GET");
    pass_at_once(&plain, || wire.chunk());
    let bearer = format!("Bearer {}", secure.issuer.token());
    let headers = [("authorization", bearer.as_str()), ("x-answer", "stream")];
    let mut client = H2::connect(secure.gateway, &identity);
    let mut answer = client.open("GET", "/mcp", &headers, "").unwrap();
    pass_at_once(&secure, || answer.piece().unwrap().unwrap());
}

/// Each is said after `data: `, and a blank line after it.
const EVENTS: [&str; 6] = [
    "{}\nid: 1/7\nevent: message\nretry: 3000",
    "\nid: \n: keepalive\n\n: another comment",
    "a\r\nid: 8\r\n\r\nevent: x\rdata: y\r\rdata: z",
    " two  spaces \n\n\n\n:",
    "no end of a line; Zo\u{eb}\u{2028}\u{feff}",
    "1a\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
];

#[test]
fn events_arrive_byte_for_byte() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let bearer = format!("Bearer {}", world.issuer.token());
    let headers = [("authorization", bearer.as_str()), ("x-answer", "stream")];
    let mut client = H2::connect(world.gateway, &identity);
    let mut answer = client.open("GET", "/mcp", &headers, "").unwrap();
    for event in EVENTS {
        world.upstream.say(event);
        assert_eq!(answer.piece().unwrap().unwrap(), format!("data: {event}\n\n"));
    }
    world.upstream.say("");
    assert_eq!(answer.rest().unwrap(), "");

    let world = World::start();
    let mut wire = open(&world, "GET");
    for event in EVENTS {
        world.upstream.say(event);
        assert_eq!(wire.chunk(), format!("data: {event}\n\n"));
    }
    world.upstream.say("");
    assert!(wire.stream_ends());
}

const COMMENT: &str = ": keep-alive\n\n";

#[test]
fn a_silent_stream_shows_that_it_is_alive() {
    let identity = Identity::new();
    let quick = "limits: {stream_keepalive: 150ms}";
    let world = World::with(&format!("{}\n{quick}", identity.settings()));
    let mut wire = identity.connect(world.gateway);
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\n\
         x-answer: stream\r\n\r\n",
        world.issuer.token()
    ));
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    world.upstream.next();
    for event in EVENTS.iter().filter(|event| !event.contains("keep-alive")) {
        (0..3).for_each(|_| assert_eq!(wire.chunk(), COMMENT));
        world.upstream.say(event);
        let said = format!("data: {event}\n\n");
        // One more comment may have been on its way.
        let heard = std::iter::repeat_with(|| wire.chunk()).find(|chunk| chunk != COMMENT);
        assert_eq!(heard.unwrap(), said);
    }
    world.upstream.say("");
    let end = std::iter::repeat_with(|| wire.chunk()).find(|chunk| chunk != COMMENT);
    assert_eq!(end.unwrap(), "", "the last chunk, whole");
    assert!(wire.is_silent_for(Duration::from_millis(500)), "nothing after its end");
    assert_eq!(wire.call(&world.issuer.token()).status, 200);
    assert!(wire.is_silent_for(Duration::from_millis(500)), "nor after an answer");
}

#[test]
fn nothing_is_put_into_an_event_or_into_anything_else() {
    let world = World::with("limits: {stream_keepalive: 50ms}");
    let bearer = format!("Bearer {}", world.issuer.token());
    let events = "Content-Type: text/event-stream";
    let chunked = "Transfer-Encoding: chunked";
    for (head, body) in [
        (format!("{events}\\r\\n{chunked}"), "7\\r\\ndata: a\\r\\n"),
        (format!("{events}\\r\\n{chunked}"), "9\\r\\ndata: a\\r\\n\\r\\n"),
        (format!("{events}\\r\\nContent-Encoding: gzip\\r\\n{chunked}"), ""),
        (format!("Content-Type: application/json\\r\\n{chunked}"), ""),
    ] {
        let answer = format!("HTTP/1.1 200 OK\\r\\n{head}\\r\\n\\r\\n{body}");
        let mut wire = world.connect();
        wire.send(format!(
            "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: {bearer}\r\n\
             x-answer: {answer}\r\n\r\n"
        ));
        assert!(wire.head().starts_with("HTTP/1.1 200"));
        if !body.is_empty() {
            assert!(wire.chunk().starts_with("data: a"));
        }
        assert!(wire.is_silent_for(Duration::from_millis(400)), "{answer}");
    }
}

/// What arrives in one piece is told of in one go.
#[test]
fn a_stream_whose_first_event_came_with_its_head_shows_it_too() {
    let world = World::with("limits: {stream_keepalive: 50ms}");
    let answer = "HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n\
                  Transfer-Encoding: chunked\\r\\n\\r\\nb\\r\\ndata: a\\r\\n\\r\\n\\r\\n";
    let mut wire = world.connect();
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\n\
         x-answer: {answer}\r\n\r\n",
        world.issuer.token()
    ));
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    assert_eq!(wire.chunk(), "data: a\r\n\r\n");
    (0..3).for_each(|_| assert_eq!(wire.chunk(), COMMENT));
}

#[test]
fn a_silent_stream_stays_silent_where_the_operator_says_so() {
    let world = World::with("limits: {stream_keepalive: off}");
    let mut wire = open(&world, "GET");
    assert!(wire.is_silent_for(Duration::from_millis(500)));
    hears_each_at_once(&world, &mut wire);
}

/// A broken stream is taken up where it broke: the server is told, and nobody else answers.
#[test]
fn a_stream_is_taken_up_again_at_the_event_that_its_client_names() {
    let world = World::start();
    for id in ["7", "1/7", "a b, c;d=\"e\"", "\u{eb}"] {
        let mut wire = world.connect();
        wire.send(format!(
            "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\n\
             Accept: text/event-stream\r\nLast-Event-ID: {id}\r\nx-answer: stream\r\n\r\n",
            world.issuer.token()
        ));
        assert!(wire.head().starts_with("HTTP/1.1 200"));
        assert_eq!(world.upstream.next().values("last-event-id"), [id]);
        world.upstream.say("");
        assert!(wire.stream_ends());
    }
}

/// MCP 2024-11-05: a stream that tells where to send, and a place to send to.
#[test]
fn the_old_transport_of_two_endpoints_passes() {
    let world = World::start();
    let token = world.issuer.token();
    let place = "/mcp/messages/?session_id=7e1c";
    assert_eq!(world.request("GET", "/mcp/sse", &[]).status, 401);
    let mut wire = world.connect();
    wire.send(format!(
        "GET /mcp/sse HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n\
         Accept: text/event-stream\r\nx-answer: stream\r\n\r\n"
    ));
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    assert!(world.upstream.next().head.starts_with("GET /mcp/sse HTTP/1.1\r\n"));
    world.upstream.say(&format!("{place}\nevent: endpoint"));
    assert_eq!(wire.chunk(), format!("data: {place}\nevent: endpoint\n\n"));

    assert_eq!(world.connect().request("POST", place, &[], "{}").status, 401);
    let accepted = "HTTP/1.1 202 Accepted\\r\\nContent-Length: 8\\r\\n\\r\\nAccepted";
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("x-answer", accepted)];
    let response = world.connect().request("POST", place, &headers, r#"{"jsonrpc":"2.0"}"#);
    assert_eq!((response.status, response.body.as_str()), (202, "Accepted"));
    let seen = world.upstream.next();
    assert!(seen.head.starts_with(&format!("POST {place} HTTP/1.1\r\n")), "{}", seen.head);
    assert_eq!(seen.body, r#"{"jsonrpc":"2.0"}"#);
    world.upstream.say("{}\nevent: message");
    assert_eq!(wire.chunk(), "data: {}\nevent: message\n\n");
}

#[test]
fn a_stream_that_has_ended_leaves_the_connection_usable() {
    let world = World::start();
    let mut wire = open(&world, "POST");
    world.upstream.say("");
    assert!(wire.stream_ends());
    assert_eq!(wire.call(&world.issuer.token()).status, 200);
}

#[test]
fn events_arrive_one_by_one_over_http2() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let bearer = format!("Bearer {}", world.issuer.token());
    let headers = [("authorization", bearer.as_str()), ("x-answer", "stream")];
    let mut client = H2::connect(world.gateway, &identity);
    let mut answer = client.open("POST", "/mcp", &headers, "{}").unwrap();
    assert_eq!(answer.head.header("content-type"), "text/event-stream");
    for number in 0..20 {
        world.upstream.say(&number.to_string());
        assert_eq!(answer.piece().unwrap().unwrap(), format!("data: {number}\n\n"));
    }
    world.upstream.next();
    world.upstream.say("");
    assert_eq!(answer.rest().unwrap(), "");
}

#[test]
fn other_requests_pass_beside_a_stream_on_the_same_connection() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let bearer = format!("Bearer {}", world.issuer.token());
    let headers = [("authorization", bearer.as_str()), ("x-answer", "stream")];
    let mut client = H2::connect(world.gateway, &identity);
    let mut answer = client.open("GET", "/mcp", &headers, "").unwrap();
    assert_eq!(client.call(&world.issuer.token()).status, 200);
    world.upstream.say("still here");
    assert_eq!(answer.piece().unwrap().unwrap(), "data: still here\n\n");
}

#[test]
fn silence_ends_no_stream() {
    let world = World::with(
        "limits: {header_timeout: 200ms, idle_timeout: 200ms, body_timeout: 200ms, \
         write_timeout: 200ms}",
    );
    for method in ["POST", "GET"] {
        let mut wire = open(&world, method);
        assert!(wire.is_silent_for(Duration::from_millis(1200)), "{method}");
        hears_each_at_once(&world, &mut wire);
        world.upstream.say("");
        assert!(wire.stream_ends());
    }
}

#[test]
fn silence_ends_no_stream_over_http2() {
    let identity = Identity::new();
    let limits = "limits: {header_timeout: 200ms, idle_timeout: 200ms, body_timeout: 200ms}";
    let world = World::with(&format!("{}\n{limits}", identity.settings()));
    let bearer = format!("Bearer {}", world.issuer.token());
    let headers = [("authorization", bearer.as_str()), ("x-answer", "stream")];
    let mut client = H2::connect(world.gateway, &identity);
    let mut answer = client.open("GET", "/mcp", &headers, "").unwrap();
    world.upstream.next();
    assert!(!client.is_closed_within(Duration::from_millis(1200)));
    world.upstream.say("still here");
    assert_eq!(answer.piece().unwrap().unwrap(), "data: still here\n\n");
}

/// How long it takes, most times, until the server knows that a client has gone.
#[track_caller]
fn is_told_at_once<C>(world: &World, mut client: impl FnMut() -> C) {
    let mut took: Vec<Duration> = (0..9)
        .map(|_| {
            let client = client();
            let gone = Instant::now();
            drop(client);
            assert!(world.upstream.was_abandoned_within(PROMPTLY));
            gone.elapsed()
        })
        .collect();
    took.sort();
    // A few milliseconds, most of them the backend's own looking.
    assert!(took[4] < Duration::from_millis(100), "{took:?}");
}

#[test]
fn when_the_client_goes_the_server_is_hung_up_on() {
    let world = World::start();
    for method in ["POST", "GET"] {
        is_told_at_once(&world, || open(&world, method));
    }
    wait_until("it is counted", || {
        world.metric("postern_requests_total{outcome=\"broken\"}") >= 1.0
    });
}

#[test]
fn when_the_client_goes_before_the_answer_the_server_is_hung_up_on() {
    let world = World::start();
    is_told_at_once(&world, || {
        let mut wire = world.connect();
        wire.send(format!(
            "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\n\
             x-answer: wait\r\nContent-Length: 2\r\n\r\n{{}}",
            world.issuer.token()
        ));
        world.upstream.next();
        wire
    });
}

#[test]
fn when_an_http2_client_cancels_the_server_is_hung_up_on() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let bearer = format!("Bearer {}", world.issuer.token());
    let headers = [("authorization", bearer.as_str()), ("x-answer", "stream")];
    let mut client = H2::connect(world.gateway, &identity);
    is_told_at_once(&world, || {
        let answer = client.open("POST", "/mcp", &headers, "{}").unwrap();
        world.upstream.next();
        answer
    });
    assert_eq!(client.call(&world.issuer.token()).status, 200, "only the stream is gone");
}

#[test]
fn a_client_that_stops_reading_is_cut() {
    let world = World::with("limits: {write_timeout: 300ms}");
    let mut wire = open(&world, "POST");
    flood(&world);
    assert!(world.upstream.was_abandoned_within(PROMPTLY));
    assert!(!wire.rest().ends_with("0\r\n\r\n"), "it can tell that something is missing");
}

#[test]
fn an_http2_client_that_stops_reading_is_cut() {
    let identity = Identity::new();
    let world = World::with(&format!("{}\nlimits: {{write_timeout: 300ms}}", identity.settings()));
    let bearer = format!("Bearer {}", world.issuer.token());
    let headers = [("authorization", bearer.as_str()), ("x-answer", "stream")];
    let mut client = H2::connect(world.gateway, &identity);
    let mut answer = client.open("POST", "/mcp", &headers, "{}").unwrap();
    world.upstream.next();
    flood(&world);
    assert!(world.upstream.was_abandoned_within(PROMPTLY));
    assert!(answer.rest().is_err(), "it can tell that something is missing");
}

#[test]
fn a_server_that_breaks_off_is_not_taken_for_one_that_ended() {
    let world = World::start();
    let mut wire = world.connect();
    let bearer = format!("Bearer {}", world.issuer.token());
    let raw = "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n2\\r\\nhi\\r\\nbroken";
    let headers = [("Authorization", bearer.as_str()), ("x-answer", raw)];
    wire.request("POST", "/mcp", &headers, "{}");
    assert!(!wire.rest().ends_with("0\r\n\r\n"));
}

/// Each connection to the server has a second handle, by which it can be ended.
#[test]
fn no_handle_is_left_of_what_has_ended() {
    let world = World::start();
    let descriptors = format!("/proc/{}/fd", world.proxy.0.id());
    let count = || fs::read_dir(&descriptors).unwrap().count();
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    world.upstream.next();
    let before = count();
    let bearer = format!("Bearer {}", world.issuer.token());
    for _ in 0..20 {
        drop(open(&world, "POST"));
        assert!(world.upstream.was_abandoned_within(PROMPTLY));
        for answer in ["hang-up", "HTTP/1.1 204 No Content\\r\\n\\r\\n"] {
            world.request("GET", "/mcp", &[("Authorization", &bearer), ("x-answer", answer)]);
            world.upstream.next();
        }
    }
    wait_until("they are closed", || count() <= before);
}

/// More than all the buffers between the server and the client hold.
fn flood(world: &World) {
    let event = "x".repeat(64 << 10);
    (0..800).for_each(|_| world.upstream.say(&event));
}

/// Generous: what is measured takes milliseconds.
const PROMPTLY: Duration = Duration::from_secs(5);

//! What streams cost that nobody says anything on: `cargo bench --bench streams` opens ten thousand.

use std::fs;

use crate::harness::{H2, Identity, Wire, World};

/// The heads of events, and silence.
const SILENCE: &str = "HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n\
                       Transfer-Encoding: chunked\\r\\n\\r\\n";

/// Opens as many streams as there are numbers, and bounds what each adds to the process.
#[track_caller]
fn each_takes_at_most<S>(kib: usize, world: &World, mut open: impl FnMut() -> S) {
    let mut streams: Vec<S> = (0..WARM).map(|_| open()).collect();
    let before = resident(world);
    streams.extend((0..STREAMS).map(|_| open()));
    let each = resident(world).saturating_sub(before) / STREAMS;
    assert!(each <= kib, "{each} KiB for each stream");
}

fn listen(mut wire: Wire, token: &str) -> Wire {
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n\
         x-answer: {SILENCE}\r\n\r\n"
    ));
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    wire
}

#[test]
fn hundreds_of_idle_streams_take_little() {
    let world = World::with("limits: {streams_per_principal: off}");
    let token = world.issuer.token();
    each_takes_at_most(BOUND, &world, || listen(world.connect(), &token));
}

#[test]
fn hundreds_of_idle_streams_take_little_over_tls() {
    let identity = Identity::new();
    let off = "limits: {streams_per_principal: off}";
    let world = World::with(&format!("{}\n{off}", identity.settings()));
    let token = world.issuer.token();
    each_takes_at_most(BOUND + FOR_TLS, &world, || listen(identity.connect(world.gateway), &token));
}

#[test]
fn hundreds_of_idle_streams_take_little_over_http2() {
    let identity = Identity::new();
    let off = "limits: {streams_per_principal: off}";
    let world = World::with(&format!("{}\n{off}", identity.settings()));
    let bearer = format!("Bearer {}", world.issuer.token());
    let headers = [("authorization", bearer.as_str()), ("x-answer", SILENCE)];
    let mut clients: Vec<H2> =
        (0..=(WARM + STREAMS) / 100).map(|_| H2::connect(world.gateway, &identity)).collect();
    let mut opened = 0;
    each_takes_at_most(BOUND, &world, || {
        opened += 1;
        clients[opened / 100].open("GET", "/mcp", &headers, "").unwrap()
    });
}

/// In KiB: its own memory, not the program's.
fn resident(world: &World) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", world.proxy.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

const WARM: usize = 50;
const STREAMS: usize = 500;
/// In KiB. What is shipped takes less than what is tested, whose futures are larger.
const BOUND: usize = 80;
const FOR_TLS: usize = 20;

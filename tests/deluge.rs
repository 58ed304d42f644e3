//! Connections by which one client would have the proxy do much for little: the others do not notice.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::deploy::tool;
use crate::harness::frames::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, PRIORITY, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, frame, head,
};
use crate::harness::{Identity, Wire, World};

/// What one connection is made to do, again and again, until it is not listened to any more.
type Flood = fn(&mut Frames, &str, u32) -> bool;

const FLOODS: [(&str, Flood); 10] = [
    ("requests that are taken back", resets),
    ("good requests that are taken back", good_resets),
    ("good requests that the proxy is made to take back", made_resets),
    ("a head without end", continuations),
    ("a head that grows when it is read", references),
    ("settings", settings),
    ("windows that open and close", windows),
    ("pings", pings),
    ("priorities", priorities),
    ("pieces of a body with nothing in them", empty_pieces),
];

fn resets(frames: &mut Frames, _bearer: &str, turn: u32) -> bool {
    let stream = turn * 2 + 1;
    let request = head("GET", "/mcp", &[]);
    frames.send(
        &[frame(HEADERS, END_HEADERS | END_STREAM, stream, &request), cancel(stream)].concat(),
    )
}

fn good_resets(frames: &mut Frames, bearer: &str, turn: u32) -> bool {
    let stream = turn * 2 + 1;
    let request = head("POST", "/mcp", &[("authorization", bearer), ("x-answer", "wait")]);
    frames.send(&[frame(HEADERS, END_HEADERS, stream, &request), cancel(stream)].concat())
}

/// A window that grows by nothing is an error of its stream's (RFC 9113 section 6.9).
fn made_resets(frames: &mut Frames, bearer: &str, turn: u32) -> bool {
    let stream = turn * 2 + 1;
    let request = head("POST", "/mcp", &[("authorization", bearer), ("x-answer", "wait")]);
    let nothing = frame(WINDOW_UPDATE, 0, stream, &[0; 4]);
    frames.send(&[frame(HEADERS, END_HEADERS, stream, &request), nothing].concat())
}

fn cancel(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])
}

fn continuations(frames: &mut Frames, _bearer: &str, turn: u32) -> bool {
    match turn {
        0 => frames.send(&frame(HEADERS, 0, 1, &head("GET", "/mcp", &[]))),
        // By turns some, and none.
        turn if turn % 2 == 0 => frames.send(&frame(CONTINUATION, 0, 1, &[])),
        _ => frames.send(&frame(CONTINUATION, 0, 1, &frames::field("x-more", "more"))),
    }
}

/// One field to be remembered, and thousands of references to it, of a byte each.
fn references(frames: &mut Frames, _bearer: &str, turn: u32) -> bool {
    let remembered = [&[0x40][..], &frames::text("x"), &frames::text(&"x".repeat(3000))].concat();
    let bomb = [head("GET", "/mcp", &[]), remembered, vec![0xBE; 12_000]].concat();
    frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, turn * 2 + 1, &bomb))
}

fn settings(frames: &mut Frames, _bearer: &str, _turn: u32) -> bool {
    frames.send(&frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]).repeat(10))
}

fn windows(frames: &mut Frames, bearer: &str, turn: u32) -> bool {
    if turn < 50 {
        let request = head("GET", "/mcp", &[("authorization", bearer)]);
        return frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, turn * 2 + 1, &request));
    }
    let sized = |size: u32| frame(SETTINGS, 0, 0, &[&[0, 4][..], &size.to_be_bytes()].concat());
    let opened = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
    frames.send(&[sized(0), sized((1 << 31) - 1), opened].concat())
}

fn pings(frames: &mut Frames, _bearer: &str, _turn: u32) -> bool {
    frames.send(&frame(PING, 0, 0, &[7; 8]).repeat(10))
}

fn priorities(frames: &mut Frames, _bearer: &str, turn: u32) -> bool {
    frames.send(&frame(PRIORITY, 0, turn * 2 + 1, &[0, 0, 0, 0, 16]).repeat(10))
}

fn empty_pieces(frames: &mut Frames, bearer: &str, turn: u32) -> bool {
    if turn == 0 {
        let request = head("POST", "/mcp", &[("authorization", bearer)]);
        return frames.send(&frame(HEADERS, END_HEADERS, 1, &request));
    }
    frames.send(&frame(DATA, 0, 1, &[]).repeat(10))
}

/// Each flood on a few connections at once, of which some listen to what is said to them.
#[test]
fn a_flood_of_frames_ends_and_harms_nobody_else() {
    let identity = Identity::new();
    // The shipped ones are the same but longer.
    let limits = "limits: {header_timeout: 3s, idle_timeout: 3s, body_timeout: 2s, \
                  write_timeout: 2s, failed_authentication: off}";
    let world = World::with(&format!("{}\n{limits}", identity.settings()));
    let mut healthy = Healthy::new(&world, &identity);
    let bearer = format!("Bearer {}", world.issuer.token());
    let before = healthy.median(200, || false);
    let resident = resident(&world);
    for (name, flood) in FLOODS {
        let over = AtomicBool::new(false);
        let during = thread::scope(|scope| {
            let floods: Vec<_> = (0..CONNECTIONS)
                .map(|number| {
                    let (identity, bearer, gateway) = (&identity, &bearer, world.gateway);
                    let listens = number % 2 == 0;
                    scope.spawn(move || poured(gateway, identity, bearer, flood, listens))
                })
                .collect();
            let latency = scope.spawn(|| healthy.median(50, || !over.load(Ordering::Relaxed)));
            let ended: Vec<_> = floods.into_iter().map(ScopedJoinHandle::join).collect();
            over.store(true, Ordering::Relaxed);
            assert!(ended.into_iter().all(|ended| ended.unwrap()), "{name}: it goes on for ever");
            latency.join().unwrap()
        });
        let grown = self::resident(&world).saturating_sub(resident);
        assert!(during < before * 10 + MOMENT, "{name}: {during:?} instead of {before:?}");
        assert!(grown < BOUND, "{name}: {grown} KiB more are resident");
    }
}

/// Half a head, half a body, and an answer that is not taken, by the hundred.
#[test]
fn hundreds_of_slow_clients_end_and_harm_nobody_else() {
    let identity = Identity::new();
    let limits = "limits: {header_timeout: 3s, body_timeout: 3s}";
    let world = World::with(&format!("{}\n{limits}", identity.settings()));
    let mut healthy = Healthy::new(&world, &identity);
    let before = healthy.median(200, || false);
    let resident = resident(&world);
    let half = format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\n",
        world.issuer.token()
    );
    let mut slow: Vec<Wire> = (0..300)
        .map(|number| {
            let mut wire = identity.connect(world.gateway);
            wire.send(&half);
            if number % 2 == 0 {
                wire.send("Content-Length: 100\r\n\r\n{");
            }
            wire
        })
        .collect();
    let during = healthy.median(200, || false);
    let grown = self::resident(&world).saturating_sub(resident);
    assert!(during < before * 10 + MOMENT, "{during:?} instead of {before:?}");
    assert!(grown < BOUND, "{grown} KiB more are resident");
    let began = Instant::now();
    for wire in &mut slow {
        // Whoever is late with a body is told so.
        let told = wire.rest();
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 408"), "{told}");
    }
    assert!(began.elapsed() < Duration::from_secs(15), "they go on for ever");
}

/// The tool that people try this with: it counts what it can hold open, and asks now and then whether anybody
/// else is still served.
#[test]
fn slowhttptest_keeps_nobody_else_waiting() {
    let identity = Identity::new();
    let limits =
        "limits: {header_timeout: 3s, body_timeout: 3s, write_timeout: 3s, idle_timeout: 3s}";
    let world = World::with(&format!("{}\n{limits}", identity.settings()));
    let mut healthy = Healthy::new(&world, &identity);
    let before = healthy.median(200, || false);
    let resident = resident(&world);
    let endpoint = format!("https://{}/mcp", world.gateway);
    let document = format!("https://{}/.well-known/oauth-protected-resource/mcp", world.gateway);
    // Heads and bodies that do not end, ranges, answers that are taken byte by byte. Of these it takes what
    // was sent to it long after it was hung up on.
    let ways = [
        ("-H", &endpoint, "No open connections left"),
        ("-B", &endpoint, "No open connections left"),
        ("-R", &endpoint, "No open connections left"),
        ("-X", &document, "Exit status:"),
    ];
    for (way, url, end) in ways {
        let over = AtomicBool::new(false);
        let (told, during) = thread::scope(|scope| {
            let latency = scope.spawn(|| healthy.median(50, || !over.load(Ordering::Relaxed)));
            let mut attack = tool("slowhttptest");
            // So many, all within a second, each with something to say each second; a probe may wait for two.
            attack
                .args([way, "-c", "400", "-r", "400", "-i", "1", "-p", "2", "-l", "15", "-u", url]);
            let told = attack.output().unwrap();
            over.store(true, Ordering::Relaxed);
            (String::from_utf8_lossy(&told.stdout).into_owned(), latency.join().unwrap())
        });
        let grown = self::resident(&world).saturating_sub(resident);
        assert!(told.contains(end), "{way}: {told}");
        assert!(!is_unavailable(&told), "{way}: {told}");
        assert!(during < before * 10 + MOMENT, "{way}: {during:?} instead of {before:?}");
        assert!(grown < BOUND, "{way}: {grown} KiB more are resident");
    }
}

/// Whether it found nobody served, at any time.
fn is_unavailable(told: &str) -> bool {
    let mut said = told.lines().filter_map(|line| line.split_once("service available:"));
    said.any(|(_, said)| said.contains("NO"))
}

/// Whether the connection ends, in whatever way.
fn poured(
    gateway: SocketAddr,
    identity: &Identity,
    bearer: &str,
    flood: Flood,
    listens: bool,
) -> bool {
    let mut frames = Frames::connect(gateway, identity);
    let began = Instant::now();
    for turn in 0.. {
        if !flood(&mut frames, bearer, turn) {
            return true;
        }
        if listens && turn % 64 == 0 {
            frames.listen();
        }
        if turn >= TURNS || began.elapsed() > LONG {
            break;
        }
    }
    frames.is_closed_within(Duration::from_secs(20))
}

/// A caller who has done nothing wrong.
struct Healthy {
    wire: Wire,
    token: String,
}

impl Healthy {
    fn new(world: &World, identity: &Identity) -> Self {
        Self { wire: identity.connect(world.gateway), token: world.issuer.token() }
    }

    /// What a call takes mostly: of so many at least, and for as long as something goes on.
    fn median(&mut self, least: usize, goes_on: impl Fn() -> bool) -> Duration {
        let mut took = Vec::new();
        while took.len() < least || goes_on() {
            let began = Instant::now();
            assert_eq!(self.wire.call(&self.token).status, 200);
            took.push(began.elapsed());
        }
        took.sort();
        took[took.len() / 2]
    }
}

/// In KiB.
fn resident(world: &World) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", world.proxy.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

const CONNECTIONS: usize = 4;
/// Frames, or a few at once, on each connection.
const TURNS: u32 = 20_000;
const LONG: Duration = Duration::from_secs(4);
/// What a machine does that has others to serve.
const MOMENT: Duration = Duration::from_millis(50);
/// What all of it may come to, in KiB.
const BOUND: u64 = 32 << 10;

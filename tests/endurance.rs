//! A load that runs all along while everything changes that can: no request fails, no stream breaks off.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use h2::Reason;
use serde_json::{Value, json};

use crate::harness::{
    Certificate, H2, Identity, Issuer, Key, Stranger, World, now, postern, wait_until,
};

#[test]
fn nobody_notices_that_everything_changes() {
    endure(6);
}

#[test]
#[ignore = "takes minutes"]
fn nobody_notices_that_everything_changes_a_hundred_times() {
    endure(100);
}

/// In each round there are another configuration, backend, certificate and key; in every third another
/// process.
fn endure(rounds: usize) {
    let place = Place::new();
    let mut backends = vec![Backend::start()];
    let first = Key::new("0");
    place.publish(&[&first]);
    let settings = |issuer: &Issuer, backend: &Backend, round: usize| {
        format!(
            "{}\nissuers: [{{issuer: '{}', keys: {{file: '{}'}}}}]\nupstream: {{address: '{}'}}\n\
             resource: {{url: https://mcp.example/mcp, scopes: [{}]}}\nshutdown_timeout: 8s",
            place.identity.settings(),
            issuer.url(),
            place.keys().display(),
            backend.address,
            ["", "mcp:read"][round % 2],
        )
    };
    let issuer = Issuer::start();
    let claims = issuer.claims();
    let world = World::unready(Issuer::start(), &settings(&issuer, &backends[0], 0));
    wait_until("the proxy is ready", || world.is_ready());
    let load = Load {
        gateway: world.gateway,
        identity: &place.identity,
        token: ArcSwap::from_pointee(first.sign(&claims)),
        done: AtomicBool::new(false),
    };
    let [plain, multiplexed, streams, events] = [const { AtomicUsize::new(0) }; 4];
    let mut processes = Vec::new();
    let mut keys = vec![first];
    let mut log = Vec::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| load.calls(&plain));
            scope.spawn(|| load.calls_over_http2(&multiplexed));
            scope.spawn(|| load.listens(&streams, &events));
        }
        for round in 1..=rounds {
            keys.push(Key::new(&round.to_string()));
            backends.push(Backend::start());
            let settings = settings(&issuer, &backends[round], round);
            change(&world, &place, &settings, &keys);
            let next = keys[round].sign(&claims);
            wait_until("the key is good", || {
                place.identity.connect(world.gateway).call(&next).status == 200
            });
            load.token.store(Arc::new(next));
            if round >= 2 {
                backends[round - 2].going.store(true, Ordering::Relaxed);
            }
            if round % 3 == 0 {
                processes.push(succeed(&world, processes.last(), &mut log));
            }
        }
        load.done.store(true, Ordering::Relaxed);
    });
    let counts = [plain, multiplexed, streams, events].map(AtomicUsize::into_inner);
    tell(rounds, processes.len() + 1, counts);
    leave(processes);
    log.extend(world.log.try_iter());
    assert!(!log.iter().any(|line| line.contains("cut at the end")), "streams had the time to end");
}

/// Waits until the older ones have gone, and ends the last.
fn leave(mut processes: Vec<Stranger>) {
    let last = processes.pop().unwrap();
    wait_until("the others have gone", || processes.iter().all(|one| !one.runs()));
    last.signal("-TERM");
    wait_until("it has gone as well", || !last.runs());
}

/// Changes all files at once, and waits until each is in force.
fn change(world: &World, place: &Place, settings: &str, keys: &[Key]) {
    let days = 30 + i64::try_from(keys.len()).unwrap();
    place.certify(days);
    place.publish(&keys.iter().rev().take(3).collect::<Vec<_>>());
    world.configure(settings);
    in_force(world);
    place.is_shown(world, days);
}

#[expect(clippy::print_stdout, reason = "the count is what this is about")]
fn tell(rounds: usize, processes: usize, counts: [usize; 4]) {
    let [plain, multiplexed, streams, events] = counts;
    println!(
        "{rounds} rounds, {processes} processes: {plain} requests over HTTP/1.1 and {multiplexed} over \
         HTTP/2, 0 failed; {events} events of {streams} streams, 0 lost"
    );
    assert!(plain > 100 && multiplexed > 100 && events > 100 && streams >= 2, "it was a load");
}

fn in_force(world: &World) {
    let file = world.path.to_str().unwrap();
    let admin = world.admin.to_string();
    let mut command = postern();
    let told =
        command.args(["reload", "--wait", "--config", file, "--admin", &admin]).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}

fn succeed(world: &World, serves: Option<&Stranger>, log: &mut Vec<String>) -> Stranger {
    match serves {
        Some(process) => process.signal("-USR2"),
        None => world.signal("-USR2"),
    }
    while !log.last().is_some_and(|line| line.contains("a successor serves")) {
        log.push(world.log.recv_timeout(Duration::from_mins(1)).unwrap());
    }
    let line: Value = serde_json::from_str(log.last().unwrap()).unwrap();
    // So that the next one is waited for.
    log.push(String::new());
    Stranger(u32::try_from(line["process"].as_u64().unwrap()).unwrap())
}

/// The files that change.
struct Place {
    identity: Identity,
    room: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { identity: Identity::new(), room: tempfile::tempdir().unwrap() }
    }

    fn keys(&self) -> std::path::PathBuf {
        self.room.path().join("keys.json")
    }

    fn publish(&self, keys: &[&Key]) {
        let keys: Vec<_> = keys.iter().map(|key| key.published()).collect();
        replace(&self.keys(), json!({ "keys": keys }).to_string().as_bytes());
    }

    /// Another certificate, which clients believe before it is shown.
    fn certify(&self, days: i64) {
        let room = tempfile::tempdir().unwrap();
        let fresh = Certificate::write_until(room.path(), &["mcp.example"], days);
        let own = &self.identity.certificate;
        let [old, new] =
            [&own.authority, &fresh.authority].map(|path| fs::read_to_string(path).unwrap());
        // The last one that was believed, and this: all have one name, and clients try only so many.
        let last = old.rfind("-----BEGIN").unwrap();
        replace(&own.authority, format!("{}{new}", &old[last..]).as_bytes());
        replace(&own.chain, &fs::read(fresh.chain).unwrap());
        replace(&own.key, &fs::read(fresh.key).unwrap());
    }

    fn is_shown(&self, world: &World, days: i64) {
        let file = self.identity.certificate.chain.display();
        let name = format!("postern_certificate_expiry_timestamp_seconds{{file=\"{file}\"}}");
        let today = now() / 86400;
        let days = f64::from(i32::try_from(today + days).unwrap());
        wait_until("the certificate is shown", || {
            (world.metric(&name) / 86400.0 - days).abs() < 0.5
        });
    }
}

fn replace(path: &Path, content: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

struct Load<'a> {
    gateway: SocketAddr,
    identity: &'a Identity,
    token: ArcSwap<String>,
    done: AtomicBool,
}

impl Load<'_> {
    fn goes_on(&self) -> bool {
        !self.done.load(Ordering::Relaxed)
    }

    /// One call after the other, on a connection for as long as it may be used.
    fn calls(&self, count: &AtomicUsize) {
        while self.goes_on() {
            let mut wire = self.identity.connect(self.gateway);
            let mut used = Instant::now();
            // Who has said nothing for long may find that nobody listens any more.
            while self.goes_on() && used.elapsed() < IDLE {
                let answer = wire.call(&self.token.load());
                assert_eq!(answer.status, 200, "{}", answer.head);
                assert_eq!(answer.body, "{}", "{}", answer.head);
                count.fetch_add(1, Ordering::Relaxed);
                used = Instant::now();
                if answer.header("connection") == "close" {
                    break;
                }
            }
        }
    }

    fn calls_over_http2(&self, count: &AtomicUsize) {
        while self.goes_on() {
            let mut client = H2::connect(self.gateway, self.identity);
            while self.goes_on() {
                let bearer = format!("Bearer {}", self.token.load());
                // A request that cannot begin was never sent: the proxy has said goodbye.
                let Ok(begun) = client.begin("POST", "/mcp", &[("authorization", &bearer)]) else {
                    break;
                };
                let answer = match begun.end(None) {
                    // Too late: not looked at, so that clients send it again (RFC 9113 section 6.8).
                    Err(error)
                        if error.is_go_away() && error.reason() == Some(Reason::NO_ERROR) =>
                    {
                        break;
                    }
                    answer => answer.expect("what was sent is answered"),
                };
                assert_eq!(answer.head.status, 200);
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Hears every event of a stream until that ends as a whole one does.
    fn listens(&self, streams: &AtomicUsize, events: &AtomicUsize) {
        while self.goes_on() {
            let mut wire = self.identity.connect(self.gateway);
            wire.send(format!(
                "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\n\r\n",
                self.token.load()
            ));
            let head = wire.head();
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            streams.fetch_add(1, Ordering::Relaxed);
            let mut text = String::new();
            while self.goes_on() {
                // A connection that breaks off has no next chunk, which ends the test.
                match wire.chunk() {
                    last if last.is_empty() => break,
                    piece => text.push_str(&piece),
                }
            }
            let told = text.split_terminator("\n\n").filter(|event| !event.starts_with(':'));
            let whole = told.clone().count().saturating_sub(1);
            for (number, event) in told.take(whole).enumerate() {
                assert_eq!(event, format!("data: {number}"));
            }
            events.fetch_add(whole, Ordering::Relaxed);
        }
    }
}

/// Less than a connection is kept after the goodbye.
const IDLE: Duration = Duration::from_millis(700);

/// Answers calls, and streams numbers; ends politely.
struct Backend {
    address: SocketAddr,
    going: Arc<AtomicBool>,
}

impl Backend {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let going = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&going);
        thread::spawn(move || {
            listener.set_nonblocking(true).unwrap();
            while !told.load(Ordering::Relaxed) {
                let Ok((connection, _)) = listener.accept() else {
                    thread::park_timeout(Duration::from_millis(1));
                    continue;
                };
                connection.set_nonblocking(false).unwrap();
                let told = Arc::clone(&told);
                // A connection that breaks is the end of it.
                thread::spawn(move || drop(serve(connection, &told)));
            }
        });
        Self { address, going }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.going.store(true, Ordering::Relaxed);
    }
}

fn serve(connection: TcpStream, going: &AtomicBool) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut writer = connection;
    loop {
        writer.set_read_timeout(Some(Duration::from_millis(50)))?;
        while reader.buffer().is_empty() && writer.peek(&mut [0]).is_err() {
            if going.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
        writer.set_read_timeout(None)?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        if head.starts_with("GET") {
            return stream(&mut writer, going);
        }
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length = length.map_or(0, |length| length.trim().parse().unwrap());
        if head.contains("transfer-encoding") {
            let mut body = String::new();
            while !body.ends_with("0\r\n\r\n") {
                reader.read_line(&mut body)?;
            }
        }
        reader.by_ref().take(length).read_to_end(&mut Vec::new())?;
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")?;
    }
}

fn stream(writer: &mut TcpStream, going: &AtomicBool) -> std::io::Result<()> {
    writer.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    for number in 0.. {
        if going.load(Ordering::Relaxed) {
            break;
        }
        let event = format!("data: {number}\n\n");
        write!(writer, "{:x}\r\n{event}\r\n", event.len())?;
        thread::park_timeout(Duration::from_millis(5));
    }
    writer.write_all(b"0\r\n\r\n")
}

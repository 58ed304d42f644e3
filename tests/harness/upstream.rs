//! A backend that remembers every byte it was sent, and answers as the request's `x-answer` asks, or
//! its `mcp-param-answer`, which pages may send too.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// One request as it arrived.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Request line and fields, as they came.
    pub(crate) head: String,
    pub(crate) body: String,
    /// Fields after a chunked body.
    pub(crate) trailers: String,
}

impl Seen {
    /// All values of a field, whatever the case of its name.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let same = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.trim()).collect()
    }
}

/// What happens at the backend.
enum Event {
    Request(Seen),
    /// The proxy hung up on a stream that was still being written.
    Abandoned,
}

/// The backend, on a thread of its own.
pub(crate) struct Upstream {
    address: SocketAddr,
    events: Receiver<Event>,
    say: Sender<String>,
    silent: Arc<AtomicBool>,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, events) = channel();
        let (say, lines) = channel();
        let lines = Arc::new(tokio::sync::Mutex::new(lines));
        let silent = Arc::new(AtomicBool::new(false));
        let ear = Ear { tell, lines, silent: Arc::clone(&silent) };
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let ear = ear.clone();
                thread::spawn(move || serve(connection, &ear));
            }
        });
        Self { address, events, say, silent }
    }

    /// Whether requests that ask for no answer of theirs get none, from now on.
    pub(crate) fn keep_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request that arrived.
    #[track_caller]
    pub(crate) fn next(&self) -> Seen {
        match self.events.recv_timeout(PATIENCE) {
            Ok(Event::Request(seen)) => seen,
            Ok(Event::Abandoned) => panic!("the backend was hung up on, not asked"),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                panic!("the backend was not asked")
            }
        }
    }

    /// Nothing has arrived, and nothing follows the answer that the caller has had.
    #[track_caller]
    pub(crate) fn saw_nothing(&self) {
        if let Ok(Event::Request(seen)) = self.events.recv_timeout(MOMENT) {
            panic!("the backend was asked:\n{}", seen.head);
        }
    }

    /// The next request, if one has arrived by now.
    pub(crate) fn poll(&self) -> Option<Seen> {
        match self.events.recv_timeout(MOMENT) {
            Ok(Event::Request(seen)) => Some(seen),
            Ok(Event::Abandoned) | Err(_) => None,
        }
    }

    /// Sends one event on the stream that is open; an empty line ends it.
    pub(crate) fn say(&self, line: &str) {
        self.say.send(line.into()).unwrap();
    }

    /// Waits until a stream that is being written is hung up on.
    pub(crate) fn was_abandoned_within(&self, wait: Duration) -> bool {
        matches!(self.events.recv_timeout(wait), Ok(Event::Abandoned))
    }
}

type Lines = tokio::sync::Mutex<Receiver<String>>;

/// What each connection has of the test.
#[derive(Clone)]
struct Ear {
    tell: Sender<Event>,
    lines: Arc<Lines>,
    silent: Arc<AtomicBool>,
}

fn serve(connection: TcpStream, Ear { tell, lines, silent }: &Ear) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut writer = connection;
    while let Some(seen) = read_request(&mut reader) {
        let wanted = [seen.values("x-answer"), seen.values("mcp-param-answer")].concat();
        let answer = wanted.first().map(|&answer| answer.to_owned());
        // The test may be over, and with it the ear for this.
        drop(tell.send(Event::Request(seen)));
        let kept = match answer.as_deref() {
            None if silent.load(Ordering::Relaxed) => wait(&writer, tell),
            None => write!(
                writer,
                "HTTP/1.1 200 OK\r\nserver: backend\r\ncontent-length: 2\r\n\r\n{{}}"
            )
            .is_ok(),
            Some("stream") => stream(&mut writer, tell, &lines.blocking_lock()),
            Some("wait") => wait(&writer, tell),
            Some("hang-up") => false,
            Some(raw) => write!(writer, "{}", raw.replace("\\r\\n", "\r\n")).is_ok(),
        };
        if !kept {
            return;
        }
    }
}

/// Server-sent events, one for each line that the test says.
fn stream(writer: &mut TcpStream, tell: &Sender<Event>, lines: &Receiver<String>) -> bool {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut open = writer.write_all(head.as_bytes()).is_ok();
    while open {
        match lines.recv_timeout(Duration::from_millis(5)) {
            Ok(line) if line.is_empty() => return writer.write_all(b"0\r\n\r\n").is_ok(),
            Ok(line) => {
                let event = format!("data: {line}\n\n");
                open = write!(writer, "{:x}\r\n{event}\r\n", event.len()).is_ok();
            }
            Err(RecvTimeoutError::Timeout) => open = is_open(writer),
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    drop(tell.send(Event::Abandoned));
    false
}

/// No answer, until nobody waits for one.
fn wait(connection: &TcpStream, tell: &Sender<Event>) -> bool {
    // An error is an end too.
    drop(connection.peek(&mut [0]));
    drop(tell.send(Event::Abandoned));
    false
}

fn is_open(connection: &TcpStream) -> bool {
    connection.set_nonblocking(true).unwrap();
    let peeked = connection.peek(&mut [0]);
    connection.set_nonblocking(false).unwrap();
    !matches!(peeked, Ok(0))
        && !peeked.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
}

/// None for a request that breaks off.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut seen = Seen { head, body: String::new(), trailers: String::new() };
    if !seen.values("expect").is_empty() {
        reader.get_ref().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let length = seen.values("content-length").first().and_then(|length| length.parse().ok());
    if let Some(length) = length {
        let read = reader.take(length).read_to_string(&mut seen.body).ok()?;
        if u64::try_from(read).ok()? < length {
            return None;
        }
    } else if !seen.values("transfer-encoding").is_empty() {
        (seen.body, seen.trailers) = read_chunks(reader)?;
    }
    Some(seen)
}

fn read_chunks(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut body = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = u64::from_str_radix(line.trim(), 16).ok()?;
        if size == 0 {
            return Some((body, read_trailers(reader)?));
        }
        reader.by_ref().take(size).read_to_string(&mut body).ok()?;
        line.clear();
        reader.read_line(&mut line).ok()?;
    }
}

fn read_trailers(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut trailers = String::new();
    loop {
        let before = trailers.len();
        match reader.read_line(&mut trailers).ok()? {
            0 => return None,
            _ if trailers[before..].trim().is_empty() => return Some(trailers),
            _ => (),
        }
    }
}

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request that goes up after its refusal takes far less.
const MOMENT: Duration = Duration::from_millis(20);

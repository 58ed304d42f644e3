//! The load: each connection sends its next call as soon as the last one is answered.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::wire::Message;

/// What was answered, every time with 200.
#[derive(Deserialize, Serialize)]
pub(crate) struct Tally {
    pub(crate) requests: u32,
    pub(crate) seconds: f64,
}

/// Sends calls for a while, and tells the tally on standard output. Anything but 200 is an error.
pub(crate) fn run(
    address: &str,
    connections: &str,
    seconds: &str,
    kind: &str,
    tokens: &Path,
) -> Result<(), Box<dyn Error>> {
    let tokens = std::fs::read_to_string(tokens)?;
    let kind = Kind::ALL.into_iter().find(|one| one.name() == kind).ok_or("no such kind")?;
    let calls = tokens.lines().map(|token| call(kind, Some(token)).into_bytes()).collect();
    let span = Duration::from_secs_f64(seconds.parse()?);
    let load = load(address.parse()?, connections.parse()?, span, calls);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let tally = runtime.block_on(async { timeout(span + GRACE, load).await })??;
    println!("{}", serde_json::to_string(&tally)?);
    Ok(())
}

/// What the calls are like.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Small, and as clients sent them before 2026-07-28.
    Usual,
    /// The same, with the headers that say what they call.
    Named,
    /// A whole kibibyte.
    Large,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Usual, Self::Named, Self::Large];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Named => "named",
            Self::Large => "large",
        }
    }
}

/// A tool call as clients send it.
pub(crate) fn call(kind: Kind, token: Option<&str>) -> String {
    let authorization =
        token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let (era, body) = match kind {
        Kind::Usual => (BEFORE, BODY.to_owned()),
        Kind::Named => (NOW, BODY.to_owned()),
        Kind::Large => (BEFORE, BODY.replacen("Berlin", &"x".repeat(1024 - BODY.len() + 6), 1)),
    };
    let length = body.len();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example.com\r\n{authorization}\
         Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n\
         {era}Content-Length: {length}\r\n\r\n{body}"
    )
}

async fn load(
    address: SocketAddr,
    connections: u32,
    span: Duration,
    calls: Arc<[Vec<u8>]>,
) -> io::Result<Tally> {
    let began = Instant::now();
    let turn = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        clients.spawn(client(address, began + span, Arc::clone(&calls), Arc::clone(&turn)));
    }
    let mut requests = 0;
    while let Some(answered) = clients.join_next().await {
        requests += answered.map_err(io::Error::other)??;
    }
    Ok(Tally { requests, seconds: began.elapsed().as_secs_f64() })
}

async fn client(
    address: SocketAddr,
    deadline: Instant,
    calls: Arc<[Vec<u8>]>,
    turn: Arc<AtomicUsize>,
) -> io::Result<u32> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut answered = 0;
    while Instant::now() < deadline {
        let next = turn.fetch_add(1, Ordering::Relaxed) % calls.len();
        stream.write_all(calls.get(next).map_or(&[], Vec::as_slice)).await?;
        match status(&mut stream, &mut buffer).await? {
            200 => answered += 1,
            status => return Err(io::Error::other(format!("a call was answered with {status}"))),
        }
    }
    Ok(answered)
}

async fn status(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<u16> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::other("a connection was closed although it is kept alive"));
        }
        if let Some(status) = Message::status(buffer)? {
            return Ok(status);
        }
    }
}

/// For the answers that are under way when the time is over.
const GRACE: Duration = Duration::from_secs(5);
const BUFFER: usize = 16 << 10;
const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"weather","arguments":{"city":"Berlin","units":"metric"},"_meta":{"progressToken":"b1f5-0001"}}}"#;
const BEFORE: &str = "MCP-Protocol-Version: 2025-11-25\r\n";
const NOW: &str =
    "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: weather\r\n";

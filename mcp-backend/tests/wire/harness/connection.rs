use mcp_backend::ListenAddress;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader};
use tokio::net::{TcpStream, UnixStream};

use super::{Post, soon};

/// One connection, kept open between requests.
pub(crate) struct Connection(BufReader<Box<dyn Stream>>);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Connection {
    pub(crate) async fn open(address: &ListenAddress) -> Self {
        let stream: Box<dyn Stream> = match address {
            ListenAddress::Tcp(address) => Box::new(TcpStream::connect(address).await.unwrap()),
            ListenAddress::Unix(path) => Box::new(UnixStream::connect(path).await.unwrap()),
        };
        Self(BufReader::new(stream))
    }

    pub(crate) async fn send(&mut self, post: Post) -> Reply {
        soon(async {
            self.0.write_all(&post.bytes()).await.unwrap();
            let head = self.head().await;
            let mut body = Vec::new();
            if header(&head, "transfer-encoding") == Some("chunked") {
                while let Some(chunk) = self.chunk().await {
                    body.extend(chunk);
                }
            } else {
                body = self.bytes(length(&head)).await;
            }
            Reply { head, body: String::from_utf8(body).unwrap() }
        })
        .await
    }

    /// Sends without waiting for an answer.
    pub(crate) async fn post(&mut self, post: Post) {
        soon(self.0.write_all(&post.bytes())).await.unwrap();
    }

    /// Sends without waiting for the end of the answer; its head.
    pub(crate) async fn open_stream(&mut self, post: Post) -> Reply {
        soon(async {
            self.0.write_all(&post.bytes()).await.unwrap();
            Reply { head: self.head().await, body: String::new() }
        })
        .await
    }

    /// The next event of a stream that has some data.
    pub(crate) async fn event(&mut self) -> Value {
        soon(async {
            loop {
                let Some(chunk) = self.chunk().await else { panic!("the stream has ended") };
                if let Some(data) = data(std::str::from_utf8(&chunk).unwrap()) {
                    return data;
                }
            }
        })
        .await
    }

    /// The next piece of a stream, as it came.
    pub(crate) async fn piece(&mut self) -> String {
        String::from_utf8(soon(self.chunk()).await.unwrap()).unwrap()
    }

    /// Begins a session of MCP 2025-11-25 for this subject; its id.
    pub(crate) async fn begin(&mut self, subject: &str) -> String {
        let client = json!({ "name": "test", "version": "1" });
        let params =
            json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        let reply = self.send(Post::legacy("initialize", params).by(subject)).await;
        assert_eq!(reply.result()["protocolVersion"], "2025-11-25", "{reply:?}");
        let id = reply.header("mcp-session-id").unwrap().to_owned();
        let begun =
            Post::notification("notifications/initialized", json!({})).by(subject).in_session(&id);
        assert_eq!(self.send(begun).await.status(), "202");
        id
    }

    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut size = String::new();
        assert_ne!(self.0.read_line(&mut size).await.unwrap(), 0, "closed in an answer");
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let chunk = self.bytes(size).await;
        assert_eq!(self.bytes(2).await, b"\r\n");
        (size > 0).then_some(chunk)
    }

    async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    async fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = self.0.read_line(&mut head).await.unwrap();
            assert_ne!(read, 0, "closed after {head:?}");
        }
        head
    }
}

/// The last JSON in a piece of a stream of events.
fn data(events: &str) -> Option<Value> {
    let mut lines = events.lines().rev().filter_map(|line| line.strip_prefix("data: "));
    lines.find_map(|data| serde_json::from_str(data).ok())
}

fn length(head: &str) -> usize {
    header(head, "content-length").unwrap_or("0").parse().unwrap()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
}

#[derive(Debug)]
pub(crate) struct Reply {
    head: String,
    body: String,
}

impl Reply {
    pub(crate) fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(crate) fn text(&self) -> &str {
        &self.body
    }

    /// The body as JSON, which it must claim to be, or the last event of a stream.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        if self.header("content-type") == Some("text/event-stream") {
            return data(&self.body).unwrap();
        }
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// What JSON-RPC calls the result, of a request that went well.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        assert_eq!(self.status(), "200", "{self:?}");
        self.json()["result"].clone()
    }

    /// What a tool answered.
    #[track_caller]
    pub(crate) fn answer(&self) -> Value {
        self.result()["structuredContent"].clone()
    }
}

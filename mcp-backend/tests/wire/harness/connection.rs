use mcp_backend::ListenAddress;
use serde_json::Value;
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
            let mut body = vec![0; length(&head)];
            self.0.read_exact(&mut body).await.unwrap();
            Reply { head, body: String::from_utf8(body).unwrap() }
        })
        .await
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

    /// The body as JSON, which it must claim to be.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
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

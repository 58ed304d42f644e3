//! A client that speaks HTTP/2 over TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use rustls::pki_types::ServerName;
use rustls::{ALL_VERSIONS, ClientConfig};
use tokio::net::TcpStream;
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Identity, Response};

/// One HTTP/2 connection to the proxy.
pub(crate) struct H2 {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
    runtime: Runtime,
}

/// A request whose body is not over.
pub(crate) struct Begun {
    body: SendStream<Bytes>,
    answer: ResponseFuture,
    runtime: Handle,
}

/// An answer whose body is still to come.
pub(crate) struct Answer {
    pub(crate) head: Response,
    body: RecvStream,
    runtime: Handle,
}

impl H2 {
    pub(crate) fn connect(address: SocketAddr, identity: &Identity) -> Self {
        Self::connect_as(address, identity.client(&["h2"], ALL_VERSIONS))
    }

    pub(crate) fn connect_as(address: SocketAddr, client: Arc<ClientConfig>) -> Self {
        Self::connect_to(address, Identity::name(), client)
    }

    /// Begins TLS with this name.
    pub(crate) fn connect_to(
        address: SocketAddr,
        name: ServerName<'static>,
        client: Arc<ClientConfig>,
    ) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let tls = TlsConnector::from(client);
        let (requests, connection) = runtime.block_on(async {
            let socket = TcpStream::connect(address).await.unwrap();
            let stream = tls.connect(name, socket).await.unwrap();
            Builder::new().handshake::<_, Bytes>(stream).await.unwrap()
        });
        let connection = runtime.spawn(connection);
        Self { requests, connection, runtime }
    }

    /// One request and its whole answer.
    #[track_caller]
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut answer = self.open(method, path, headers, body).unwrap();
        answer.head.body = answer.rest().unwrap();
        answer.head
    }

    pub(crate) fn call(&mut self, token: &str) -> Response {
        self.request("POST", "/mcp", &[("authorization", &format!("Bearer {token}"))], "{}")
    }

    /// One whole request, and the head of its answer.
    #[track_caller]
    pub(crate) fn open(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, h2::Error> {
        if body.is_empty() {
            return self.send(method, path, headers, true)?.answer();
        }
        let mut begun = self.send(method, path, headers, false)?;
        begun.body.send_data(body.to_owned().into(), true)?;
        begun.answer()
    }

    /// The head of a request, and nothing after it.
    #[track_caller]
    pub(crate) fn begin(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Begun, h2::Error> {
        self.send(method, path, headers, false)
    }

    /// Waits until the proxy closes the connection.
    pub(crate) fn is_closed_within(&mut self, wait: Duration) -> bool {
        let connection = &mut self.connection;
        self.runtime.block_on(async { timeout(wait, connection).await.is_ok() })
    }

    fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        end: bool,
    ) -> Result<Begun, h2::Error> {
        let mut request =
            Request::builder().method(method).uri(format!("https://mcp.example{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (answer, body) = self.requests.send_request(request.body(()).unwrap(), end)?;
        Ok(Begun { body, answer, runtime: self.runtime.handle().clone() })
    }
}

impl Begun {
    /// A piece of the body.
    pub(crate) fn say(&mut self, piece: &'static str) {
        self.body.send_data(Bytes::from_static(piece.as_bytes()), false).unwrap();
    }

    /// Ends the body, and waits for the answer.
    #[track_caller]
    pub(crate) fn end(mut self, trailers: Option<HeaderMap>) -> Result<Answer, h2::Error> {
        match trailers {
            Some(trailers) => self.body.send_trailers(trailers)?,
            None => self.body.send_data(Bytes::new(), true)?,
        }
        self.answer()
    }

    /// Waits for the answer, whether the body is over or not.
    #[track_caller]
    pub(crate) fn answer(self) -> Result<Answer, h2::Error> {
        let Self { answer, runtime, body: _open } = self;
        let response = runtime.block_on(async { timeout(PATIENCE, answer).await });
        let (parts, body) = response.expect("no answer")?.into_parts();
        let status = parts.status.as_u16();
        let head = Response { status, head: written(status, &parts.headers), body: String::new() };
        Ok(Answer { head, body, runtime })
    }
}

impl Answer {
    /// The next piece of the body; none at its end.
    #[track_caller]
    pub(crate) fn piece(&mut self) -> Option<Result<String, h2::Error>> {
        let body = &mut self.body;
        let piece = self.runtime.block_on(async { timeout(PATIENCE, body.data()).await });
        let piece = piece.expect("no piece of the body came")?;
        Some(piece.map(|bytes| {
            self.body.flow_control().release_capacity(bytes.len()).unwrap();
            String::from_utf8(bytes.to_vec()).unwrap()
        }))
    }

    /// Everything that is left of the body.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Result<String, h2::Error> {
        let mut rest = String::new();
        while let Some(piece) = self.piece() {
            rest.push_str(&piece?);
        }
        Ok(rest)
    }
}

/// As it would stand in HTTP/1.1.
fn written(status: u16, headers: &HeaderMap) -> String {
    let mut head = format!("HTTP/2 {status}\r\n");
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        head.extend([name.as_str(), ": ", &value, "\r\n"]);
    }
    head + "\r\n"
}

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

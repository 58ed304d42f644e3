//! A client that speaks HTTP/2 over TLS.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use rustls::ALL_VERSIONS;
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

/// An answer whose body is still to come.
pub(crate) struct Answer {
    pub(crate) head: Response,
    /// The rest of the request, where it has not been sent.
    pub(crate) request: SendStream<Bytes>,
    body: RecvStream,
    runtime: Handle,
}

impl H2 {
    pub(crate) fn connect(address: SocketAddr, identity: &Identity) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let tls = TlsConnector::from(identity.client(&["h2"], ALL_VERSIONS));
        let (requests, connection) = runtime.block_on(async {
            let socket = TcpStream::connect(address).await.unwrap();
            let stream = tls.connect(Identity::name(), socket).await.unwrap();
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
        let mut answer = self.open(method, path, headers, Some(body)).unwrap();
        answer.head.body = answer.rest().unwrap();
        answer.head
    }

    pub(crate) fn call(&mut self, token: &str) -> Response {
        self.request("POST", "/mcp", &[("authorization", &format!("Bearer {token}"))], "{}")
    }

    /// A request, and the head of its answer. Without a body the request does not end.
    #[track_caller]
    pub(crate) fn open(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Result<Answer, h2::Error> {
        let mut requests = self.requests.clone();
        let request = head(method, path, headers);
        let body = body.map(str::to_owned);
        let answered = async {
            let empty = body.as_ref().is_some_and(String::is_empty);
            let (response, mut stream) = requests.send_request(request, empty)?;
            if let Some(body) = body.filter(|body| !body.is_empty()) {
                stream.send_data(body.into(), true)?;
            }
            Ok::<_, h2::Error>((response.await?, stream))
        };
        let (response, request) = self.within(answered)?;
        let status = response.status().as_u16();
        let (parts, body) = response.into_parts();
        let head = Response { status, head: written(status, &parts.headers), body: String::new() };
        Ok(Answer { head, request, body, runtime: self.runtime.handle().clone() })
    }

    /// Sends a request with a body and trailers after it, and tells the answer's status.
    pub(crate) fn request_with_trailers(
        &mut self,
        headers: &[(&str, &str)],
        trailers: HeaderMap,
    ) -> Result<u16, h2::Error> {
        let mut requests = self.requests.clone();
        let request = head("POST", "/mcp", headers);
        self.within(async {
            let (response, mut stream) = requests.send_request(request, false)?;
            stream.send_data(Bytes::from_static(b"{}"), false)?;
            stream.send_trailers(trailers)?;
            Ok::<_, h2::Error>(response.await?.status().as_u16())
        })
    }

    /// Waits until the proxy closes the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.is_closed_within(PATIENCE)
    }

    pub(crate) fn is_closed_within(&mut self, wait: Duration) -> bool {
        let connection = &mut self.connection;
        self.runtime.block_on(async { timeout(wait, connection).await.is_ok() })
    }

    #[track_caller]
    fn within<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { timeout(PATIENCE, work).await }).expect("no answer")
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

fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(format!("https://mcp.example{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// As it would stand in HTTP/1.1.
fn written(status: u16, headers: &HeaderMap) -> String {
    let fields = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
    format!("HTTP/2 {status}\r\n{}\r\n", fields.collect::<String>())
}

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

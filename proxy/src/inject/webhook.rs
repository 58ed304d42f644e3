//! The mutating admission webhook: pods in, patches out, over TLS; metrics and probes beside it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::review::{Reviewed, review};
use crate::config::{CertificateFiles, Limits, TrustedProxies};
use crate::edge::tls::{Certificates, NoCertificate, Terms};
use crate::edge::{Connection, Edge, Entrance};
use crate::record::{Format, Recorder, Traffic};

/// What the operator says.
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) certificate: CertificateFiles,
    pub(crate) image: String,
}

/// Both listeners, and what watches the certificate.
pub(crate) struct Webhook {
    reviews: Edge,
    admin: Edge,
    background: JoinSet<()>,
}

impl Webhook {
    pub(crate) fn start(options: Options) -> Result<Self, CannotStart> {
        let Options { listen, admin, certificate, image } = options;
        let recorder = Recorder::new()?;
        let certificates =
            Certificates::start(&certificate, &[], |file| recorder.certificate(file))?;
        let terms = Arc::new(Terms::for_anybody(certificates.shown())?);
        let unused = |address: SocketAddr| {
            TcpListener::bind(address).map_err(|error| CannotStart::Bind(address, error))
        };
        let (reviews_listener, admin_listener) = (unused(listen)?, unused(admin)?);
        let traffic = recorder.traffic();
        let reviews = Arc::new(Reviews { recorder: recorder.clone(), image });
        let reviews = Edge::start(reviews_listener, entrance(Some(terms), traffic), reviews)
            .map_err(|error| CannotStart::Bind(listen, error))?;
        let entrance = entrance(None, Traffic::unseen()?);
        let admin = Edge::start(admin_listener, entrance, Arc::new(Watch { recorder }))
            .map_err(|error| CannotStart::Bind(admin, error))?;
        let mut background = JoinSet::new();
        background.spawn(certificates.run());
        Ok(Self { reviews, admin, background })
    }

    pub(crate) fn reviews(&self) -> SocketAddr {
        self.reviews.address()
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Ends when a part has that must run for ever.
    pub(crate) async fn broken(&mut self) {
        tokio::select! {
            _ = self.background.join_next() => (),
            () = self.reviews.broken() => (),
            () = self.admin.broken() => (),
        }
    }

    pub(crate) async fn drain(mut self) {
        self.reviews.drain(PATIENCE).await;
        self.background.shutdown().await;
        self.admin.drain(Duration::ZERO).await;
    }
}

fn entrance(tls: Option<Arc<Terms>>, traffic: Traffic) -> Entrance {
    let limits = Limits {
        connections: 1024,
        handshake_timeout: PATIENCE,
        header_timeout: PATIENCE,
        idle_timeout: Duration::from_mins(2),
        body_timeout: PATIENCE,
        write_timeout: PATIENCE,
        stream_keepalive: None,
        target_bytes: 8 << 10,
        header_bytes: 32 << 10,
        headers: 100,
        body_bytes: MOST_BYTES,
    };
    Entrance { tls, proxies: TrustedProxies::default(), limits, traffic }
}

/// Answers API servers.
struct Reviews {
    recorder: Recorder,
    image: String,
}

impl Reviews {
    async fn answer(
        &self,
        session: &mut ServerSession,
    ) -> Result<Vec<u8>, (StatusCode, &'static str)> {
        let head = session.req_header();
        if head.uri.path() != PATH {
            return Err((StatusCode::NOT_FOUND, "reviews are answered at /inject\n"));
        }
        if head.method != Method::POST {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "only POST\n"));
        }
        let body = timeout(PATIENCE, body(session)).await;
        let body =
            body.ok().flatten().ok_or((StatusCode::BAD_REQUEST, "the body is torn or large\n"))?;
        let question: Result<Value, _> = serde_json::from_slice(&body);
        let reviewed = question.ok().and_then(|question| review(&question, &self.image));
        let unknown =
            (StatusCode::BAD_REQUEST, "an AdmissionReview of admission.k8s.io/v1 is expected\n");
        let Reviewed { answer, result, pod, told } = reviewed.ok_or(unknown)?;
        self.recorder.injection(result);
        tracing::info!(%pod, result, told = told.join("; "), "pod");
        Ok(answer.to_string().into())
    }
}

/// None if it is larger than any review.
async fn body(session: &mut ServerSession) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    while let Some(part) = session.read_request_body().await.ok()? {
        whole.extend_from_slice(&part);
        if whole.len() > MOST_BYTES {
            return None;
        }
    }
    Some(whole)
}

#[async_trait]
impl ServeHttp for Reviews {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let connection = Connection::of(session.digest());
        if let Some(connection) = &connection {
            connection.head_read();
        }
        let answer = match self.answer(session).await {
            Ok(answer) => reply(StatusCode::OK, "application/json", answer),
            Err((status, why)) => {
                self.recorder.injection("failed");
                tracing::warn!(status = status.as_u16(), why = why.trim_end(), "no review");
                session.set_keepalive(None);
                reply(status, TEXT, why.into())
            }
        };
        if let Some(connection) = &connection {
            connection.request_done();
        }
        answer
    }
}

/// Metrics and probes: plain, read-only.
struct Watch {
    recorder: Recorder,
}

#[async_trait]
impl ServeHttp for Watch {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let connection = Connection::of(session.digest());
        if let Some(connection) = &connection {
            connection.head_read();
        }
        let head = session.req_header();
        let answer = match (&head.method, head.uri.path()) {
            (&Method::GET, "/livez" | "/readyz") => reply(StatusCode::OK, TEXT, b"ok\n".to_vec()),
            (&Method::GET, "/metrics") => {
                let accept = head.headers.get(header::ACCEPT);
                let format = Format::of(accept.and_then(|accept| accept.to_str().ok()));
                match self.recorder.exposition(format) {
                    Ok(text) => reply(StatusCode::OK, format.content_type(), text.into()),
                    Err(error) => {
                        reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string().into())
                    }
                }
            }
            (&Method::GET, _) => reply(StatusCode::NOT_FOUND, TEXT, b"not here\n".to_vec()),
            _ => reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, b"only GET\n".to_vec()),
        };
        if let Some(connection) = &connection {
            connection.request_done();
        }
        answer
    }
}

fn reply(status: StatusCode, kind: &str, body: Vec<u8>) -> Response<Vec<u8>> {
    let head = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::CONTENT_LENGTH, body.len());
    head.body(body).unwrap_or_default()
}

/// Why there is no webhook.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotStart {
    #[error("{0} cannot be used: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    #[error("{0}")]
    Certificate(#[from] NoCertificate),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
}

const PATH: &str = "/inject";
const TEXT: &str = "text/plain; charset=utf-8";
/// Twice what etcd holds at most.
const MOST_BYTES: usize = 4 << 20;
/// API servers wait no longer.
const PATIENCE: Duration = Duration::from_secs(10);

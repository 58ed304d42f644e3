//! `/status`, `/metrics`, `/livez`, `/readyz`, `/generation` and the keys of assertions, on a listener of
//! their own. Read-only.

mod page;
mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use http::uri::Authority;
use http::{HeaderValue, Method, Response, StatusCode, header};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use pingora_http::RequestHeader;
use serde_json::{Value, json};

use crate::config::Source;
use crate::edge::Connection;
use crate::record::{Format, Recorder};
use crate::reload::{Report, Reports};
use crate::snapshot::{Live, Snapshot};
pub(crate) use page::Page;

/// What operators and probes may ask.
pub(crate) struct Admin {
    pub(crate) live: Arc<Live>,
    /// Where the rules come from; none if they never change.
    pub(crate) reports: Option<Arc<Reports>>,
    pub(crate) recorder: Recorder,
    /// Set once there was somewhere to send requests to.
    pub(crate) has_looked: AtomicBool,
    /// Set once we are told to stop, so that nobody sends us more.
    pub(crate) stopping: Arc<AtomicBool>,
    pub(crate) page: Page,
}

impl Admin {
    fn answer(&self, request: &RequestHeader) -> http::Result<Response<Vec<u8>>> {
        let (method, path) = (&request.method, request.uri.path());
        if method != Method::GET && method != Method::HEAD {
            return reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, b"only GET and HEAD\n".to_vec());
        }
        match path {
            "/livez" => reply(StatusCode::OK, TEXT, b"alive\n".to_vec()),
            "/readyz" => self.ready(),
            "/metrics" => {
                let accept =
                    request.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
                self.metrics(Format::of(accept))
            }
            "/generation" => {
                reply(StatusCode::OK, JSON, json!(self.report().as_deref()).to_string().into())
            }
            "/assertion-keys" => self.assertion_keys(),
            "/status" | "/status.json" => self.for_people(request),
            _ => reply(
                StatusCode::NOT_FOUND,
                TEXT,
                b"/status, /metrics, /livez, /readyz, /generation\n".to_vec(),
            ),
        }
    }

    fn metrics(&self, format: Format) -> http::Result<Response<Vec<u8>>> {
        let memory = self.live.pin().pipeline.memory();
        self.recorder.upstreams(&self.live.pin().pools.standings());
        self.recorder.verdicts(memory.verdicts, memory.evicted);
        match self.recorder.exposition(format) {
            Ok(text) => {
                let mut answer = reply(StatusCode::OK, format.content_type(), text.into())?;
                answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
                Ok(answer)
            }
            Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string().into()),
        }
    }

    fn report(&self) -> Option<Arc<Report>> {
        self.reports.as_ref().map(|reports| reports.current())
    }

    fn assertion_keys(&self) -> http::Result<Response<Vec<u8>>> {
        #[expect(clippy::disallowed_methods, reason = "no request is judged by it")]
        let now = SystemTime::now();
        match self.live.pin().pipeline.assertion_keys(now) {
            Some(keys) => {
                reply(StatusCode::OK, "application/jwk-set+json", keys.to_string().into())
            }
            None => reply(StatusCode::NOT_FOUND, TEXT, b"no backend is sent assertions\n".to_vec()),
        }
    }

    /// Whether each backend's name was looked up once. What becomes of backends later, and that one is down,
    /// is no reason to send nobody here: others may be up, and who asks is told.
    fn has_looked(&self, snapshot: &Snapshot) -> bool {
        let looked = snapshot.pools.are_known();
        self.has_looked.fetch_or(looked, Ordering::Relaxed) || looked
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn is_ready(&self, snapshot: &Snapshot) -> bool {
        snapshot.issuers.is_ready() && self.has_looked(snapshot) && !self.is_stopping()
    }

    fn ready(&self) -> http::Result<Response<Vec<u8>>> {
        let snapshot = self.live.pin();
        let ready = self.is_ready(&snapshot);
        let issuers: Vec<_> = snapshot
            .issuers
            .holders()
            .map(|holder| {
                let issuer = holder.issuer.issuer.as_str();
                match holder.issuer.source {
                    Source::Keys(_) => {
                        let keys = holder.keyring.current().map_or(0, |keys| keys.size());
                        json!({ "issuer": issuer, "keys": keys, "state": status::state(holder) })
                    }
                    Source::Introspection(_) => {
                        let endpoint = holder.endpoint.load().is_some();
                        json!({ "issuer": issuer, "introspection_endpoint": endpoint })
                    }
                }
            })
            .collect();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let detail = json!({
            "ready": ready,
            "stopping": self.is_stopping(),
            "issuers": issuers,
            "upstreams": upstreams(&snapshot),
            "config": self.report().as_deref(),
        });
        reply(status, JSON, detail.to_string().into())
    }

    /// The page and its document are for people with browsers, who may be lured.
    fn for_people(&self, request: &RequestHeader) -> http::Result<Response<Vec<u8>>> {
        let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        if !page::is_ours(host.or_else(|| request.uri.authority().map(Authority::as_str))) {
            let why = "call it by an address, or by a name that only your network has\n";
            return reply(StatusCode::MISDIRECTED_REQUEST, TEXT, why.into());
        }
        if request.uri.path() == "/status" {
            return self.page.answer();
        }
        #[expect(clippy::disallowed_methods, reason = "no request is judged by it")]
        let now = SystemTime::now();
        reply(StatusCode::OK, JSON, status::document(self, now).to_string().into())
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let connection = Connection::of(session.digest());
        if let Some(connection) = &connection {
            connection.head_read();
        }
        let request = session.req_header();
        let answer = self.answer(request);
        let mut answer = answer.unwrap_or_else(|_| Response::new(Vec::new()));
        if request.method == Method::HEAD {
            answer.body_mut().clear();
        }
        if let Some(connection) = &connection {
            connection.request_done();
        }
        answer
    }
}

fn upstreams(snapshot: &Snapshot) -> Vec<Value> {
    let backends = snapshot.pools.iter().flat_map(|pool| pool.backends().to_vec());
    let shown = backends.map(|backend| {
        json!({
            "upstream": &**backend.name(),
            "address": backend.address(),
            "state": if backend.is_up() { "up" } else { "down" },
            "open": backend.open(),
        })
    });
    shown.collect()
}

fn reply(status: StatusCode, kind: &str, body: Vec<u8>) -> http::Result<Response<Vec<u8>>> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::CONTENT_LENGTH, body.len())
        .body(body)
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

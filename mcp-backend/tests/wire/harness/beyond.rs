use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::soon;

/// What lies beyond the backend, on real HTTP: Otus at `/api/teams`, and the least of an
/// authorization server that can exchange tokens at `/token`. What a caller's token is called says
/// what becomes of it.
pub(crate) struct Beyond {
    pub(crate) address: SocketAddr,
    heard: UnboundedReceiver<Heard>,
}

/// A request that came so far.
#[derive(Debug)]
pub(crate) struct Heard {
    /// With its query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl Beyond {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = unbounded_channel();
        let state = Shared { tell, issued: Arc::default(), shown: Arc::default() };
        let app = Router::new()
            .route("/token", post(exchange))
            .route("/api/teams", get(teams))
            .fallback(elsewhere)
            .with_state(state);
        tokio::spawn(async { axum::serve(listener, app).await });
        Self { address, heard }
    }

    /// The next request that came.
    pub(crate) async fn next(&mut self) -> Heard {
        soon(self.heard.recv()).await.unwrap()
    }

    /// Nothing came that was not asked for.
    pub(crate) fn heard_nothing(&mut self) {
        if let Ok(heard) = self.heard.try_recv() {
            panic!("{heard:?}");
        }
    }
}

#[derive(Clone)]
struct Shared {
    tell: UnboundedSender<Heard>,
    issued: Arc<AtomicUsize>,
    shown: Arc<AtomicUsize>,
}

impl Shared {
    fn note(&self, path: &Uri, headers: &HeaderMap, body: &Bytes) -> String {
        let body = String::from_utf8(body.to_vec()).unwrap();
        let heard = Heard { path: path.to_string(), headers: headers.clone(), body: body.clone() };
        // The test may have seen enough.
        drop(self.tell.send(heard));
        body
    }
}

async fn exchange(
    State(state): State<Shared>,
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = state.note(&path, &headers, &body);
    let field = |name: &str| {
        form.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)
    };
    let error = |error: &str| {
        let told = json!({ "error": error, "error_description": "SECRET" });
        (StatusCode::BAD_REQUEST, Json(told)).into_response()
    };
    let count = state.issued.fetch_add(1, Ordering::Relaxed);
    match field("subject_token").map(|(_, token)| token) {
        Some("revoked") => error("invalid_grant"),
        Some("misconfigured") => error("invalid_client"),
        Some("brief") => granted("for-brief", 5),
        Some("numbered") => granted(&format!("for-numbered-{count}"), 600),
        Some(token) => granted(&format!("for-{token}"), 600),
        None => granted("for-ourselves", 600),
    }
}

fn granted(token: &str, expires_in: u64) -> Response {
    Json(json!({
        "access_token": token, "token_type": "Bearer", "expires_in": expires_in,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }))
    .into_response()
}

async fn teams(
    State(state): State<Shared>,
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    state.note(&path, &headers, &body);
    let bearer = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let told = Json(json!(["SECRET"]));
    match bearer {
        "for-unauthorized" => (StatusCode::UNAUTHORIZED, told).into_response(),
        "for-forbidden" => (StatusCode::FORBIDDEN, told).into_response(),
        "for-failing" => (StatusCode::INTERNAL_SERVER_ERROR, told).into_response(),
        "for-broken" => "SECRET".into_response(),
        "for-huge" => Json(json!("x".repeat(2 << 20))).into_response(),
        "for-redirected" => (StatusCode::FOUND, [("location", "/elsewhere")], told).into_response(),
        "for-slow" => {
            let _told = TellGone(state.tell);
            std::future::pending().await
        }
        // Good once, and withdrawn then.
        "for-numbered-0" if state.shown.fetch_add(1, Ordering::Relaxed) > 0 => {
            (StatusCode::UNAUTHORIZED, told).into_response()
        }
        other => Json(team_of(other)).into_response(),
    }
}

/// Tells when nobody waits for the answer any more.
struct TellGone(UnboundedSender<Heard>);

impl Drop for TellGone {
    fn drop(&mut self) {
        let gone =
            Heard { path: "gone".to_owned(), headers: HeaderMap::new(), body: String::new() };
        // The test may be over.
        drop(self.0.send(gone));
    }
}

async fn elsewhere(
    State(state): State<Shared>,
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    state.note(&path, &headers, &body);
    StatusCode::NOT_FOUND
}

/// What Otus tells whoever shows this token.
pub(crate) fn team_of(token: &str) -> Value {
    json!([{ "team": format!("team of {token}") }])
}

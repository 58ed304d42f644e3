//! Sessions of MCP before 2026-07-28: each is its beginner's, whoever else knows its id.

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use rmcp::transport::streamable_http_server::session::SessionManager as _;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use serde_json::json;

use crate::caller::Identity;

/// Whose session is whose.
#[derive(Clone, Debug)]
pub(super) struct Sessions(Cache<Box<str>, Owner>);

/// Whose it is: a token may be renewed, and its scopes may change, within one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    issuer: String,
    subject: String,
    client_id: Option<String>,
}

impl From<&Identity> for Owner {
    fn from(identity: &Identity) -> Self {
        Self {
            issuer: identity.issuer().to_owned(),
            subject: identity.subject().to_owned(),
            client_id: identity.client_id().map(str::to_owned),
        }
    }
}

impl Sessions {
    /// Those of this manager. Of too many, the one that was not used for longest ends.
    pub(super) fn of(manager: &Arc<LocalSessionManager>) -> Self {
        // The listener lives in here, and must not keep the manager.
        let manager = Arc::downgrade(manager);
        let owners = Cache::builder()
            .max_capacity(MOST)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .eviction_listener(move |id: Arc<Box<str>>, _, _| {
                tokio::spawn(close(manager.clone(), id));
            })
            .build();
        Self(owners)
    }
}

async fn close(manager: Weak<LocalSessionManager>, id: Arc<Box<str>>) {
    if let Some(manager) = manager.upgrade() {
        // It may have ended by itself.
        drop(manager.close_session(&id.as_ref().as_ref().into()).await);
    }
}

/// A session that is not the caller's does not exist, and one that begins is the caller's.
pub(super) async fn keep_apart(
    State(Sessions(owners)): State<Sessions>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(owner) = request.extensions().get::<Identity>().map(Owner::from) else {
        return not_found();
    };
    let named = request.headers().get_all(SESSION).iter().count();
    let id: Option<Box<str>> = session(request.headers()).map(Into::into);
    let theirs = id.as_deref().is_some_and(|id| owners.get(id).as_ref() == Some(&owner));
    if named > 0 && !(named == 1 && theirs) {
        // 2026-07-28 knows no sessions, and wants the header ignored.
        if request.headers().get(VERSION).is_none_or(|version| version != MODERN) {
            return not_found();
        }
        request.headers_mut().remove(SESSION);
    }
    let ends = request.method() == Method::DELETE;
    let answer = next.run(request).await;
    match (id, session(answer.headers())) {
        (Some(id), _) if theirs && ends => owners.invalidate(&id),
        (None, Some(begun)) => owners.insert(begun.into(), owner),
        (Some(_) | None, _) => {}
    }
    answer
}

fn session(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION)?.to_str().ok()
}

fn not_found() -> Response {
    let error = json!({ "code": -32001, "message": "no such session: begin another" });
    let body = json!({ "jsonrpc": "2.0", "id": null, "error": error });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

const SESSION: &str = "mcp-session-id";
const VERSION: &str = "mcp-protocol-version";
const MODERN: &str = "2026-07-28";
/// About 50 KiB each.
pub(super) const MOST: u64 = 2048;
/// What is silent for five minutes rmcp ends by itself.
const IDLE: Duration = Duration::from_hours(1);

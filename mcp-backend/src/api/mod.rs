//! The same tools for clients that speak no MCP: `/api/v1`.

mod object;
mod openapi;

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use rmcp::handler::server::wrapper::{Json as Answer, Parameters};
use serde::Serialize;
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::caller::{Caller, Identity};
use crate::offer::{Offer, ScopeMissing};
use crate::tools::{calculate::Task, echo::Heard, get_timestamp::Wish, scope_of};
use object::Object;

/// For whoever was let in.
pub(crate) fn routes(offer: Arc<Offer>, most_bytes: usize) -> Router {
    Router::new()
        .route("/api/v1/me", get(me))
        .route("/api/v1/tools", get(tools))
        .route("/api/v1/tools/echo", post(echo))
        .route("/api/v1/tools/timestamp", post(timestamp))
        .route("/api/v1/tools/calculate", post(calculate))
        .route("/api/v1/openapi.json", get(document))
        .layer(DefaultBodyLimit::max(most_bytes))
        .with_state(offer)
}

/// The tools that can be called here, and the last part of their addresses.
const TOOLS: [(&str, &str); 3] =
    [("echo", "echo"), ("get_timestamp", "timestamp"), ("calculate", "calculate")];

type Who = Extension<Identity>;
type Body<T> = Result<Json<Object<T>>, JsonRejection>;

async fn me(Extension(identity): Who) -> Json<Value> {
    Json(json!({
        "sub": identity.subject(),
        "iss": identity.issuer(),
        "client_id": identity.client_id(),
        "scopes": identity.scopes(),
    }))
}

async fn tools(State(offer): State<Arc<Offer>>, Extension(identity): Who) -> Json<Value> {
    let caller = Caller::Verified(identity);
    let mut available = 0;
    let mut listed = Vec::new();
    for (name, last) in TOOLS {
        let Some(tool) = offer.tool(name) else { continue };
        let may = offer.admit(&caller, name).is_ok();
        available += usize::from(may);
        listed.push(json!({
            "name": name,
            "description": tool.description,
            "endpoint": format!("/api/v1/tools/{last}"),
            "required_scope": scope_of(tool),
            "available": may,
            "parameters": tool.input_schema,
        }));
    }
    let scopes = match &caller {
        Caller::Verified(identity) => identity.scopes(),
        Caller::Local => &[],
    };
    Json(json!({
        "tools": listed, "user_scopes": scopes, "total": listed.len(), "available": available,
    }))
}

async fn document(State(offer): State<Arc<Offer>>) -> Json<Value> {
    Json(openapi::document(&offer))
}

async fn echo(
    State(offer): State<Arc<Offer>>,
    Extension(identity): Who,
    body: Body<Heard>,
) -> Response {
    call(&offer, identity, "echo", body, |heard| Ok(Backend::echo(Parameters(heard))))
}

async fn timestamp(
    State(offer): State<Arc<Offer>>,
    Extension(identity): Who,
    body: Body<Wish>,
) -> Response {
    let tool = |wish| Backend::get_timestamp(Parameters(wish));
    call(&offer, identity, "get_timestamp", body, tool)
}

async fn calculate(
    State(offer): State<Arc<Offer>>,
    Extension(identity): Who,
    body: Body<Task>,
) -> Response {
    call(&offer, identity, "calculate", body, |task| Backend::calculate(Parameters(task)))
}

/// Who may not is told before anything that they sent is looked at.
fn call<I, O: Serialize>(
    offer: &Offer,
    identity: Identity,
    name: &str,
    body: Body<I>,
    tool: impl FnOnce(I) -> Result<Answer<O>, String>,
) -> Response {
    if let Err(missing) = offer.admit(&Caller::Verified(identity), name) {
        return forbid(&missing);
    }
    let Json(Object(input)) = match body {
        Ok(input) => input,
        Err(refused) => return refuse(refused.status(), &refused.body_text()),
    };
    match tool(input) {
        Ok(Answer(output)) => Json(json!({ "result": output })).into_response(),
        Err(why) => refuse(StatusCode::BAD_REQUEST, &why),
    }
}

/// RFC 6750 section 3.1.
fn forbid(missing: &ScopeMissing) -> Response {
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", missing.scope());
    let told = [(WWW_AUTHENTICATE, challenge)];
    let body = json!({ "error": "insufficient_scope", "error_description": missing.to_string() });
    (StatusCode::FORBIDDEN, told, Json(body)).into_response()
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": "invalid_request", "error_description": why }))).into_response()
}

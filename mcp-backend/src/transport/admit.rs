//! Who may speak to us at all, and as whom.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use serde_json::json;

use crate::caller::{FreshToken, Token};
use crate::door::CameFrom;
use crate::offer::Offer;
use crate::otus::Otus;

/// Every request passes here first, whatever its path.
pub(super) async fn admit(
    State(offer): State<Arc<Offer>>,
    mut request: Request,
    next: Next,
) -> Response {
    let door = offer.door();
    let came_from = CameFrom::of(&request);
    let identity = match door.identify(request.headers(), came_from).await {
        Ok(identity) => identity,
        Err(unwelcome) => return unwelcome.answer(),
    };
    let keep_token = offer.otus().is_some_and(Otus::needs_token);
    let token = keep_token.then(|| Token::from_headers(request.headers())).flatten();
    door.forget_credentials(request.headers_mut());
    let fresh = FreshToken::default();
    request.extensions_mut().insert(identity);
    request.extensions_mut().insert(fresh.clone());
    if let Some(token) = token {
        request.extensions_mut().insert(token);
    }
    let answer = next.run(request).await;
    if fresh.is_demanded() { challenge() } else { answer }
}

/// For the proxy, whose caller can do something about it. Where an answer has begun before the tool
/// knew, it is told there.
fn challenge() -> Response {
    let body = json!({ "error": "invalid_token" });
    let told = [(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
    (StatusCode::UNAUTHORIZED, told, Json(body)).into_response()
}

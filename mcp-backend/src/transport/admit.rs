//! Who may speak to us at all, and as whom.

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::caller::{FreshToken, Identity, Refusal, Token};

/// Every request passes here first, whatever its path.
pub(super) async fn admit(
    State(keep_token): State<bool>,
    mut request: Request,
    next: Next,
) -> Response {
    let identity = match Identity::from_headers(request.headers()) {
        Ok(identity) => identity,
        Err(refusal) => return forbid(refusal),
    };
    let token = keep_token.then(|| Token::from_headers(request.headers())).flatten();
    forget_credentials(request.headers_mut());
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

/// What a tool cannot see it can neither believe nor leak.
fn forget_credentials(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
        headers.remove(name);
    }
}

fn forbid(refusal: Refusal) -> Response {
    tracing::warn!(%refusal, "refused a request without identity: is the proxy in front?");
    let description = format!(
        "{refusal}; this server takes the caller's identity only from the proxy in front of it"
    );
    let body = json!({ "error": "forbidden", "error_description": description });
    (StatusCode::FORBIDDEN, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn hides_credentials_from_tools() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "proxy-authorization", "cookie"] {
            headers.append(name, HeaderValue::from_static("secret"));
            headers.append(name, HeaderValue::from_static("secret too"));
        }
        forget_credentials(&mut headers);
        assert!(headers.is_empty(), "{headers:?}");
    }
}

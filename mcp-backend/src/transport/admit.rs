//! Who may speak to us at all, and as whom.

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, COOKIE, HOST, PROXY_AUTHORIZATION, WWW_AUTHENTICATE};
use http::uri::Authority;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::caller::{FreshToken, Identity, Token};

/// Every request passes here first, whatever its path.
pub(super) async fn admit(
    State(keep_token): State<bool>,
    mut request: Request,
    next: Next,
) -> Response {
    if !means_us(&request) {
        return forbid("Host is not a name of this machine");
    }
    let identity = match Identity::from_headers(request.headers()) {
        Ok(identity) => identity,
        Err(refusal) => return forbid(&refusal.to_string()),
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

/// The proxy, like any client that means us, names a loopback host: what a page in a browser was tricked
/// into does not, and it could make up all the headers that there are.
fn means_us(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    host.is_some_and(|host| OUR_NAMES.contains(&host.host())) && hosts.next().is_none()
}

fn forbid(refusal: &str) -> Response {
    tracing::warn!(refusal, "refused a request without identity: is the proxy in front?");
    let description = format!(
        "{refusal}; this server takes the caller's identity only from the proxy in front of it"
    );
    let body = json!({ "error": "forbidden", "error_description": description });
    (StatusCode::FORBIDDEN, Json(body)).into_response()
}

const OUR_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

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

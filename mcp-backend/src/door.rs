//! Whom we believe who is calling: the proxy's headers where nobody else can be, its signature
//! anywhere.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, COOKIE, HOST, PROXY_AUTHORIZATION};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::json;

use crate::assertion::{self, Assertions, Unproven};
use crate::caller::Identity;
use crate::settings::AssertionSettings;
use crate::unverified;

/// What is believed.
#[derive(Debug, Default)]
pub(crate) struct Door {
    assertions: Option<Assertions>,
    /// Whether nothing else is, wherever a request comes from.
    asserted_only: bool,
    /// The header of a token that is not verified here.
    unverified: Option<HeaderName>,
}

impl Door {
    pub(crate) fn new(
        assertion: Option<AssertionSettings>,
        unverified: Option<HeaderName>,
    ) -> Result<Self, reqwest::Error> {
        let asserted_only = assertion.as_ref().is_some_and(|settings| settings.required);
        let assertions = assertion.map(Assertions::new).transpose()?;
        Ok(Self { assertions, asserted_only, unverified })
    }

    /// Who is calling, or why nobody can be believed to.
    pub(crate) async fn identify(
        &self,
        headers: &HeaderMap,
        came_from: CameFrom,
    ) -> Result<Identity, Unwelcome> {
        // A bad signature is never made good by plain headers beside it.
        if let Some(assertions) = &self.assertions
            && (self.asserted_only || Assertions::is_in(headers))
        {
            return assertions.verify(headers).await.map_err(Unwelcome::from);
        }
        if came_from == CameFrom::Elsewhere {
            return Err(Unwelcome::forbid(
                "X-Postern-Assertion is missing, and plain headers are believed only from this \
                 machine",
            ));
        }
        if !means_us(headers) {
            return Err(Unwelcome::forbid("Host is not a name of this machine"));
        }
        match &self.unverified {
            Some(name) => {
                unverified::read(headers, name).map_err(|why| Unwelcome::forbid(why.to_string()))
            }
            None => Identity::from_headers(headers)
                .map_err(|refusal| Unwelcome::forbid(refusal.to_string())),
        }
    }

    /// What a tool cannot see it can neither believe nor leak.
    pub(crate) fn forget_credentials(&self, headers: &mut HeaderMap) {
        for name in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, assertion::HEADER] {
            headers.remove(name);
        }
        if let Some(name) = &self.unverified {
            headers.remove(name);
        }
    }
}

/// Where a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CameFrom {
    /// Over a unix socket, where connections have no address, or from loopback.
    ThisMachine,
    /// From anywhere.
    Elsewhere,
}

impl CameFrom {
    pub(crate) fn of(request: &Request) -> Self {
        match request.extensions().get::<ConnectInfo<SocketAddr>>() {
            Some(ConnectInfo(peer)) if !peer.ip().to_canonical().is_loopback() => Self::Elsewhere,
            Some(_) | None => Self::ThisMachine,
        }
    }
}

/// The proxy, like any client that means us, names a loopback host: what a page in a browser was tricked
/// into does not, and it could make up all the headers that there are.
fn means_us(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    host.is_some_and(|host| OUR_NAMES.contains(&host.host())) && hosts.next().is_none()
}

/// Nobody comes in.
#[derive(Debug)]
pub(crate) struct Unwelcome {
    status: StatusCode,
    why: String,
}

impl Unwelcome {
    fn forbid(why: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, why: why.into() }
    }

    pub(crate) fn answer(self) -> Response {
        let Self { status, why } = self;
        tracing::warn!(why, "refused a request without identity: is the proxy in front?");
        let error = if status == StatusCode::FORBIDDEN { "forbidden" } else { "unavailable" };
        let description = format!(
            "{why}; this server takes the caller's identity only from the proxy in front of it"
        );
        let body = json!({ "error": error, "error_description": description });
        (status, Json(body)).into_response()
    }
}

impl From<Unproven> for Unwelcome {
    fn from(why: Unproven) -> Self {
        let status = match why {
            Unproven::NoKeys => StatusCode::SERVICE_UNAVAILABLE,
            Unproven::Missing | Unproven::Repeated | Unproven::Malformed | Unproven::Invalid => {
                StatusCode::FORBIDDEN
            }
        };
        Self { status, why: why.to_string() }
    }
}

const OUR_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn hides_credentials_from_tools() {
        let mut headers = HeaderMap::new();
        let names =
            ["authorization", "proxy-authorization", "cookie", "x-postern-assertion", "x-jwt"];
        for name in names {
            headers.append(name, HeaderValue::from_static("secret"));
            headers.append(name, HeaderValue::from_static("secret too"));
        }
        let unverified = Some(HeaderName::from_static("x-jwt"));
        Door::new(None, unverified).unwrap().forget_credentials(&mut headers);
        assert!(headers.is_empty(), "{headers:?}");
    }

    async fn identified(from: &str) -> Result<Identity, Unwelcome> {
        let mut request = Request::new(axum::body::Body::empty());
        for (name, value) in [
            ("host", "127.0.0.1"),
            ("x-postern-subject", "ada"),
            ("x-postern-issuer", "https://id.example"),
        ] {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let peer: SocketAddr = from.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        Door::default().identify(request.headers(), CameFrom::of(&request)).await
    }

    #[tokio::test]
    async fn plain_headers_are_believed_from_this_machine_alone() {
        for near in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(identified(near).await.unwrap().subject(), "ada", "{near}");
        }
        for far in ["10.0.0.1:1", "192.168.1.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"] {
            let refused = identified(far).await.unwrap_err();
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{far}");
            assert!(refused.why.starts_with("X-Postern-Assertion is missing"), "{far}");
        }
    }
}

//! An identity provider for one laptop: real `OAuth`, pretended people.
//!
//! It speaks to clients as a provider in production would (RFC 8414, RFC 7591, PKCE, RFC 8707,
//! RFC 9068, RFC 9207), so that what works here works there. It listens on loopback, forgets
//! everything when it ends, and prints its only password on the page.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, CACHE_CONTROL, HOST,
};
use http::{HeaderValue, Method, StatusCode};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use client::{Client, GrantType};
use people::Scopes;
use signing::{Claims, LIFETIME, Signer, seconds};
use store::Store;

mod authorize;
mod client;
mod metadata;
mod page;
mod parameters;
mod people;
mod random;
mod redirect;
mod refusal;
mod register;
#[cfg(test)]
mod rig;
mod signing;
mod store;
mod token;

pub(crate) struct Provider {
    issuer: String,
    resource: String,
    secret: String,
    signer: Signer,
    store: Mutex<Store>,
}

/// The library under the provider failed; nothing a client did.
#[derive(Debug, Clone, Copy, Error)]
pub(crate) enum Unavailable {
    #[error("no signing key could be made")]
    Key,
    #[error("the token could not be signed")]
    Signature,
    #[error("the system has no random numbers")]
    Randomness,
}

impl Provider {
    /// A provider of tokens for `resource`. `issuer` is the origin it is reached at.
    pub(crate) fn new(issuer: String, resource: String) -> Result<Self, Unavailable> {
        let secret = random::secret()?;
        let own = Client {
            id: CLIENT_ID.to_owned(),
            name: "Postern on a laptop".to_owned(),
            redirect_uris: Vec::new(),
            grant_types: vec![GrantType::ClientCredentials],
            secret: Some(secret.clone()),
        };
        let (signer, store) = (Signer::new()?, Mutex::new(Store::new(own)));
        Ok(Self { issuer, resource, secret, signer, store })
    }

    /// Serves until it is dropped.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) -> std::io::Result<()> {
        axum::serve(listener, self.router()).await
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn token_endpoint(&self) -> String {
        format!("{}/token", self.issuer)
    }

    /// The secret of the client that is registered from the start.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// A token as if Ada had signed in, for who does not want to go through that.
    pub(crate) fn ready_token(&self, now: SystemTime) -> Result<String, Unavailable> {
        self.mint("ada", CLIENT_ID, Scopes::ALL, now)
    }

    fn mint(
        &self,
        subject: &str,
        client_id: &str,
        scopes: Scopes,
        now: SystemTime,
    ) -> Result<String, Unavailable> {
        let issued = seconds(now);
        self.signer.sign(&Claims {
            iss: &self.issuer,
            sub: subject,
            aud: &self.resource,
            client_id,
            scope: scopes.to_string(),
            iat: issued,
            exp: issued.saturating_add(LIFETIME.as_secs()),
            jti: random::secret()?,
        })
    }

    fn router(self: &Arc<Self>) -> Router {
        self.routes().layer(from_fn(stamp))
    }

    /// Everything but the clock.
    fn routes(self: &Arc<Self>) -> Router {
        let open = Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata::document))
            .route("/.well-known/openid-configuration", get(metadata::document))
            .route("/jwks", get(metadata::jwks))
            .route("/token", post(token::token))
            .route("/register", post(register::register))
            .layer(from_fn(share));
        Router::new()
            .route("/authorize", get(authorize::ask).post(authorize::answer))
            .merge(open)
            .layer(DefaultBodyLimit::max(LARGEST_BODY))
            .layer(from_fn_with_state(Arc::clone(self), guard))
            .with_state(Arc::clone(self))
    }
}

/// When a request came in.
#[derive(Clone, Copy)]
struct Now(SystemTime);

async fn stamp(mut request: Request, next: Next) -> Response {
    #[expect(clippy::disallowed_methods, reason = "the one place the provider learns the time")]
    let now = Now(SystemTime::now());
    request.extensions_mut().insert(now);
    next.run(request).await
}

/// A page on the web can make its own name mean 127.0.0.1; it cannot make the browser say ours.
async fn guard(State(provider): State<Arc<Provider>>, request: Request, next: Next) -> Response {
    let authority = provider.issuer.strip_prefix("http://").unwrap_or_default();
    let mut response = match request.headers().get(HOST) {
        Some(host) if host == authority => next.run(request).await,
        Some(_) | None => StatusCode::MISDIRECTED_REQUEST.into_response(),
    };
    // Nothing here outlives the process, so nothing here may be remembered.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Browser clients read the metadata, register and fetch tokens from whatever origin they have.
async fn share(mut request: Request, next: Next) -> Response {
    let asked = request.headers_mut().remove(ACCESS_CONTROL_REQUEST_HEADERS);
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    if let Some(asked) = asked {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked);
    }
    response
}

/// The client that is registered from the start.
pub(crate) const CLIENT_ID: &str = "postern-dev";
const LARGEST_BODY: usize = 64 * 1024;

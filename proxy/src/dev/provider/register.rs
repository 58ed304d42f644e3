//! Dynamic client registration (RFC 7591), open to everybody who can reach the laptop.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use super::client::{Client, GrantType};
use super::signing::seconds;
use super::{Now, Provider, Unavailable, random, redirect};

/// What a client says of itself. Members nobody here knows are ignored, as §2 wants it.
#[derive(Deserialize)]
struct Application {
    #[serde(default)]
    redirect_uris: Vec<String>,
    client_name: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    token_endpoint_auth_method: Option<String>,
}

pub(super) async fn register(
    State(provider): State<Arc<Provider>>,
    Extension(Now(now)): Extension<Now>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let application: Application =
        serde_json::from_slice(&body).map_err(|_| Refusal::NotAnApplication)?;
    let method = application.method()?;
    let client = application.client(method)?;
    let mut answer = json!({
        "client_id": client.id,
        "client_id_issued_at": seconds(now),
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"],
        "token_endpoint_auth_method": method.name(),
    });
    if let (Some(secret), Some(answer)) = (&client.secret, answer.as_object_mut()) {
        answer.insert("client_secret".to_owned(), json!(secret));
        // §3.2.1: zero, for a secret that does not expire.
        answer.insert("client_secret_expires_at".to_owned(), json!(0));
    }
    tracing::info!(client = client.id, name = client.name, "the identity provider has a client");
    provider.store.lock().await.register(client);
    Ok((StatusCode::CREATED, Json(answer)))
}

impl Application {
    fn client(self, method: Method) -> Result<Client, Refusal> {
        let secret = match method {
            Method::None => None,
            Method::Basic | Method::Post => Some(random::secret()?),
        };
        let grant_types = self.grant_types()?;
        let name = self.client_name.as_deref().unwrap_or("An application without a name");
        Ok(Client {
            id: random::secret()?,
            name: name.chars().take(LONGEST_NAME).collect(),
            secret,
            grant_types,
            redirect_uris: self.redirect_uris()?,
        })
    }

    /// RFC 7591 §2: Basic, when nothing is said.
    fn method(&self) -> Result<Method, Refusal> {
        match self.token_endpoint_auth_method.as_deref() {
            None | Some("client_secret_basic") => Ok(Method::Basic),
            Some("client_secret_post") => Ok(Method::Post),
            Some("none") => Ok(Method::None),
            Some(_) => Err(Refusal::Method),
        }
    }

    /// Grants are for clients that bring a person along: who may register openly must not get
    /// tokens by itself. What cannot be had is left out of the answer (§3.2.1).
    fn grant_types(&self) -> Result<Vec<GrantType>, Refusal> {
        let open = [GrantType::AuthorizationCode, GrantType::RefreshToken];
        let asked: Vec<_> = match &self.grant_types {
            None => vec![GrantType::AuthorizationCode],
            Some(names) => names.iter().filter_map(|name| GrantType::named(name)).collect(),
        };
        let code_only = |types: &Vec<String>| types.iter().any(|name| name == "code");
        if !asked.contains(&GrantType::AuthorizationCode)
            || !self.response_types.as_ref().is_none_or(code_only)
        {
            return Err(Refusal::NoCode);
        }
        Ok(open.into_iter().filter(|kind| asked.contains(kind)).collect())
    }

    fn redirect_uris(self) -> Result<Vec<String>, Refusal> {
        let uris = self.redirect_uris;
        let good = (1..=MOST_URIS).contains(&uris.len())
            && uris.iter().all(|uri| redirect::registrable(uri));
        if good { Ok(uris) } else { Err(Refusal::RedirectUri) }
    }
}

#[derive(Clone, Copy)]
enum Method {
    None,
    Basic,
    Post,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }
}

#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("the body is not the JSON object of RFC 7591")]
    NotAnApplication,
    #[error("redirect_uris must be a few of https, http on loopback, or the application's scheme")]
    RedirectUri,
    #[error("token_endpoint_auth_method is none, client_secret_basic or client_secret_post")]
    Method,
    #[error("clients here use the authorization_code grant and the response type code")]
    NoCode,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::RedirectUri => (StatusCode::BAD_REQUEST, "invalid_redirect_uri"),
            Self::NotAnApplication | Self::Method | Self::NoCode => {
                (StatusCode::BAD_REQUEST, "invalid_client_metadata")
            }
            Self::Unavailable(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        };
        tracing::info!(error, reason = %self, "the identity provider registers no client");
        (status, Json(json!({ "error": error, "error_description": self.to_string() })))
            .into_response()
    }
}

const LONGEST_NAME: usize = 80;
const MOST_URIS: usize = 16;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::rig::{Reply, Rig};

    fn valid() -> Value {
        json!({
            "client_name": "a client", "redirect_uris": ["http://127.0.0.1/back"],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        })
    }

    async fn register(spoil: impl FnOnce(&mut Value)) -> Reply {
        let mut application = valid();
        spoil(&mut application);
        Rig::new().post_json("/register", &application).await
    }

    #[track_caller]
    fn refuses(reply: &Reply, error: &str) {
        assert_eq!(reply.status, 400, "{}", reply.body);
        assert_eq!(reply.json()["error"], error);
    }

    #[tokio::test]
    async fn gives_a_public_client_no_secret() {
        let reply = register(|_| ()).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.json()["token_endpoint_auth_method"], "none");
        assert_eq!(reply.json().get("client_secret"), None);
    }

    #[tokio::test]
    async fn gives_a_confidential_client_a_secret() {
        let reply = register(|application| application["token_endpoint_auth_method"] = json!(null));
        let client = reply.await.json();
        assert_eq!(client["token_endpoint_auth_method"], "client_secret_basic");
        assert_eq!(client["client_secret_expires_at"], 0);
        assert!(client["client_secret"].as_str().unwrap().len() >= 43);
    }

    #[tokio::test]
    async fn ignores_members_it_does_not_know() {
        let reply = register(|application| application["software_id"] = json!({"x": [1]})).await;
        assert_eq!(reply.status, 201);
    }

    #[tokio::test]
    async fn leaves_out_grants_that_need_no_person() {
        let grants = json!(["authorization_code", "client_credentials"]);
        let reply = register(|application| application["grant_types"] = grants).await;
        assert_eq!(reply.json()["grant_types"], json!(["authorization_code"]));
    }

    #[tokio::test]
    async fn refuses_a_client_that_wants_no_code() {
        let grants = json!(["client_credentials"]);
        refuses(&register(|a| a["grant_types"] = grants).await, "invalid_client_metadata");
        refuses(
            &register(|a| a["response_types"] = json!(["token"])).await,
            "invalid_client_metadata",
        );
    }

    #[tokio::test]
    async fn refuses_a_way_back_over_plain_http() {
        let uris = json!(["http://app.example/back"]);
        refuses(&register(|a| a["redirect_uris"] = uris).await, "invalid_redirect_uri");
        refuses(&register(|a| a["redirect_uris"] = json!([])).await, "invalid_redirect_uri");
    }

    #[tokio::test]
    async fn refuses_a_method_it_cannot_check() {
        let method = json!("private_key_jwt");
        let reply = register(|a| a["token_endpoint_auth_method"] = method).await;
        refuses(&reply, "invalid_client_metadata");
    }

    #[tokio::test]
    async fn refuses_a_body_that_is_no_object() {
        refuses(&register(|a| *a = json!("client")).await, "invalid_client_metadata");
    }

    #[tokio::test]
    async fn forgets_the_oldest_client_rather_than_grow() {
        let rig = Rig::new();
        let first = rig.register().await;
        for _ in 0..512 {
            rig.register().await;
        }
        let reply = rig.ask(&super::super::rig::valid(&first)).await;
        assert!(reply.body.contains("no such client"));
    }
}

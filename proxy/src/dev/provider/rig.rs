//! A provider without a socket or a clock, for the tests.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Extension;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use url::form_urlencoded;

use super::{Now, Provider};

pub(super) struct Rig {
    provider: Arc<Provider>,
    now: Cell<SystemTime>,
}

impl Rig {
    pub(super) const ISSUER: &str = "http://127.0.0.1:9000";
    pub(super) const RESOURCE: &str = "https://127.0.0.1:8443/mcp";

    pub(super) fn new() -> Self {
        let provider = Provider::new(Self::ISSUER.to_owned(), Self::RESOURCE.to_owned()).unwrap();
        let now = Cell::new(UNIX_EPOCH + Duration::from_hours(500_000));
        Self { provider: Arc::new(provider), now }
    }

    pub(super) fn provider(&self) -> &Provider {
        &self.provider
    }

    pub(super) fn wait(&self, seconds: u64) {
        self.now.set(self.now.get() + Duration::from_secs(seconds));
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], String::new()).await
    }

    pub(super) async fn preflight(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send("OPTIONS", path, headers, String::new()).await
    }

    pub(super) async fn post(&self, path: &str, form: &Form) -> Reply {
        self.post_with(path, &[], form).await
    }

    pub(super) async fn post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        form: &Form,
    ) -> Reply {
        self.send("POST", path, headers, form.encoded()).await
    }

    pub(super) async fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], body.to_string()).await
    }

    /// Registers a public client and says its name.
    pub(super) async fn register(&self) -> String {
        let application = json!({
            "client_name": "a client", "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let client = self.post_json("/register", &application).await.json();
        client["client_id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn ask(&self, asked: &Form) -> Reply {
        self.get(&format!("/authorize?{}", asked.encoded())).await
    }

    pub(super) async fn sign_in(&self, asked: &Form) -> Reply {
        self.sign_in_as("ada", asked).await
    }

    pub(super) async fn sign_in_as(&self, person: &str, asked: &Form) -> Reply {
        let form = asked.clone().and("user", person).and("password", "laptop");
        self.post("/authorize", &form).await
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:9000");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let routes = self.provider.routes().layer(Extension(Now(self.now.get())));
        let response = routes.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
    headers: HeaderMap,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// What the browser takes back to the client.
    pub(super) fn back(&self, name: &str) -> Option<String> {
        let location = url::Url::parse(self.header("location")?).unwrap();
        location.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into())
    }
}

#[derive(Clone)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        pairs.iter().fold(Self(Vec::new()), |form, (name, value)| form.and(name, value))
    }

    pub(super) fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    pub(super) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

/// An authorization request with nothing wrong. The challenge is RFC 7636's own example.
pub(super) fn valid(client: &str) -> Form {
    Form::of(&[
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("resource", Rig::RESOURCE),
        ("scope", "mcp:read mcp:write"),
        ("state", "a state"),
    ])
}

/// RFC 7636, appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const REDIRECT: &str = "http://127.0.0.1/back";

//! The issuer's token endpoint: it knows its client, and gives for a code or a refresh token what a test
//! has told it to, once, to whoever shows the right verifier.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::sync::watch;
use url::form_urlencoded::parse;

/// Where codes become tokens.
#[derive(Clone)]
pub(crate) struct TokenEndpoint(Arc<watch::Sender<State>>);

#[derive(Default)]
struct State {
    grants: BTreeMap<String, Grant>,
    instead: Option<(u16, String)>,
    asked: Vec<TokenRequest>,
    held: bool,
}

/// What a code or a refresh token is good for.
struct Grant {
    /// Of PKCE; none for a refresh token.
    challenge: Option<String>,
    answer: String,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct TokenRequest {
    pub(crate) form: BTreeMap<String, String>,
    pub(crate) authorization: String,
    pub(crate) content_type: String,
}

impl TokenEndpoint {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }

    /// That code is good, for whoever knows what the challenge was made of.
    pub(crate) fn gives_for_code(&self, code: &str, challenge: &str, answer: &Value) {
        self.give(code, Some(challenge.into()), answer);
    }

    pub(crate) fn gives_for_refresh_token(&self, token: &str, answer: &Value) {
        self.give(token, None, answer);
    }

    fn give(&self, key: &str, challenge: Option<String>, answer: &Value) {
        let grant = Grant { challenge, answer: answer.to_string() };
        self.0.send_modify(|state| drop(state.grants.insert(key.into(), grant)));
    }

    /// Every request gets this from now on.
    pub(crate) fn answers(&self, status: u16, body: &str) {
        self.0.send_modify(|state| state.instead = Some((status, body.into())));
    }

    /// Whether it keeps everybody waiting.
    pub(crate) fn hold(&self, held: bool) {
        self.0.send_modify(|state| state.held = held);
    }

    pub(crate) fn asked(&self) -> Vec<TokenRequest> {
        self.0.borrow().asked.clone()
    }

    pub(super) async fn answer(&self, headers: &HeaderMap, body: &str) -> (StatusCode, String) {
        let form: BTreeMap<String, String> = parse(body.as_bytes()).into_owned().collect();
        let text = |name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let (authorization, content_type) = (text(AUTHORIZATION), text(CONTENT_TYPE));
        let request = TokenRequest { form: form.clone(), authorization, content_type };
        self.0.send_modify(|state| state.asked.push(request));
        drop(self.0.subscribe().wait_for(|state| !state.held).await);
        if let Some((status, body)) = self.0.borrow().instead.clone() {
            return (StatusCode::from_u16(status).unwrap(), body);
        }
        let refused = || (StatusCode::BAD_REQUEST, json!({ "error": "invalid_grant" }).to_string());
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let key = match field("grant_type").as_str() {
            "authorization_code" => field("code"),
            "refresh_token" => field("refresh_token"),
            _ => return refused(),
        };
        // Whatever comes of it, a code is good once.
        let mut grant = None;
        self.0.send_modify(|state| grant = state.grants.remove(&key));
        let Some(grant) = grant else { return refused() };
        let shown = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            field("code_verifier").as_bytes(),
        );
        let shown = URL_SAFE_NO_PAD.encode(shown);
        if grant.challenge.is_some_and(|challenge| challenge != shown) {
            return refused();
        }
        (StatusCode::OK, grant.answer)
    }
}

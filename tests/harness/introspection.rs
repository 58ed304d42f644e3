//! The issuer's introspection endpoint: it knows its client, and says what a test has told it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::header::{ACCEPT, AUTHORIZATION};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::watch;
use url::form_urlencoded::parse;

/// Where tokens are asked about. Every token is inactive until a test says otherwise.
#[derive(Clone)]
pub(crate) struct Introspection(Arc<watch::Sender<State>>);

struct State {
    client: (String, String),
    answers: BTreeMap<String, String>,
    status: u16,
    held: bool,
    asked: Vec<Asked>,
    waiting: usize,
    most_waiting: usize,
}

/// One inquiry as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) token: String,
    pub(crate) hint: String,
    /// `basic`, `post`, or both or none of them.
    pub(crate) authentication: String,
    pub(crate) accept: String,
}

impl Introspection {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State {
            client: ("gateway".into(), "s3cret".into()),
            answers: BTreeMap::new(),
            status: 200,
            held: false,
            asked: Vec::new(),
            waiting: 0,
            most_waiting: 0,
        })))
    }

    pub(crate) fn knows_client(&self, id: &str, secret: &str) {
        self.0.send_modify(|state| state.client = (id.into(), secret.into()));
    }

    /// What it says about `token` from now on: any text.
    pub(crate) fn says(&self, token: &str, answer: impl Into<String>) {
        self.0.send_modify(|state| drop(state.answers.insert(token.into(), answer.into())));
    }

    pub(crate) fn revoke(&self, token: &str) {
        self.0.send_modify(|state| drop(state.answers.remove(token)));
    }

    /// Every inquiry gets this status from now on.
    pub(crate) fn fail(&self, status: u16) {
        self.0.send_modify(|state| state.status = status);
    }

    /// Whether it keeps everybody waiting.
    pub(crate) fn hold(&self, held: bool) {
        self.0.send_modify(|state| state.held = held);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.0.borrow().asked.clone()
    }

    pub(crate) fn inquiries(&self) -> usize {
        self.0.borrow().asked.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.0.borrow().waiting
    }

    pub(crate) fn most_waiting(&self) -> usize {
        self.0.borrow().most_waiting
    }

    pub(super) async fn answer(&self, headers: &HeaderMap, body: &str) -> (StatusCode, String) {
        let form: BTreeMap<String, String> = parse(body.as_bytes()).into_owned().collect();
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let text = |name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let basic = text(AUTHORIZATION).strip_prefix("Basic ").map(pair);
        let post = form.get("client_id").map(|id| (id.clone(), field("client_secret")));
        let used = [("basic", &basic), ("post", &post)];
        let used: Vec<_> = used.iter().filter(|(_, pair)| pair.is_some()).map(|u| u.0).collect();
        let token = field("token");
        self.0.send_modify(|state| {
            state.asked.push(Asked {
                token: token.clone(),
                hint: field("token_type_hint"),
                authentication: used.join(" and "),
                accept: text(ACCEPT),
            });
            state.waiting += 1;
            state.most_waiting = state.most_waiting.max(state.waiting);
        });
        let waiting = Waiting(self);
        drop(self.0.subscribe().wait_for(|state| !state.held).await);
        drop(waiting);
        let state = self.0.borrow();
        if state.status != 200 {
            return (StatusCode::from_u16(state.status).unwrap(), "{\"active\":true}".into());
        }
        if basic.or(post).as_ref() != Some(&state.client) {
            return (StatusCode::UNAUTHORIZED, json!({ "error": "invalid_client" }).to_string());
        }
        let inactive = || json!({ "active": false }).to_string();
        (StatusCode::OK, state.answers.get(&token).cloned().unwrap_or_else(inactive))
    }
}

/// Somebody who is kept waiting, until they get an answer or hang up.
struct Waiting<'i>(&'i Introspection);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.waiting -= 1);
    }
}

fn pair(encoded: &str) -> (String, String) {
    let text = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
    let (id, secret) = text.split_once(':').unwrap();
    let plain = |text: &str| parse(text.as_bytes()).next().unwrap().0.into_owned();
    (plain(id), plain(secret))
}

/// The answer about an active token that says all of `claims`.
pub(crate) fn active(claims: &BTreeMap<String, Value>) -> String {
    let mut answer = claims.clone();
    answer.insert("active".into(), true.into());
    serde_json::to_string(&answer).unwrap()
}

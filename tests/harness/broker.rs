//! A broker of identities with a dialect of its own: each step is a POST, parameters stand in the
//! address, and it compares nothing.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::sync::watch;
use url::form_urlencoded::parse;

/// It says what a test has told it to.
pub(crate) struct Broker {
    url: String,
    state: Arc<watch::Sender<Told>>,
}

#[derive(Default)]
struct Told {
    answers: BTreeMap<String, (u16, String)>,
    asked: Vec<BrokerRequest>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct BrokerRequest {
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(watch::Sender::new(Told::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || serve(listener, shared));
        Self { url, state }
    }

    /// The section of the configuration.
    pub(crate) fn setting(&self) -> String {
        let url = &self.url;
        format!(
            "broker: {{authorize: '{url}/authorize', login: '{url}/login', \
             refresh: '{url}/refresh_token'}}"
        )
    }

    pub(crate) fn answers(&self, path: &str, status: u16, body: &Value) {
        let body = body.to_string();
        self.state.send_modify(|told| drop(told.answers.insert(path.into(), (status, body))));
    }

    /// What came last.
    pub(crate) fn asked(&self) -> BrokerRequest {
        self.state.borrow().asked.last().unwrap().clone()
    }

    pub(crate) fn times(&self) -> usize {
        self.state.borrow().asked.len()
    }
}

fn serve(listener: TcpListener, state: Arc<watch::Sender<Told>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let router = Router::new()
            .route("/authorize", post(answer))
            .route("/login", post(answer))
            .route("/refresh_token", post(answer))
            .with_state(state);
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, router).await.unwrap();
    });
}

async fn answer(
    State(state): State<Arc<watch::Sender<Told>>>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let path = uri.path().to_owned();
    let query = uri.query().unwrap_or_default();
    let query = parse(query.as_bytes()).into_owned().collect();
    let mut answer = None;
    state.send_modify(|told| {
        answer = told.answers.get(&path).cloned();
        told.asked.push(BrokerRequest { path, query, headers, body });
    });
    let nothing = || (500, json!({ "error_message": "nobody has told me" }).to_string());
    let (status, body) = answer.unwrap_or_else(nothing);
    (StatusCode::from_u16(status).unwrap(), body)
}

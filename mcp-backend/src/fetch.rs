//! One request and its answer: to where it was meant for, and no more of it than makes sense.

use std::time::Duration;

use http::StatusCode;
use http::header::ACCEPT;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;

/// The client of a process. It follows no redirect: a credential goes where it was meant to go.
pub(crate) fn client(timeout: Duration) -> Result<Client, reqwest::Error> {
    // Whoever was first has installed the same.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT.min(timeout))
        .timeout(timeout)
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .build()
}

/// What came back. Only what is told with 200 or 400 is read at all.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The body, if it is JSON.
    pub(crate) body: Option<Value>,
}

pub(crate) async fn fetch(request: RequestBuilder) -> Result<Answer, Failed> {
    let sent = request.header(ACCEPT, "application/json").send();
    let mut response = sent.await.map_err(Failed::unreachable)?;
    let status = response.status();
    if !matches!(status, StatusCode::OK | StatusCode::BAD_REQUEST) {
        return Ok(Answer { status, body: None });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Failed::unreachable)? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(Failed::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body: serde_json::from_slice(&body).ok() })
}

/// For the log; without addresses, which may name the caller.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("unreachable: {0:?}")]
    Unreachable(#[source] reqwest::Error),
    #[error("its answer is larger than {MOST_BYTES} bytes")]
    TooLarge,
}

impl Failed {
    fn unreachable(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url())
    }
}

const CONNECT: Duration = Duration::from_secs(2);
const MOST_BYTES: usize = 1024 * 1024;

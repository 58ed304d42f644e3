//! The only HTTP client: it follows no redirect, waits for nobody long, and takes no more than it asked for.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use url::Url;

/// Fetches small documents.
#[derive(Clone, Debug)]
pub(crate) struct Outbound(reqwest::Client);

impl Outbound {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .pool_max_idle_per_host(1)
            .user_agent(concat!("postern/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .build()?;
        Ok(Self(client))
    }

    /// The body of a 200, if it is no larger than it may be.
    pub(crate) async fn get(&self, url: &Url) -> Result<Bytes, Failed> {
        let request = self.0.get(url.clone()).header(http::header::ACCEPT, "application/json");
        let mut response = request.send().await.map_err(Failed::unreachable)?;
        if response.status() != StatusCode::OK {
            return Err(Failed::Status(response.status()));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(Failed::unreachable)? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(Failed::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer is larger than 1 MiB")]
    TooLarge,
}

impl Failed {
    fn unreachable(error: reqwest::Error) -> Self {
        // The cause of a failed connection is two layers down, and the only part worth reading.
        let mut text = error.to_string();
        let error = error.without_url();
        let mut cause = std::error::Error::source(&error);
        if cause.is_some() {
            text.clear();
        }
        while let Some(inner) = cause {
            text = inner.to_string();
            cause = inner.source();
        }
        Self::Unreachable(text)
    }
}

const CONNECT: Duration = Duration::from_secs(3);
const TOTAL: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 1 << 20;

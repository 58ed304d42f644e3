//! A listener for clients that come without TLS: it leads them to https, and passes nothing on.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Response, StatusCode, header};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;

use crate::edge::Connection;
use crate::pipeline::framing::Misframed;
use crate::pipeline::plain::Plain;
use crate::record::Recorder;
use crate::snapshot::Live;

/// By the names of the rules in force.
pub(crate) struct Redirect {
    pub(crate) live: Arc<Live>,
    pub(crate) recorder: Recorder,
}

#[async_trait]
impl ServeHttp for Redirect {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let connection = Connection::of(session.digest());
        if let Some(connection) = &connection {
            connection.head_read();
        }
        // There is nothing more to be had here.
        session.set_keepalive(None);
        let plain = self.live.pin().pipeline.plain(session.req_header());
        self.recorder.plain(outcome(&plain));
        if plain == Plain::Exposed {
            let caller = connection.as_ref().map(|connection| connection.caller());
            let peer = caller.map(|caller| caller.introduced.unwrap_or(caller.peer).to_string());
            tracing::warn!(peer, "a token was sent in the clear: whoever gave it should revoke it");
        }
        let answer = answer(&plain).unwrap_or_else(|_| broken());
        if let Some(connection) = &connection {
            connection.request_done();
        }
        answer
    }
}

fn outcome(plain: &Plain) -> &'static str {
    match plain {
        Plain::Elsewhere(_) => "redirected",
        Plain::Exposed => "token_exposed",
        Plain::Misdirected => "foreign_host",
        Plain::Misframed(_) => "refused",
    }
}

/// Where a header cannot be made: nothing is said rather than the wrong thing.
fn broken() -> Response<Vec<u8>> {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer
}

fn answer(plain: &Plain) -> http::Result<Response<Vec<u8>>> {
    let (status, text) = match plain {
        Plain::Elsewhere(_) => (StatusCode::PERMANENT_REDIRECT, "use https"),
        Plain::Exposed => (
            StatusCode::FORBIDDEN,
            "this token was sent without TLS, where others can read it: use another one, over https",
        ),
        Plain::Misdirected => (StatusCode::MISDIRECTED_REQUEST, "no such host here"),
        Plain::Misframed(Misframed::Method) => {
            (StatusCode::METHOD_NOT_ALLOWED, "nothing is served without TLS: use https")
        }
        Plain::Misframed(_) => (StatusCode::BAD_REQUEST, "this cannot be led anywhere: use https"),
    };
    let body = format!("{text}\n").into_bytes();
    let mut answer = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::CONTENT_LENGTH, body.len())
        .header(header::CONNECTION, "close");
    if let Plain::Elsewhere(location) = plain {
        answer = answer.header(header::LOCATION, HeaderValue::from_str(location)?);
    }
    if *plain == Plain::Misframed(Misframed::Method) {
        answer = answer.header(header::ALLOW, "GET, HEAD");
    }
    answer.body(body)
}

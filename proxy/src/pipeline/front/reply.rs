//! One answer of the front.

use std::fmt;

use bytes::Bytes;
use http::response::Builder;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::reason::Reason;

/// What the front answers. Nothing of it may be stored, unless it says so.
pub struct Reply {
    reason: Reason,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    /// A document for everybody, which may be kept for a while.
    pub(crate) fn public(reason: Reason, document: Bytes) -> Self {
        Self::new(reason, StatusCode::OK, document)
            .with(header::CONTENT_TYPE, JSON)
            .with(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))
            .with(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))
    }

    /// For a program.
    pub(crate) fn json(reason: Reason, status: StatusCode, document: &Value) -> Self {
        Self::new(reason, status, document.to_string().into())
            .with(header::CONTENT_TYPE, JSON)
            .with(header::CACHE_CONTROL, NO_STORE)
    }

    /// An error as OAuth tells it to programs.
    pub(crate) fn error(reason: Reason, status: StatusCode, code: &str, why: &str) -> Self {
        Self::json(reason, status, &json!({ "error": code, "error_description": why }))
    }

    /// For people: HTML, and what it may do (`Content-Security-Policy`).
    pub(crate) fn page(reason: Reason, status: StatusCode, html: String, may: HeaderValue) -> Self {
        Self::new(reason, status, html.into())
            .with(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
            .with(header::CACHE_CONTROL, NO_STORE)
            .with(header::CONTENT_SECURITY_POLICY, may)
            // With no-referrer browsers would not say which page a form was sent from.
            .with(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"))
    }

    /// Sends the browser on. None if the place does not fit into a header.
    pub(crate) fn redirect(reason: Reason, to: &str) -> Option<Self> {
        let to = HeaderValue::from_str(to).ok()?;
        // 303: whatever was posted here is not posted there.
        let reply = Self::new(reason, StatusCode::SEE_OTHER, Bytes::new());
        Some(reply.with(header::LOCATION, to).with(header::CACHE_CONTROL, NO_STORE))
    }

    /// With one more cookie.
    pub(crate) fn with_cookie(mut self, cookie: HeaderValue) -> Self {
        self.headers.append(header::SET_COOKIE, cookie);
        self
    }

    /// Come back after so many seconds.
    pub(crate) fn retry_after(self, seconds: &'static str) -> Self {
        self.with(header::RETRY_AFTER, HeaderValue::from_static(seconds))
    }

    /// In the place of one that only the proxy itself could give.
    pub(crate) fn untold() -> Self {
        Self::new(Reason::Front, StatusCode::OK, Bytes::new())
    }

    fn new(reason: Reason, status: StatusCode, body: Bytes) -> Self {
        Self { reason, status, headers: HeaderMap::new(), body }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Its name wherever it is told of.
    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What stands in `reply` gives way.
    pub(in crate::pipeline) fn into_response(
        self,
        reply: Builder,
    ) -> http::Result<Response<Bytes>> {
        let mut response = reply.body(self.body)?;
        let named: Vec<HeaderName> = self.headers.keys().cloned().collect();
        for name in named {
            response.headers_mut().remove(name);
        }
        // A map that is taken apart says a name once for all its values.
        let mut last = None;
        for (name, value) in self.headers {
            last = name.or(last);
            if let Some(name) = last.clone() {
                response.headers_mut().append(name, value);
            }
        }
        Ok(response)
    }
}

/// Its headers and its body may hold what is nobody else's business.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {})", self.status.as_u16(), self.reason.code())
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

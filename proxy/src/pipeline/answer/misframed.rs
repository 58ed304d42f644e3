//! What is said to requests that are malformed or too large.

use bytes::Bytes;
use http::response::Builder;
use http::{Response, StatusCode, header};

use super::{error, stored_never};
use crate::pipeline::framing::Misframed;

pub(super) fn refuse(reply: Builder, why: Misframed) -> http::Result<Response<Bytes>> {
    // RFC 9110 section 15.5.6: a 405 says what would do.
    let allowed = (why == Misframed::Method).then_some("GET, POST, DELETE");
    let reply = match allowed {
        Some(allowed) => reply.header(header::ALLOW, allowed),
        None => reply,
    };
    stored_never(reply).body(error("invalid_request", &why.to_string()))
}

pub(super) fn status(why: Misframed) -> StatusCode {
    match why {
        Misframed::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        Misframed::Host | Misframed::Length | Misframed::Target | Misframed::Torn => {
            StatusCode::BAD_REQUEST
        }
        Misframed::Method => StatusCode::METHOD_NOT_ALLOWED,
        Misframed::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Misframed::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Misframed::TooSlow => StatusCode::REQUEST_TIMEOUT,
    }
}

pub(super) fn label(why: Misframed) -> &'static str {
    match why {
        Misframed::Version => "http_version",
        Misframed::Host => "bad_host",
        Misframed::Method => "bad_method",
        Misframed::Length => "bad_length",
        Misframed::HeadTooLarge => "head_too_large",
        Misframed::BodyTooLarge => "body_too_large",
        Misframed::Target => "bad_target",
        Misframed::Torn => "torn",
        Misframed::TooSlow => "too_slow",
    }
}

//! What is said to requests that are malformed or too large.

use bytes::Bytes;
use http::response::Builder;
use http::{Response, StatusCode, header};
use serde_json::json;

use super::{error, stored_never};
use crate::pipeline::call::HEADER_MISMATCH;
use crate::pipeline::framing::Misframed;
use crate::pipeline::websocket;

pub(super) fn refuse(reply: Builder, why: Misframed) -> http::Result<Response<Bytes>> {
    // RFC 9110 section 15.5.6: a 405 says what would do.
    let allowed = (why == Misframed::Method).then_some((header::ALLOW, "GET, POST, DELETE"));
    // RFC 6455 section 4.4: so does a refused handshake.
    let version = (header::SEC_WEBSOCKET_VERSION, websocket::VERSION);
    let version = (why == Misframed::Handshake).then_some(version);
    let reply = match allowed.or(version) {
        Some((name, value)) => reply.header(name, value),
        None => reply,
    };
    let body = match why {
        Misframed::Repeated => header_mismatch(why),
        Misframed::Version
        | Misframed::Host
        | Misframed::Method
        | Misframed::Length
        | Misframed::TargetTooLong
        | Misframed::HeadTooLarge
        | Misframed::BodyTooLarge
        | Misframed::Target
        | Misframed::Handshake
        | Misframed::Torn
        | Misframed::TooSlow => error("invalid_request", &why.to_string()),
    };
    stored_never(reply).body(body)
}

/// A client must not take it for the word of a server of another era, so it is said as servers of
/// 2026-07-28 say it. The request's id is in its body, which is not read here.
fn header_mismatch(why: Misframed) -> Bytes {
    let error = json!({ "code": HEADER_MISMATCH, "message": why.to_string() });
    json!({ "jsonrpc": "2.0", "error": error }).to_string().into()
}

pub(super) fn status(why: Misframed) -> StatusCode {
    match why {
        Misframed::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        Misframed::Host
        | Misframed::Length
        | Misframed::Target
        | Misframed::Repeated
        | Misframed::Handshake
        | Misframed::Torn => StatusCode::BAD_REQUEST,
        Misframed::Method => StatusCode::METHOD_NOT_ALLOWED,
        Misframed::TargetTooLong => StatusCode::URI_TOO_LONG,
        Misframed::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Misframed::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Misframed::TooSlow => StatusCode::REQUEST_TIMEOUT,
    }
}

//! What headers say of the body (MCP 2026-07-28).

use http::{HeaderMap, HeaderName};

use super::body::Message;
use crate::pipeline::headers;
use crate::pipeline::session;

/// Whether they say the same. Servers of that era judge by either; older ones may, for all we know.
pub(super) fn agrees(headers: &HeaderMap, message: &Message) -> bool {
    // Of notifications the specification does not say that they need any.
    let must = message.is_request() && session::knows_no_sessions(headers);
    let method = match headers.get(&METHOD) {
        Some(said) => said.as_bytes() == message.method().as_bytes(),
        None => !must,
    };
    let name = match (headers.get(&NAME), message.mirrored()) {
        (Some(said), Some((name, _))) => headers::decode(said).is_some_and(|said| said == name),
        (None, Some((_, always))) => !(must && always),
        // It means nothing there.
        (_, None) => true,
    };
    method && name
}

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

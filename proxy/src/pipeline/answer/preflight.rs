//! What pages may send, told to the browsers that ask for them.

use http::response::Builder;
use http::{HeaderValue, header};

use super::readable;

/// At the metadata.
pub(super) fn of_metadata(reply: Builder, wanted: Option<HeaderValue>) -> Builder {
    let reply = readable(reply)
        .header(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS")
        .header(header::ACCESS_CONTROL_MAX_AGE, "7200")
        .header(header::VARY, "Access-Control-Request-Headers");
    match wanted {
        // Clients send MCP-Protocol-Version here, and may send others: none of them matters.
        Some(headers) => reply.header(header::ACCESS_CONTROL_ALLOW_HEADERS, headers),
        None => reply,
    }
}

/// At an endpoint. A `*` would not cover `Authorization`, so that all are named.
pub(super) fn of_endpoint(reply: Builder, asked: Option<&HeaderValue>) -> Builder {
    let asked = asked.and_then(|asked| asked.to_str().ok()).unwrap_or_default();
    // Parameters that a tool mirrors into headers have names of its own.
    let parameters = asked.split(',').map(str::trim).filter(|name| {
        let own =
            name.get(..PARAMETER.len()).is_some_and(|own| own.eq_ignore_ascii_case(PARAMETER));
        own && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    let allowed: Vec<&str> = ENDPOINT_HEADERS.into_iter().chain(parameters).collect();
    reply
        .header(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE, OPTIONS")
        .header(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed.join(", "))
        .header(header::ACCESS_CONTROL_MAX_AGE, "7200")
        .header(header::VARY, "Access-Control-Request-Headers")
}

const PARAMETER: &str = "mcp-param-";

/// What MCP clients send.
const ENDPOINT_HEADERS: [&str; 14] = [
    "Accept",
    "Authorization",
    "Content-Type",
    "DPoP",
    "Last-Event-ID",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
    "Mcp-Session-Id",
    "X-Correlation-ID",
    "X-Request-Id",
    "baggage",
    "traceparent",
    "tracestate",
];

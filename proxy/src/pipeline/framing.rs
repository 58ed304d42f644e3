//! Is this a request that every reader takes for the same one?

use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Version};

use super::session::{PROTOCOL_VERSION, SESSION_ID};
use crate::reason::Reason;

/// The largest request that is looked at.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Bytes in the target: path and query.
    pub target_bytes: usize,
    /// Bytes in the head.
    pub header_bytes: usize,
    /// Fields in the head.
    pub headers: usize,
    /// Bytes in the body, as far as it is announced.
    pub body_bytes: usize,
}

impl Bounds {
    /// Refuses what is malformed or too large, before anything else is asked of it.
    pub fn check_head(&self, request: &Parts) -> Result<(), Misframed> {
        let headers = &request.headers;
        if request.version < Version::HTTP_11 {
            return Err(Misframed::Version);
        }
        let bytes: usize =
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let target = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if target > self.target_bytes {
            return Err(Misframed::TargetTooLong);
        }
        if bytes + target > self.header_bytes || headers.len() > self.headers {
            return Err(Misframed::HeadTooLarge);
        }
        if request.version == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
            return Err(Misframed::Host);
        }
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        if let Some(coding) = codings.next() {
            let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
            if !chunked || codings.next().is_some() || headers.contains_key(CONTENT_LENGTH) {
                return Err(Misframed::Length);
            }
        }
        announced_length(headers).map(|_| ())
    }

    /// Refuses what the upstream should not get. Only callers that may pass are told so: a client
    /// that has no token yet must hear of that first, whatever else is wrong.
    pub fn check_content(&self, request: &Parts) -> Result<(), Misframed> {
        if request.method == Method::TRACE || request.method == Method::CONNECT {
            return Err(Misframed::Method);
        }
        let headers = &request.headers;
        // Few requests repeat any header at all.
        if headers.len() > headers.keys_len() && ROUTING.iter().any(|name| repeats(headers, name)) {
            return Err(Misframed::Repeated);
        }
        match announced_length(headers)? {
            Some(length) if length > self.body_bytes => Err(Misframed::BodyTooLarge),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether the bytes of a head name a `Content-Length`.
pub(crate) fn names_a_length(head: &[u8]) -> bool {
    let mut names =
        head.split(|&byte| byte == b'\n').filter_map(|line| line.split(|&b| b == b':').next());
    names.any(|name| name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str().as_bytes()))
}

/// Whether a line of a head ends without CR.
#[expect(
    clippy::naive_bytecount,
    reason = "the compiler makes it many bytes at once; heads are short"
)]
pub(crate) fn has_a_bare_line_end(head: &[u8]) -> bool {
    let ends = head.iter().filter(|&&byte| byte == b'\n').count();
    let pairs = head.iter().zip(head.iter().skip(1));
    ends != pairs.filter(|&(&one, &other)| one == b'\r' && other == b'\n').count()
}

/// Whether the client waits for leave before it sends its body.
pub(crate) fn waits_for_leave(headers: &HeaderMap) -> bool {
    headers.contains_key(EXPECT)
}

fn repeats(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().nth(1).is_some()
}

fn announced_length(headers: &HeaderMap) -> Result<Option<usize>, Misframed> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(None) };
    // Equal ones are legal, and a reader that takes the other line is still one too many.
    if lengths.next().is_some() {
        return Err(Misframed::Length);
    }
    let digits = length.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let digits = digits.filter(|text| !text.is_empty()).ok_or(Misframed::Length)?;
    // More digits than a number holds is larger than any bound.
    Ok(Some(digits.parse().unwrap_or(usize::MAX)))
}

/// What a request is about and which stream goes on: whoever reads the other line reads of another.
const ROUTING: [HeaderName; 5] = [
    SESSION_ID,
    PROTOCOL_VERSION,
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
    HeaderName::from_static("last-event-id"),
];

/// Why a request is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misframed {
    /// Neither HTTP/1.1 nor HTTP/2.
    #[error("only HTTP/1.1 and HTTP/2 are spoken here")]
    Version,
    /// None, or several.
    #[error("exactly one Host header is expected")]
    Host,
    /// `TRACE`, `CONNECT`.
    #[error("this method is not served")]
    Method,
    /// Where the body ends depends on the reader.
    #[error("the length of the body is given in more than one way")]
    Length,
    /// Path and query.
    #[error("the request target is too long")]
    TargetTooLong,
    /// Too many fields or bytes.
    #[error("the request head is too large")]
    HeadTooLarge,
    /// Announced or sent.
    #[error("the request body is too large")]
    BodyTooLarge,
    /// Another path than the one that was parsed would be forwarded.
    #[error("the request target is not valid")]
    Target,
    /// One of MCP's headers came twice.
    #[error(
        "Mcp-Session-Id, Mcp-Method, Mcp-Name, MCP-Protocol-Version and Last-Event-ID: once each"
    )]
    Repeated,
    /// It asks for a WebSocket as nobody would who knows how.
    #[error("this is no handshake for a WebSocket as RFC 6455 has it")]
    Handshake,
    /// Chunks that are none, or fields that contradict each other.
    #[error("the request is torn or contradicts itself")]
    Torn,
    /// The body came too slowly.
    #[error("the request took too long to arrive")]
    TooSlow,
}

impl Misframed {
    /// Its name wherever it is told of.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::Version => Reason::HttpVersion,
            Self::Host => Reason::BadHost,
            Self::Method => Reason::BadMethod,
            Self::Length => Reason::BadLength,
            Self::TargetTooLong => Reason::TargetTooLong,
            Self::HeadTooLarge => Reason::HeadTooLarge,
            Self::BodyTooLarge => Reason::BodyTooLarge,
            Self::Target => Reason::BadTarget,
            Self::Repeated => Reason::RepeatedHeader,
            Self::Handshake => Reason::BadHandshake,
            Self::Torn => Reason::Torn,
            Self::TooSlow => Reason::TooSlow,
        }
    }
}

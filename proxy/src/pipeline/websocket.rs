//! A request to go on as a WebSocket (RFC 6455), and the answer that only its reader can give.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use super::framing::Misframed;

/// The client's side of a handshake, which every reader takes for one.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// What a server says that has read the key.
    accept: String,
}

impl Handshake {
    /// None if no WebSocket is asked for.
    pub(super) fn read(request: &Parts) -> Result<Option<Self>, Misframed> {
        let headers = &request.headers;
        if !lists(headers, &UPGRADE, WEBSOCKET) {
            return Ok(None);
        }
        let has_body = headers.contains_key(TRANSFER_ENCODING)
            || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
        let is_whole = request.method == Method::GET
            && request.version == Version::HTTP_11
            && !has_body
            && says_websocket(headers)
            && lists(headers, &CONNECTION, "upgrade")
            && only(headers, &SEC_WEBSOCKET_VERSION).is_some_and(|version| version == VERSION);
        let key = only(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_whole && is_a_key(key));
        let key = key.ok_or(Misframed::Handshake)?;
        let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        digest.update(key.as_bytes());
        digest.update(KNOWN_TO_SERVERS);
        Ok(Some(Self { accept: STANDARD.encode(digest.finish()) }))
    }

    /// Whether who sent this head, with a 101, has read the handshake and goes on as a WebSocket.
    pub(crate) fn is_answered_by(&self, answer: &HeaderMap) -> bool {
        let accept = only(answer, &SEC_WEBSOCKET_ACCEPT);
        says_websocket(answer) && accept.is_some_and(|accept| accept == self.accept.as_str())
    }
}

/// Whether it belongs to a handshake, and passes upstream with one.
pub(super) fn is_of_a_handshake(name: &HeaderName) -> bool {
    [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_EXTENSIONS]
        .contains(name)
}

/// Says what the connection goes on as, and nothing of a body: there is none.
pub(crate) fn say_so(answer: &mut HeaderMap) {
    answer.remove(CONTENT_LENGTH);
    answer.remove(TRANSFER_ENCODING);
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
}

fn says_websocket(headers: &HeaderMap) -> bool {
    let said = only(headers, &UPGRADE);
    said.is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes()))
}

/// RFC 6455 section 4.1: sixteen bytes, in base64.
fn is_a_key(value: &HeaderValue) -> bool {
    STANDARD.decode(value).is_ok_and(|key| key.len() == 16)
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn lists(headers: &HeaderMap, name: &HeaderName, entry: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut entries = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    entries.any(|listed| listed.trim_ascii().eq_ignore_ascii_case(entry.as_bytes()))
}

const WEBSOCKET: &str = "websocket";
/// The only one there is.
pub(super) const VERSION: &str = "13";
/// RFC 6455 section 1.3.
const KNOWN_TO_SERVERS: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 section 1.2, in which one thing is spoilt.
    #[track_caller]
    fn read(spoil: impl FnOnce(&mut Parts)) -> Result<Option<Handshake>, Misframed> {
        let request = http::Request::get("/mcp")
            .header("upgrade", "WebSocket")
            .header("connection", "keep-alive, Upgrade")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-version", "13");
        let mut parts = request.body(()).unwrap().into_parts().0;
        spoil(&mut parts);
        Handshake::read(&parts)
    }

    #[track_caller]
    fn refuses(name: &'static str, value: Option<&'static str>) {
        let spoilt = read(|request| match value {
            Some(value) => drop(request.headers.insert(name, HeaderValue::from_static(value))),
            None => drop(request.headers.remove(name)),
        });
        assert_eq!(spoilt.unwrap_err(), Misframed::Handshake, "{name}: {value:?}");
        if value.is_some() && name.starts_with("sec-") {
            let twice = read(|request| {
                let same = request.headers.get(name).cloned().unwrap();
                request.headers.append(name, same);
            });
            assert_eq!(twice.unwrap_err(), Misframed::Handshake, "{name} twice");
        }
    }

    #[test]
    fn only_a_whole_handshake_is_one() {
        assert!(read(|_| ()).unwrap().is_some());
        refuses("upgrade", Some("websocket, h2c"));
        refuses("connection", Some("keep-alive"));
        refuses("connection", None);
        refuses("sec-websocket-version", Some("8"));
        refuses("sec-websocket-version", None);
        refuses("sec-websocket-key", Some("dGhlIHNhbXBsZSBub25jZQ"));
        refuses("sec-websocket-key", Some("dGhlIHNhbXBsZQ=="));
        refuses("sec-websocket-key", Some("not base64"));
        refuses("sec-websocket-key", None);
        refuses("content-length", Some("1"));
        refuses("transfer-encoding", Some("chunked"));
        assert!(read(|request| request.method = Method::POST).is_err());
        assert!(read(|request| request.version = Version::HTTP_2).is_err());
    }

    #[test]
    fn who_asks_for_something_else_asks_for_no_websocket() {
        for upgrade in ["h2c", "TLS/1.0", "websockets", "web socket"] {
            let value = HeaderValue::from_static(upgrade);
            let asked = read(|request| drop(request.headers.insert("upgrade", value)));
            assert!(asked.unwrap().is_none(), "{upgrade}");
        }
    }

    #[test]
    fn a_server_shows_that_it_has_read_the_key() {
        let handshake = read(|_| ()).unwrap().unwrap();
        let answered = |upgrade: &'static str, accept: &'static str| {
            let mut answer = HeaderMap::new();
            answer.insert(UPGRADE, HeaderValue::from_static(upgrade));
            answer.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(accept));
            handshake.is_answered_by(&answer)
        };
        assert!(answered("WebSocket", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(!answered("h2c", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(!answered("websocket", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO="));
        assert!(!handshake.is_answered_by(&HeaderMap::new()));
    }
}

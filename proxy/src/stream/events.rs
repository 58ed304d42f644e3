//! Where in a stream of events (`text/event-stream`) we are.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::edge::Connection;

/// Tells the connection whether the stream that it carries is between two events.
pub(crate) struct Events {
    connection: Arc<Connection>,
    /// The end of what was said.
    tail: [u8; 3],
}

impl Events {
    /// If this is the head of such a stream, and its body will be chunked.
    pub(crate) fn begin(
        status: StatusCode,
        headers: &HeaderMap,
        connection: &Arc<Connection>,
    ) -> Option<Self> {
        (are_events(status, headers) && headers.contains_key(TRANSFER_ENCODING)).then(|| {
            connection.begins_events();
            Self { connection: Arc::clone(connection), tail: *b".\n\n" }
        })
    }

    /// This comes next.
    pub(crate) fn says(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        for byte in piece.iter().skip(piece.len().saturating_sub(self.tail.len())) {
            self.tail.rotate_left(1);
            self.tail[2] = *byte;
        }
        self.connection.says_events(ends_event(&self.tail));
    }
}

/// Whether this is the head of a stream of events. Such a stream may end anywhere: its readers pass over
/// an event that is not whole, and come back for it.
pub(crate) fn are_events(status: StatusCode, headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.get(..EVENT_STREAM.len()).unwrap_or_default();
    status == StatusCode::OK
        && kind.eq_ignore_ascii_case(EVENT_STREAM)
        && !headers.contains_key(CONTENT_ENCODING)
}

impl Drop for Events {
    fn drop(&mut self) {
        self.connection.ends_events();
    }
}

/// Whether the last line is an empty one. Each may end in its own way.
fn ends_event(tail: &[u8]) -> bool {
    let line = tail.strip_suffix(b"\r\n").or_else(|| tail.strip_suffix(b"\n"));
    let line = line.or_else(|| tail.strip_suffix(b"\r"));
    line.is_some_and(|line| matches!(line.last(), Some(b'\r' | b'\n')))
}

const EVENT_STREAM: &[u8] = b"text/event-stream";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_ends_with_an_empty_line_however_its_lines_end() {
        for tail in ["a\n\n", "\r\r", "\n\r\n", "\r\n\n", "\r\n\r", "\r\r\n", "\n\r"] {
            assert!(ends_event(tail.as_bytes()), "{tail:?}");
        }
        for tail in ["", "abc", "a\n", "a\r", "a\r\n", "\n\na", "\r\na", "\n", "\r\n"] {
            assert!(!ends_event(tail.as_bytes()), "{tail:?}");
        }
    }
}

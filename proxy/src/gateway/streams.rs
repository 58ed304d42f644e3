//! Answers that go on until somebody ends them.

use std::sync::Arc;

use http::{Method, header};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use crate::exchange::Exchange;
use crate::stream::{Changes, Events, Watch};

/// Has a stream end with its token, and not be taken for dead while it is silent.
pub(super) fn begin(
    session: &Session,
    response: &ResponseHeader,
    exchange: &mut Exchange,
    changes: &Changes,
) -> Result<()> {
    // Of known length, it is an answer on its way.
    if response.status.is_informational() || response.headers.contains_key(header::CONTENT_LENGTH) {
        return Ok(());
    }
    let standing = exchange.permit()?.standing();
    if let Some(line) = exchange.line.take() {
        let snapshot = Arc::clone(&exchange.snapshot);
        exchange.watch = Some(Watch::start(snapshot, standing, line, changes.clone()));
    }
    // The frames of HTTP/2 are written where nothing can be put in between.
    if !session.is_http2() && session.req_header().method != Method::HEAD {
        let connection = exchange.connection.as_ref();
        exchange.events = connection
            .and_then(|connection| Events::begin(response.status, &response.headers, connection));
    }
    Ok(())
}

/// Notes where a stream of events stands.
pub(super) fn go_on(exchange: &mut Exchange, piece: Option<&[u8]>, end: bool) {
    if let (Some(events), Some(piece)) = (&mut exchange.events, piece) {
        events.says(piece);
    }
    if end {
        exchange.events = None;
    }
}

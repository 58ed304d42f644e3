//! Answers that go on until somebody ends them.

use std::sync::Arc;

use http::{Method, StatusCode, header};
use pingora_core::{ErrorType, OrErr as _, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::upgrade;
use crate::exchange::Exchange;
use crate::stream::{Cause, Changes, Events, Watch, are_events};

/// Has a stream end with its token, and not be taken for dead while it is silent.
pub(super) fn begin(
    session: &Session,
    response: &ResponseHeader,
    exchange: &mut Exchange,
    changes: &Changes,
) -> Result<()> {
    let standing = exchange.permit()?.standing();
    if let Some(line) = exchange.line.take() {
        let snapshot = Arc::clone(&exchange.snapshot);
        exchange.watch = Some(Watch::start(snapshot, standing, line, changes.clone()));
    }
    exchange.may_end = are_events(response.status, &response.headers);
    // The frames of HTTP/2 are written where nothing can be put in between.
    if !session.is_http2() {
        let connection = exchange.connection.as_ref();
        exchange.events = connection
            .and_then(|connection| Events::begin(response.status, &response.headers, connection));
    }
    Ok(())
}

/// Whether nobody knows how long the answer will be.
pub(super) fn is_one(session: &Session, response: &ResponseHeader) -> bool {
    let has_body = session.req_header().method != Method::HEAD
        && (!response.status.is_informational() || upgrade::is_wanted(response))
        && ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status);
    // Of known length, it is an answer on its way.
    has_body && !response.headers.contains_key(header::CONTENT_LENGTH)
}

/// Notes where a stream of events stands, and that it has ended.
pub(super) fn go_on(exchange: &mut Exchange, piece: Option<&[u8]>, end: bool) -> Result<()> {
    if let (Some(events), Some(piece)) = (&mut exchange.events, piece) {
        events.says(piece);
    }
    if !end {
        return Ok(());
    }
    exchange.events = None;
    exchange.open = None;
    // The last moment before pingora keeps the connection for others; after an error it does not.
    let ended = exchange.watch.as_ref().map_or(Ok(()), Watch::let_go);
    ended.or_err(ErrorType::InternalError, "the stream was being ended as it ended")
}

/// Has what cannot go on because we stop end as a whole stream does: the client shall come back, not
/// wonder what is missing. Anything but events must break off, so that nobody takes a part for the whole.
pub(super) async fn end_with_us(session: &mut Session, exchange: &mut Exchange) {
    let cause = exchange.watch.as_ref().and_then(Watch::ended);
    if cause != Some(Cause::Leaving) || !exchange.may_end {
        return;
    }
    exchange.events = None;
    let is_http2 = session.is_http2();
    let downstream = session.as_downstream_mut();
    // A client that is gone by now needs no end.
    if downstream.finish_body().await.is_ok() && !is_http2 {
        downstream.shutdown().await;
    }
}

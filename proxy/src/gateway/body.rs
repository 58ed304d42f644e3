//! A request's body: read before anything goes on, or on its way.

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use pingora_core::{Error, ErrorType, OrErr as _, Result};
use pingora_proxy::Session;

use super::place;
use crate::edge::{Body, Connection};
use crate::exchange::Exchange;
use crate::pipeline::answer::Answer;
use crate::pipeline::call::Garbled;
use crate::pipeline::framing::{self, Misframed};

/// All of it; or what to answer, if it is too large or never comes.
///
/// What has been read pingora forwards only from the buffer that it keeps for another try, and that
/// holds 64 KiB. [`go_on`] puts the whole body in the place of what comes out of it; so
/// something must be in it at the end, and never too much: it is turned on for the last part. Where
/// the end is, only the length says.
pub(super) async fn read(
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<Result<Bytes, Answer>> {
    let length = announced(session);
    if framing::waits_for_leave(&session.req_header().headers) {
        session.write_continue_response().await?;
    }
    let awaited = exchange.connection.as_ref().and_then(Connection::await_body);
    let mut body = BytesMut::with_capacity(length.unwrap_or(0).min(FIRST));
    loop {
        match length {
            Some(length) if length.saturating_sub(body.len()) > KEPT => (),
            Some(_) | None => session.as_mut().enable_retry_buffering(),
        }
        let part = match session.read_request_body().await {
            Ok(Some(part)) => part,
            // Whatever the reason, what pingora has not kept it would not send either.
            Ok(None) if !body.is_empty() && session.as_mut().get_retry_buffer().is_none() => {
                return Ok(Err(Answer::Internal));
            }
            Ok(None) => return Ok(Ok(body.freeze())),
            Err(error) if *error.etype() == ErrorType::ReadTimedout => {
                return Ok(Err(Answer::Misframed(Misframed::TooSlow)));
            }
            // Torn, or nobody is there any more.
            Err(error) => return Err(error.into_down()),
        };
        awaited.as_ref().inspect(|awaited| Body::moved(awaited));
        if let Err(why) = exchange.count_body(part.len()) {
            return Ok(Err(Answer::Misframed(why)));
        }
        body.extend_from_slice(&part);
        if session.as_mut().retry_buffer_truncated() {
            return Ok(Err(Answer::Unclear(Garbled::NoLength.into())));
        }
    }
}

/// The same where nothing of it goes on, and no more is wanted than a form or a short document.
pub(super) async fn read_small(
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<Result<Bytes, Answer>> {
    let too_large = || Ok(Err(Answer::Misframed(Misframed::BodyTooLarge)));
    if announced(session).is_some_and(|length| length > SMALL) {
        return too_large();
    }
    if framing::waits_for_leave(&session.req_header().headers) {
        session.write_continue_response().await?;
    }
    let awaited = exchange.connection.as_ref().and_then(Connection::await_body);
    let mut body = BytesMut::new();
    loop {
        let part = match session.read_request_body().await {
            Ok(Some(part)) => part,
            Ok(None) => return Ok(Ok(body.freeze())),
            Err(error) if *error.etype() == ErrorType::ReadTimedout => {
                return Ok(Err(Answer::Misframed(Misframed::TooSlow)));
            }
            Err(error) => return Err(error.into_down()),
        };
        awaited.as_ref().inspect(|awaited| Body::moved(awaited));
        if body.len() + part.len() > SMALL {
            return too_large();
        }
        body.extend_from_slice(&part);
    }
}

/// A part of a body on its way, or all of one that was read before.
pub(super) fn go_on(body: &mut Option<Bytes>, end: bool, exchange: &mut Exchange) -> Result<()> {
    place::goes_on(exchange);
    if let Some(read) = &exchange.body {
        *body = Some(read.clone());
        return Ok(());
    }
    if end {
        // HTTP/2 may end a body with an empty piece. pingora would write it as a chunk without a size,
        // which ends the body, and then end it once more: the next request on that connection would
        // begin with what is too much.
        *body = body.take().filter(|last| !last.is_empty());
    }
    exchange.awaited = exchange.awaited.take().filter(|_| !end).inspect(Body::moved);
    let bytes = body.as_ref().map_or(0, Bytes::len);
    if bytes > 0 && exchange.site()?.reads_calls() {
        // HTTP/2 announces no body that comes with another method than POST.
        return Error::e_explain(ErrorType::HTTPStatus(400), "a body that nobody has read");
    }
    exchange.count_body(bytes).or_err(ErrorType::HTTPStatus(413), "request body")
}

fn announced(session: &Session) -> Option<usize> {
    session.req_header().headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What pingora's buffer holds.
const KEPT: usize = 64 << 10;
/// No more is set aside before it comes.
const FIRST: usize = 64 << 10;
/// Forms and registrations are a few hundred bytes.
const SMALL: usize = 64 << 10;

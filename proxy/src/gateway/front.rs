//! Has the OAuth front answer.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use pingora_core::Result;
use pingora_proxy::Session;

use super::{body, now};
use crate::exchange::Exchange;
use crate::front::Caller;
use crate::pipeline::answer::Answer;
use crate::pipeline::front::Visit;

/// What it says to this request.
pub(super) async fn answer(
    session: &mut Session,
    exchange: &mut Exchange,
    visit: &Visit,
) -> Result<Answer> {
    let snapshot = Arc::clone(&exchange.snapshot);
    let Some(front) = &snapshot.front else { return Ok(Answer::Internal) };
    let body = if session.req_header().method == Method::POST {
        match body::read_small(session, exchange).await? {
            Ok(body) => body,
            Err(answer) => return Ok(answer),
        }
    } else {
        Bytes::new()
    };
    let caller = Caller { visit, request: session.req_header(), body: &body, now: now() };
    Ok(Answer::Front(Box::new(front.answer(caller).await)))
}

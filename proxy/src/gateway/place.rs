//! To which server a request goes, and what becomes of it where that fails.

use std::sync::Arc;

use pingora_core::protocols::Digest;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::Session;

use crate::exchange::Exchange;
use crate::pipeline::Decision;
use crate::pipeline::answer::Answer;
use crate::pipeline::authorize::Permit;
use crate::upstream::{Failure, Line, Patience, Unplaced};

/// What may pass gets a place at a server; or there is none.
pub(super) fn find(exchange: &mut Exchange, decision: Decision) -> Decision {
    let Decision::Forward(permit) = decision else { return decision };
    let Some(pool) = exchange.snapshot.pool(&permit) else {
        return Decision::Answer(Answer::Internal);
    };
    match pool.choose(permit.backend()) {
        Ok(hold) => {
            exchange.hold = Some(hold);
            Decision::Forward(permit)
        }
        Err(why) => Decision::Answer(refuse(why, permit)),
    }
}

fn refuse(why: Unplaced, permit: Permit) -> Answer {
    match why {
        Unplaced::Gone => Answer::session_gone(permit),
        Unplaced::Down => Answer::backend_down(permit),
        Unplaced::Full => Answer::backend_full(permit),
    }
}

/// There was no connection, so that nothing of the request has been sent: any may go elsewhere, unless its
/// session is there.
pub(super) fn not_connected(exchange: &mut Exchange, error: &mut Error) {
    let timed_out = *error.etype() == ErrorType::ConnectTimedout;
    let how = if timed_out { Failure::ConnectTimeout } else { Failure::Connect };
    if let Some(hold) = &exchange.hold {
        hold.backend().failed(how);
    }
    error.set_retry(elsewhere(exchange));
}

/// From now on an answer is waited for.
pub(super) fn connected(exchange: &mut Exchange, digest: Option<&Digest>) {
    exchange.line = Line::of(digest);
    let wait = exchange.pool().and_then(|pool| pool.answer_timeout());
    let line = exchange.line.as_ref().zip(wait);
    exchange.patience = line.map(|(line, wait)| Patience::begin(line, wait));
}

/// The request is still on its way.
pub(super) fn goes_on(exchange: &mut Exchange) {
    if let Some(patience) = &mut exchange.patience {
        patience.renew();
    }
}

/// One has begun.
pub(super) fn answered(exchange: &mut Exchange) -> Result<()> {
    exchange.backend()?.answered();
    exchange.patience.take().inspect(Patience::answered);
    Ok(())
}

/// The connection ended before the answer began. Only what may be done twice is sent again.
pub(super) fn broken(session: &Session, exchange: &mut Exchange, error: &mut Error, reused: bool) {
    let unanswered = !session.was_upgraded()
        && session.response_written().is_none_or(|head| head.status.is_informational());
    if !unanswered || *error.esource() != ErrorSource::Upstream || !is_of_connection(error) {
        error.set_retry(false);
        return;
    }
    let late = exchange.patience.take().is_some_and(|patience| patience.is_over());
    // A connection that was kept may have been closed while the request was on its way to it.
    if let Some(hold) = exchange.hold.as_ref().filter(|_| late || !reused) {
        let how = if late { Failure::AnswerTimeout } else { Failure::NoAnswer };
        hold.backend().failed(how);
    }
    if late {
        error.etype = ErrorType::ReadTimedout;
        error.set_retry(false);
        return;
    }
    let buffered = !session.as_ref().retry_buffer_truncated();
    let may_repeat = session.req_header().method.is_idempotent() && buffered;
    let again = may_repeat && (reused && here(exchange) || elsewhere(exchange));
    error.set_retry(again);
}

fn is_of_connection(error: &Error) -> bool {
    matches!(
        error.etype(),
        ErrorType::ConnectionClosed
            | ErrorType::ReadError
            | ErrorType::ReadTimedout
            | ErrorType::WriteError
            | ErrorType::WriteTimedout
    )
}

/// Once more at the same server, over another connection.
fn here(exchange: &mut Exchange) -> bool {
    let may = exchange.begin_again();
    if let Some(hold) = exchange.hold.as_ref().filter(|_| may) {
        hold.backend().passed_over();
    }
    may
}

/// Has the request go to a server that has not been tried, if there is one and its session is at none.
fn elsewhere(exchange: &mut Exchange) -> bool {
    let is_bound = exchange.permit().is_ok_and(|permit| permit.backend().is_some());
    let Some(pool) = exchange.pool().filter(|_| !is_bound).cloned() else { return false };
    let Some(hold) = exchange.hold.take() else { return false };
    exchange.tried.push(Arc::clone(hold.backend()));
    match pool.choose_again(&exchange.tried) {
        Ok(next) if exchange.begin_again() => {
            hold.backend().passed_over();
            exchange.hold = Some(next);
            true
        }
        Ok(_) | Err(_) => {
            exchange.hold = Some(hold);
            false
        }
    }
}

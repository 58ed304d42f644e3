//! What went wrong after the permit, and what the client is told of it.

use pingora_core::{Error, ErrorSource, ErrorType};
use pingora_proxy::{FailToProxy, Session};

use super::downstream;
use crate::exchange::Exchange;
use crate::pipeline::answer::Answer;
use crate::pipeline::call::Garbled;
use crate::pipeline::framing::Misframed;
use crate::upstream::untrusted;

/// Answers with what went wrong, unless the answer has begun.
pub(super) async fn tell(
    session: &mut Session,
    error: &Error,
    exchange: &mut Exchange,
) -> FailToProxy {
    let answer = answer(error, exchange);
    let mut error_code = 0;
    // A "100 Continue" is no answer yet; and what has become a WebSocket can be given none.
    let unanswered = !session.was_upgraded()
        && session.response_written().is_none_or(|head| head.status.is_informational());
    if let Some(answer) = answer.filter(|_| unanswered) {
        session.set_keepalive(None);
        // A client that is gone by now needs no answer.
        drop(downstream::answer(session, exchange, answer).await);
        error_code = session.response_written().map_or(0, |response| response.status.as_u16());
    }
    FailToProxy { error_code, can_reuse_downstream: false }
}

/// The answer to a failure, unless the client is gone.
fn answer(error: &Error, exchange: &Exchange) -> Option<Answer> {
    let kind = error.etype();
    let timed_out = matches!(
        kind,
        ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout
    );
    if *kind == ErrorType::HTTPStatus(413) {
        return Some(Answer::Misframed(Misframed::BodyTooLarge));
    }
    if *kind == ErrorType::HTTPStatus(400) {
        return Some(Answer::Unclear(Garbled::BodyWithoutCall.into()));
    }
    match error.esource() {
        ErrorSource::Upstream if is_out_of_reach(kind) && waits_for_its_own(exchange) => {
            Some(Answer::BackendDown(None))
        }
        ErrorSource::Upstream if untrusted(error).is_some() => {
            untrusted(error).map(Answer::Untrusted)
        }
        ErrorSource::Upstream if timed_out => Some(Answer::GatewayTimeout),
        ErrorSource::Upstream => Some(Answer::BadGateway),
        ErrorSource::Downstream if *kind == ErrorType::ReadTimedout => {
            Some(Answer::Misframed(Misframed::TooSlow))
        }
        ErrorSource::Downstream if is_gone(kind) => None,
        ErrorSource::Downstream => Some(Answer::Misframed(Misframed::Torn)),
        ErrorSource::Internal | ErrorSource::Unset => Some(Answer::Internal),
    }
}

/// Whether there was no connection.
fn is_out_of_reach(kind: &ErrorType) -> bool {
    matches!(kind, ErrorType::ConnectTimedout | ErrorType::ConnectRefused | ErrorType::ConnectError)
}

/// Whether there are others, but none that knows the request's session.
fn waits_for_its_own(exchange: &Exchange) -> bool {
    exchange.permit().is_ok_and(|permit| permit.backend().is_some())
        && exchange.pool().is_some_and(|pool| pool.backends().len() > 1)
}

/// Whether nobody is there to be answered.
fn is_gone(kind: &ErrorType) -> bool {
    matches!(
        kind,
        ErrorType::ConnectionClosed
            | ErrorType::ReadError
            | ErrorType::WriteError
            | ErrorType::WriteTimedout
            | ErrorType::H2Error
    )
}

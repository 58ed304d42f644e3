//! What went wrong after the permit, and what the client is told of it.

use pingora_core::{Error, ErrorSource, ErrorType};

use crate::pipeline::answer::Answer;
use crate::pipeline::call::Garbled;
use crate::pipeline::framing::Misframed;

/// The answer to a failure, unless the client is gone.
pub(super) fn answer(error: &Error) -> Option<Answer> {
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

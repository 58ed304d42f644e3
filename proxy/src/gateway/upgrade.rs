//! A connection that goes on as a WebSocket.

use http::StatusCode;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use crate::exchange::Exchange;
use crate::pipeline::websocket::Handshake;

/// Whether the upstream wants to go on in another protocol.
pub(super) fn is_wanted(response: &ResponseHeader) -> bool {
    response.status == StatusCode::SWITCHING_PROTOCOLS
}

/// Lets it, if that was asked for and permitted.
pub(super) fn begin(
    session: &mut Session,
    response: &ResponseHeader,
    exchange: &Exchange,
) -> Result<()> {
    let answers = |handshake: &Handshake| handshake.is_answered_by(&response.headers);
    if !exchange.permit()?.handshake().is_some_and(answers) {
        let error = Error::explain(ErrorType::InvalidHTTPHeader, "a switch that nobody asked for");
        return Err(error.into_up());
    }
    // Silence is no sign of anything from here on. Who has gone is noticed by TCP.
    session.set_read_timeout(None);
    Ok(())
}

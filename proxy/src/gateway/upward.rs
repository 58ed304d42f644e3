//! What the server behind us hears of a request.

use http::header::{ACCEPT_ENCODING, EXPECT};
use http::request::Parts;
use pingora_core::{ErrorType, OrErr as _, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::now;
use crate::exchange::Exchange;

pub(super) fn rewrite(
    session: &Session,
    request: &mut RequestHeader,
    exchange: &Exchange,
) -> Result<()> {
    let permit = exchange.permit()?;
    // Taken apart once: pingora keeps each name a second time, as it was spelt, and looks both
    // up at every change. Put together again, the target is the path that was judged.
    let blank = http::Request::new(()).into_parts().0;
    let mut parts = Parts::from(std::mem::replace(request, blank.into()));
    let (arrival, host) = (exchange.arrival()?, exchange.backend()?.host());
    exchange.site()?.relay().rewrite(&mut parts.headers, permit, arrival, host);
    exchange
        .site()?
        .vouch(&mut parts.headers, permit, arrival, now())
        .or_err(ErrorType::InternalError, "cannot sign for the upstream")?;
    if exchange.body.is_some() {
        // The client has had its leave.
        parts.headers.remove(EXPECT);
    }
    if exchange.site()?.cuts(permit, session.req_header()) {
        // What is to be read must not come compressed.
        parts.headers.remove(ACCEPT_ENCODING);
    }
    *request = parts.into();
    Ok(())
}

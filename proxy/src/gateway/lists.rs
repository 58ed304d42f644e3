//! Answers that hold lists, cut down to what their reader may use before it gets them.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG, TRANSFER_ENCODING};
use http::{HeaderName, Method};
use pingora_core::{Error, ErrorType, OrErr as _, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use crate::exchange::Exchange;
use crate::pipeline::call::Call;
use crate::pipeline::list::{Listing, Unreadable};
use crate::reason::Reason;

/// From the head of an answer: whether it is looked into. What cannot be read is not passed on.
pub(super) fn begin(
    session: &Session,
    response: &mut ResponseHeader,
    exchange: &mut Exchange,
) -> Result<()> {
    let request = session.req_header();
    if response.status.is_informational() || !exchange.site()?.cuts(exchange.permit()?, request) {
        return Ok(());
    }
    let answers_call = request.method != Method::GET;
    let most = exchange.snapshot.body_bytes;
    let listing = Listing::begin(response.status, &response.headers, answers_call, most);
    note(exchange, &listing);
    let listing = listing.or_err(ErrorType::InvalidHTTPHeader, "answer").map_err(Error::into_up)?;
    if listing.is_some() {
        // It will be of another length, and is another thing than what the server has.
        for name in [CONTENT_LENGTH, ETAG, DIGEST, CONTENT_DIGEST, REPR_DIGEST] {
            response.remove_header(&name);
        }
        response.insert_header(TRANSFER_ENCODING, "chunked")?;
    }
    exchange.listing = listing;
    Ok(())
}

/// The next piece of such an answer. One that cannot be read ends with an error in the place of its list.
pub(super) fn go_on(
    session: &Session,
    body: &mut Option<Bytes>,
    end: bool,
    exchange: &mut Exchange,
) -> Result<()> {
    let Some(mut listing) = exchange.listing.take() else { return Ok(()) };
    let (site, permit, channel) = (exchange.site()?, exchange.permit()?, exchange.channel());
    let piece = body.take().unwrap_or_default();
    // Before it fails, and forgets in which form it was.
    let id = permit.ruling().call().and_then(Call::id);
    let ours = listing.wrap(&Unreadable::message(id));
    let request = session.req_header();
    let passed = listing.pass(&piece, end, |message| site.cut(permit, request, &channel, message));
    note(exchange, &passed);
    *body = Some(passed.map_or_else(|Unreadable| Bytes::from(ours), Bytes::from));
    exchange.listing = Some(listing);
    Ok(())
}

fn note<T>(exchange: &mut Exchange, read: &Result<T, Unreadable>) {
    if read.is_err() {
        exchange.amiss = Some(Reason::BadList);
    }
}

const DIGEST: HeaderName = HeaderName::from_static("digest");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

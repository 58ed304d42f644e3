//! What pingora leaves to be looked after on the client's side: odd requests, and our own answers.

use std::time::Duration;

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LENGTH, WWW_AUTHENTICATE};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pingora_core::{Error, ErrorType, OrErr as _, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use tokio::time::timeout;

use crate::exchange::Exchange;
use crate::pipeline::answer::{Answer, DPOP_NONCE};
use crate::pipeline::authorize::Permit;
use crate::pipeline::framing::{self, Misframed};
use crate::pipeline::response;
use crate::pipeline::session::SESSION_ID;
use crate::pipeline::websocket;
use crate::reason::Reason;

/// What pingora has let through or tidied away before we could see it.
pub(super) fn misframed(session: &Session) -> Option<Misframed> {
    let request = session.req_header();
    // Not text: the path that is forwarded would not be the one that was judged.
    if !request.raw_path_is_utf8() || !names_a_path(request) {
        return Some(Misframed::Target);
    }
    if session.is_http2() {
        return None;
    }
    let head = session.to_h1_raw();
    // pingora takes a bare LF for the end of a line, as few others do.
    if framing::has_a_bare_line_end(&head) {
        return Some(Misframed::Torn);
    }
    // It drops Content-Length where Transfer-Encoding came too: only the bytes still tell.
    let chunked = request.headers.contains_key(http::header::TRANSFER_ENCODING);
    (chunked && framing::names_a_length(&head)).then_some(Misframed::Length)
}

/// A path, or a whole URL with a path in it (RFC 9112 section 3.2), which pingora has taken out. Of
/// anything else, and of a line with a blank too many, it makes the path `/`.
fn names_a_path(request: &RequestHeader) -> bool {
    let written = request.raw_path();
    let is_url = || {
        let scheme = written.split(|&byte| byte == b':').next().unwrap_or_default();
        [&b"http"[..], b"https"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
    };
    (written.starts_with(b"/") || is_url())
        && request.uri.path_and_query().is_some_and(|target| target.as_str().starts_with('/'))
}

/// Answering a request whose body has not been read costs the client its connection. Small bodies
/// are read, briefly; a client that waits for leave to send is told at once.
pub(super) async fn take_small_body(session: &mut Session) {
    if framing::waits_for_leave(&session.req_header().headers) {
        return;
    }
    let read = async {
        let mut left = SMALL_BODY;
        while let Ok(Some(chunk)) = session.read_request_body().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Too slow is as good as too large: the answer goes out, the connection closes.
    drop(timeout(DRAIN, read).await);
}

/// Replies in the upstream's place.
pub(super) async fn answer(
    session: &mut Session,
    exchange: &mut Exchange,
    answer: Answer,
) -> Result<()> {
    exchange.answered(&answer);
    let response = answer.into_response();
    let (mut parts, body) =
        response.or_err(ErrorType::InternalError, "building an answer")?.into_parts();
    parts.headers.insert(CONTENT_LENGTH, body.len().into());
    finish(&mut parts.headers, exchange);
    let head = ResponseHeader::from(parts);
    let only_head = session.req_header().method == http::Method::HEAD || body.is_empty();
    part(session, exchange);
    session.write_response_header(Box::new(head), only_head).await?;
    if !only_head {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// Has the client come back on another connection, if this one shall end.
pub(super) fn part(session: &mut Session, exchange: &Exchange) {
    if exchange.connection.as_ref().is_some_and(|connection| connection.is_ending()) {
        session.set_keepalive(None);
    }
}

/// Turns what the upstream says into what the client hears.
pub(super) fn pass_on(response: &mut ResponseHeader, exchange: &mut Exchange) -> Result<()> {
    let permit = exchange.permit()?;
    let phrase = phrase_of_its_own(response);
    // Taken apart once, as towards the upstream: pingora keeps each name a second time.
    let blank = http::Response::new(()).into_parts().0;
    let mut parts = Parts::from(std::mem::replace(response, blank.into()));
    let headers = &mut parts.headers;
    let challenge = exchange.site()?.refused_behind(permit, parts.status, headers);
    tidy(headers, parts.status);
    let amiss = challenge.is_some().then_some(Reason::TokenRefusedByBackend);
    headers.extend(challenge.map(|challenge| (WWW_AUTHENTICATE, challenge)));
    if let Some(nonce) = permit.nonce() {
        headers.insert(DPOP_NONCE, nonce.clone());
    }
    seal_session(headers, exchange, permit)?;
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        websocket::say_so(headers);
    }
    finish(headers, exchange);
    exchange.amiss = amiss;
    *response = parts.into();
    response.set_reason_phrase(phrase.as_deref())
}

/// What the upstream calls the status, if not by its usual name.
fn phrase_of_its_own(response: &ResponseHeader) -> Option<String> {
    let usual = response.status.canonical_reason();
    let phrase = response.get_reason_phrase();
    phrase.filter(|_| phrase != usual).map(str::to_owned)
}

/// Takes out of the upstream's answer what ends here.
fn tidy(headers: &mut HeaderMap, status: StatusCode) {
    let ending: Vec<HeaderName> =
        headers.keys().filter(|name| response::ends_here(name, status)).cloned().collect();
    for name in ending {
        headers.remove(name);
    }
}

/// Has the client hold a session by a name that is good for its caller alone.
fn seal_session(headers: &mut HeaderMap, exchange: &Exchange, permit: &Permit) -> Result<()> {
    let held = exchange.site()?.session(permit, headers, exchange.backend()?.tag());
    let held = held.or_err(ErrorType::InvalidHTTPHeader, "answer").map_err(Error::into_up)?;
    if let Some(held) = held {
        headers.insert(SESSION_ID, held);
    }
    Ok(())
}

/// What every answer gets, ours and the upstream's.
fn finish(headers: &mut HeaderMap, exchange: &Exchange) {
    if let Some(arrival) = &exchange.arrival {
        for (name, value) in arrival.trail.returned() {
            headers.insert(name, value.clone());
        }
    }
    for (name, value) in response::hardened(exchange.snapshot.pipeline.is_https_only()) {
        headers.entry(name).or_insert(value);
    }
    share(headers, exchange.page.as_ref());
}

/// Lets the page that asked read the answer.
fn share(headers: &mut HeaderMap, page: Option<&HeaderValue>) {
    // What is public says so itself.
    let Some(page) = page.filter(|_| !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN)) else {
        return;
    };
    for (name, value) in response::shared_with(page) {
        headers.append(name, value);
    }
}

/// How long a refused request may take to finish its body.
pub(super) const DRAIN: Duration = Duration::from_secs(1);
const SMALL_BODY: usize = 64 << 10;

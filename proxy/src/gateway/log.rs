//! The one line and the metrics of a request that is over.

use std::time::Instant;

use pingora_core::Error;
use pingora_proxy::Session;

use crate::exchange::Exchange;
use crate::pipeline::authorize::Ruling;
use crate::pipeline::call::Call;
use crate::pipeline::trail::Trail;
use crate::reason::Reason;
use crate::record::{Done, Outcome, Recorder};

pub(super) fn tell(
    session: &Session,
    error: Option<&Error>,
    exchange: &Exchange,
    recorder: &Recorder,
) {
    let outcome = exchange.outcome(error.is_some());
    let now = Instant::now();
    let took = now.saturating_duration_since(exchange.began);
    let principal = exchange.principal();
    let trail = exchange.arrival.as_ref().map(|arrival| &arrival.trail);
    let ruling = exchange.ruling();
    let call = ruling.and_then(Ruling::call);
    if let Some(rule) = ruling.and_then(Ruling::failed) {
        recorder.condition_failed(rule);
    }
    let request = session.req_header();
    let status = session.response_written().map_or(0, |response| response.status.as_u16());
    let site = exchange.protects(request);
    recorder.request(&Done {
        route: site.map_or_else(|| place(outcome), |site| site.resource().as_str()),
        status,
        outcome,
        took,
        added: exchange.added(now).filter(|_| outcome == Outcome::Forwarded),
        tool: site.zip(call).and_then(|(site, call)| site.counts_as(call)),
        trace_id: trail.and_then(Trail::trace_id),
    });
    tracing::info!(
        outcome = outcome.reason().code(),
        status,
        method = request.method.as_str(),
        path = request.uri.path(),
        issuer = principal.map(|principal| &*principal.issuer),
        subject = principal.map(|principal| &*principal.subject),
        client = principal.and_then(|principal| principal.client.as_deref()),
        call = call.map(Call::method),
        name = call.and_then(Call::name),
        rule = ruling.and_then(Ruling::rule),
        failed = ruling.and_then(Ruling::failed),
        shadow = ruling.and_then(Ruling::shadow),
        peer = session.client_addr().map(tracing::field::display),
        address = exchange.address_behind_peer().map(tracing::field::display),
        request_id = trail.map(Trail::request_id),
        correlation_id = trail.and_then(Trail::correlation_id),
        trace_id = trail.and_then(Trail::trace_id),
        milliseconds = took.as_secs_f64() * 1000.0,
        ended = outcome.why_ended().map(Reason::code),
        // As text, which is quoted: what others sent may be in it.
        error = error.map(ToString::to_string),
        "request"
    );
}

/// Where a request was that was for no resource.
fn place(outcome: Outcome) -> &'static str {
    let public = [Reason::Metadata, Reason::Landing, Reason::Health];
    let reason = outcome.reason();
    if public.contains(&reason) { reason.code() } else { "none" }
}

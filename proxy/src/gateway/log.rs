//! The one line and the metrics of a request that is over.

use std::time::Instant;

use pingora_core::Error;
use pingora_proxy::Session;

use super::now;
use crate::exchange::Exchange;
use crate::pipeline::authorize::Ruling;
use crate::pipeline::call::Call;
use crate::pipeline::trail::Trail;
use crate::reason::Reason;
use crate::record::{Done, Outcome, Recorder, Refusal, Short};

pub(super) fn tell(
    session: &Session,
    error: Option<&Error>,
    exchange: &Exchange,
    recorder: &Recorder,
) {
    let outcome = exchange.outcome(error.is_some());
    let end = Instant::now();
    let took = end.saturating_duration_since(exchange.began);
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
    let added = exchange.added(end).filter(|_| outcome == Outcome::Forwarded);
    if let Some(refusal) = refusal(session, exchange, outcome, status) {
        recorder.refused(refusal);
    }
    recorder.request(&Done {
        route: site.map_or_else(|| place(outcome), |site| site.resource().as_str()),
        status,
        outcome,
        took,
        added,
        tool: site.zip(call).and_then(|(site, call)| site.counts_as(call)),
        trace_id: trail.and_then(Trail::sampled_trace_id),
    });
    tracing::info!(
        outcome = outcome.reason().code(),
        security_event = outcome.reason().security_event(),
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
        bytes_in = session.as_downstream().body_bytes_read(),
        bytes_out = session.as_downstream().body_bytes_sent(),
        milliseconds = took.as_secs_f64() * 1000.0,
        added_milliseconds = added.map(|added| added.as_secs_f64() * 1000.0),
        ended = outcome.why_ended().map(Reason::code),
        // As text, which is quoted: what others sent may be in it.
        error = error.map(ToString::to_string),
        "request"
    );
}

/// What is remembered of one that was refused.
fn refusal(
    session: &Session,
    exchange: &Exchange,
    outcome: Outcome,
    status: u16,
) -> Option<Refusal> {
    let is_one = match outcome {
        Outcome::Answered(_) => status >= 400,
        Outcome::Ended(_) => true,
        Outcome::Forwarded | Outcome::Broken => false,
    };
    let request = is_one.then(|| session.req_header())?;
    let (principal, ruling) = (exchange.principal(), exchange.ruling());
    let call = ruling.and_then(Ruling::call);
    let arrival = exchange.arrival.as_ref();
    Some(Refusal {
        time: now(),
        reason: outcome.reason(),
        ended: outcome.why_ended(),
        status,
        method: Short::of(request.method.as_str()),
        path: Short::of(request.uri.path()),
        issuer: principal.map(|principal| Short::of(&principal.issuer)),
        subject: principal.map(|principal| Short::of(&principal.subject)),
        client: principal.and_then(|principal| principal.client.as_deref()).map(Short::of),
        call: call.map(|call| Short::of(call.method())),
        name: call.and_then(Call::name).map(Short::of),
        rule: ruling.and_then(Ruling::rule).map(Short::of),
        address: arrival.map(|arrival| arrival.address),
        request_id: arrival.map(|arrival| Short::of(arrival.trail.request_id())),
    })
}

/// Where a request was that was for no resource.
fn place(outcome: Outcome) -> &'static str {
    let public = [Reason::Metadata, Reason::Mirror, Reason::Landing, Reason::Health];
    let reason = outcome.reason();
    if public.contains(&reason) {
        return reason.code();
    }
    let is_of_front = reason.code().starts_with("login_")
        || [Reason::Front, Reason::FrontUnavailable].contains(&reason);
    if is_of_front { "front" } else { "none" }
}

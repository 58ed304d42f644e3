//! Tells of each decision on what is protected.

use http::request::Parts;
use pingora_proxy::Session;

use super::now;
use crate::audit::{Audit, Event, NotKept, Verdict};
use crate::exchange::Exchange;
use crate::pipeline::Decision;
use crate::pipeline::answer::Answer;
use crate::pipeline::authorize::Ruling;
use crate::pipeline::call::Call;
use crate::pipeline::token::Principal;
use crate::pipeline::trail::Trail;
use crate::reason::Reason;

/// What was decided; or no leave after all, where it has to be told and cannot be.
pub(super) fn tell(
    audit: &Audit,
    session: &Session,
    exchange: &Exchange,
    decision: Decision,
) -> Decision {
    if !audit.is_on() {
        return decision;
    }
    let answer = match decision {
        Decision::Forward(permit) => {
            let who = Some((permit.principal(), permit.ruling()));
            let what = What { verdict: Verdict::Permitted, reason: Reason::Forwarded, who };
            let Some(event) = event(audit, session, exchange, what) else {
                return Decision::Forward(permit);
            };
            match audit.permit(event) {
                Ok(()) => return Decision::Forward(permit),
                Err(NotKept) => Answer::unaudited(permit),
            }
        }
        Decision::Answer(answer) => answer,
        needs @ (Decision::NeedKey(_)
        | Decision::NeedIntrospection(_)
        | Decision::NeedBody
        | Decision::Front(_)) => {
            return needs;
        }
    };
    let (reason, who) = (answer.reason(), answer.refused());
    let event = event(audit, session, exchange, What { verdict: Verdict::Refused, reason, who });
    // A browser that asks whether it may has been told, and has done nothing yet.
    let event = event.filter(|_| reason != Reason::Preflight);
    if let Some(event) = event {
        audit.tell(event);
    }
    Decision::Answer(answer)
}

/// That a stream was ended together with its token. That we stop is no decision on anybody.
pub(super) fn tell_end(audit: &Audit, session: &Session, exchange: &Exchange) {
    let ended = exchange.outcome(false).why_ended();
    let Some(reason) = ended.filter(|why| audit.is_on() && *why != Reason::Stopping) else {
        return;
    };
    let who = exchange.principal().zip(exchange.ruling());
    let what = What { verdict: Verdict::Ended, reason, who };
    if let Some(event) = event(audit, session, exchange, what) {
        audit.tell(event);
    }
}

#[derive(Clone, Copy)]
struct What<'a> {
    verdict: Verdict,
    reason: Reason,
    who: Option<(&'a Principal, &'a Ruling)>,
}

/// None where nothing that is protected was asked for.
fn event(audit: &Audit, session: &Session, exchange: &Exchange, what: What<'_>) -> Option<Event> {
    let request: &Parts = session.req_header();
    let site = exchange.snapshot.pipeline.protects(request)?;
    let (principal, ruling) = what.who.unzip();
    let call = ruling.and_then(Ruling::call);
    let arrival = exchange.arrival.as_ref();
    let trail = arrival.map(|arrival| &arrival.trail);
    Some(Event {
        time: now(),
        verdict: what.verdict,
        code: what.reason.code(),
        security: what.reason.security_event(),
        issuer: principal.map(|principal| Box::from(&*principal.issuer)),
        subject: principal.map(|principal| principal.subject.clone()),
        client: principal.and_then(|principal| principal.client.clone()),
        resource: site.resource().as_str().into(),
        method: request.method.as_str().into(),
        path: request.uri.path().into(),
        call: call.map(|call| call.method().into()),
        name: call.and_then(Call::name).map(Box::from),
        arguments: audit.arguments(call.and_then(Call::arguments)),
        rule: ruling.and_then(Ruling::rule).map(Box::from),
        failed: ruling.and_then(Ruling::failed).map(Box::from),
        shadow: ruling.and_then(Ruling::shadow).map(Box::from),
        address: arrival.map(|arrival| arrival.address),
        request_id: trail.map(Trail::request_id).map(Box::from),
        trace_id: trail.and_then(Trail::trace_id).map(Box::from),
    })
}

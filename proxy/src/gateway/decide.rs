//! The one place where a request waits for what its decision needs.

use std::sync::Arc;
use std::time::Instant;

use pingora_core::Result;
use pingora_proxy::Session;

use super::{Gateway, body, front, now};
use crate::edge::Connection;
use crate::exchange::{Exchange, Stage};
use crate::pipeline::Decision;
use crate::pipeline::answer::Answer;
use crate::pipeline::authorize::Permit;
use crate::pipeline::known::Known;
use crate::refresh::Looked;

impl Gateway {
    /// From here on it is the upstream's.
    pub(super) fn let_pass(&self, session: &mut Session, exchange: &mut Exchange, permit: Permit) {
        let remembered = permit.remembered() && !exchange.verified;
        self.recorder.token(&permit.principal().issuer, permit.algorithm(), remembered);
        permit.ruling().shadow().inspect(|rule| self.recorder.shadow(rule));
        exchange.stage = Stage::Permitted(permit);
        if exchange.body.is_none() && !session.is_body_done() {
            exchange.awaited = exchange.connection.as_ref().and_then(Connection::await_body);
        }
    }

    /// Decides; and finds out what the decision needs, each thing once, until there is one.
    pub(super) async fn decide(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Decision> {
        let snapshot = Arc::clone(&exchange.snapshot);
        let mut known = Known::default();
        loop {
            let request = session.req_header();
            let decision =
                snapshot.pipeline.decide_knowing(request, &exchange.channel(), &known, now());
            match decision {
                Decision::NeedKey(key) => {
                    let from = Instant::now();
                    let looked = snapshot.issuers.look_again(key).await;
                    exchange.times.keys = Some((from, Instant::now()));
                    match looked {
                        Looked::Again => known.keys_are_new(),
                        Looked::InVain => return Ok(Decision::Answer(Answer::NoKeys)),
                    }
                }
                Decision::NeedIntrospection(inquiry) => {
                    let from = Instant::now();
                    let told = snapshot.issuers.ask(inquiry).await;
                    exchange.times.word = Some((from, Instant::now()));
                    match told {
                        Some(told) => known.token_is(told),
                        None => return Ok(Decision::Answer(Answer::NoIntrospection)),
                    }
                }
                Decision::NeedBody => {
                    let from = Instant::now();
                    let read = body::read(session, exchange).await?;
                    exchange.times.body = Some((from, Instant::now()));
                    match read {
                        Ok(body) => known.body_is(body),
                        Err(answer) => return Ok(Decision::Answer(answer)),
                    }
                }
                Decision::Front(visit) => {
                    let answer = front::answer(session, exchange, &visit).await?;
                    return Ok(Decision::Answer(answer));
                }
                Decision::Answer(_) => return Ok(decision),
                Decision::Forward(_) => {
                    exchange.verified = known.has_verified();
                    exchange.body = known.into_body();
                    return Ok(decision);
                }
            }
        }
    }
}

//! The way in: what a request passes one after the other, and what it hears where it ends.

use std::time::SystemTime;

use http::Method;
use http::header::ACCESS_CONTROL_REQUEST_METHOD;
use http::request::Parts;

use super::Site;
use crate::pipeline::answer::Answer;
use crate::pipeline::authenticate::{Recalled, Rejected, VerifiedToken};
use crate::pipeline::authorize::Refused;
use crate::pipeline::call::{Call, Unclear};
use crate::pipeline::channel::Channel;
use crate::pipeline::framing::{Bounds, Misframed};
use crate::pipeline::front::{Place, Readers, Visit};
use crate::pipeline::known::{Asked, Known};
use crate::pipeline::origin::ForeignOrigin;
use crate::pipeline::proof::{Proven, Sent, Unproven};
use crate::pipeline::token::{BearerToken, NoBearer, Scheme};
use crate::pipeline::websocket::Handshake;
use crate::pipeline::{Decision, asked_headers};

/// One request, and all that it is judged by.
#[derive(Clone, Copy)]
pub(in crate::pipeline) struct Case<'a> {
    pub(in crate::pipeline) request: &'a Parts,
    pub(in crate::pipeline) channel: &'a Channel<'a>,
    pub(in crate::pipeline) known: &'a Known,
    pub(in crate::pipeline) now: SystemTime,
}

impl Site {
    /// The only way to a [`Permit`](crate::pipeline::authorize::Permit).
    pub(in crate::pipeline) fn admit(&self, case: Case<'_>, bounds: &Bounds) -> Decision {
        let page = match self.doors.check_origin(case.request) {
            Ok(page) => page,
            Err(ForeignOrigin) => return Decision::Answer(Answer::ForeignOrigin),
        };
        // Browsers ask without a token, and a page that may not call has been turned away.
        if page.is_some() && is_preflight(case.request) {
            return Decision::Answer(Answer::Preflight(asked_headers(case.request)));
        }
        let proven = match self.authenticate(&case) {
            Ok(proven) => proven,
            Err(decision) => return self.refused(&case, decision),
        };
        let content = bounds.check_content(case.request);
        let handshake = match content.and_then(|()| self.read_handshake(case.request)) {
            Ok(handshake) => handshake,
            Err(why) => return Decision::Answer(Answer::Misframed(why)),
        };
        let call = match self.read_call(&case) {
            Ok(call) => call,
            Err(decision) => return decision,
        };
        let allowed = match self.policy.authorize(proven, call, case.request, case.channel) {
            Ok(allowed) => allowed,
            Err(refused) => return Decision::Answer(self.forbid(refused)),
        };
        let permit = match allowed.spend(&self.proofs, case.now) {
            Ok(permit) => permit,
            Err(why) => {
                return self.refused(&case, Decision::Answer(self.distrust(why, case.now)));
            }
        };
        let permit = match self.sessions.resume(permit, &case.request.headers) {
            Ok(permit) => permit,
            Err(unknown) => return Decision::Answer(Answer::UnknownSession(unknown)),
        };
        match self.limiter.count(permit.principal(), case.now) {
            Ok(place) => Decision::Forward(permit.placed(place).switching(handshake)),
            Err(spent) => {
                let spent = spent.said_to(&case.request.headers);
                Decision::Answer(Answer::Throttled(spent, Some(permit.forfeit())))
            }
        }
    }

    /// The request for a WebSocket, if it is one and there are any here.
    fn read_handshake(&self, request: &Parts) -> Result<Option<Handshake>, Misframed> {
        if self.websocket { Handshake::read(request) } else { Ok(None) }
    }

    /// What the OAuth front is asked: that is for whoever comes, with a token or without.
    pub(in crate::pipeline) fn receive(&self, case: Case<'_>, place: Place) -> Decision {
        let Case { request, channel, now, .. } = case;
        let is_foreign = self.doors.check_origin(request) == Err(ForeignOrigin);
        if place.readers() == Readers::Listed && is_foreign {
            return Decision::Answer(Answer::ForeignOrigin);
        }
        if request.method == Method::OPTIONS {
            let asked = asked_headers(request);
            return Decision::Answer(match place.readers() {
                Readers::Anybody => Answer::MetadataPreflight(asked),
                Readers::Listed => Answer::Preflight(asked),
            });
        }
        if place.is_limited()
            && let Err(spent) = self.limiter.count_visit(channel.address, now)
        {
            return Decision::Answer(Answer::Throttled(spent, None));
        }
        Decision::Front(Visit { place, origin: self.resource.origin().into() })
    }

    /// What the request calls, if that matters and it calls anything.
    fn read_call(&self, case: &Case<'_>) -> Result<Option<Call>, Decision> {
        if !self.policy.reads_calls() {
            return Ok(None);
        }
        let unclear = |why: Unclear| Decision::Answer(Answer::Unclear(why));
        if !Call::is_expected(case.request).map_err(|why| unclear(why.into()))? {
            return Ok(None);
        }
        match case.known.body() {
            Some(body) => Call::read(case.request, body).map(Some).map_err(unclear),
            None => Err(Decision::NeedBody),
        }
    }

    fn forbid(&self, Refused { who, wanted }: Refused) -> Answer {
        if wanted.is_empty() {
            return Answer::Denied(who);
        }
        Answer::InsufficientScope(self.challenges.insufficient_scope(&wanted), who)
    }

    /// Verify, then have it proven; else what to do instead.
    fn authenticate(&self, case: &Case<'_>) -> Result<Proven, Decision> {
        let Case { request, channel, known, now } = *case;
        let (scheme, token) = BearerToken::from_headers(&request.headers)
            .map_err(|why| Decision::Answer(self.ask_for_token(why)))?;
        let verified = match self.verify(token, case)? {
            Ok(verified) => verified,
            Err(Rejected::UnknownKey(key)) if matches!(known.asked(), Asked::Nobody) => {
                return Err(Decision::NeedKey(key));
            }
            Err(Rejected::Unasked) if !matches!(known.asked(), Asked::About(_)) => {
                return Err(Decision::NeedIntrospection(self.verifier.inquiry(token)));
            }
            Err(why) => return Err(Decision::Answer(self.reject(why, scheme))),
        };
        let sent = Sent { request, channel, scheme, token };
        let proven = self.proofs.prove(verified, &sent, now);
        proven.map_err(|why| Decision::Answer(self.distrust(why, now)))
    }

    /// A token that is known to have been good is taken from any source: one that fails too often may be the
    /// door of many. Others wait. What the issuer was asked for is judged in any case.
    fn verify(
        &self,
        token: BearerToken<'_>,
        case: &Case<'_>,
    ) -> Result<Result<VerifiedToken, Rejected>, Decision> {
        let Case { request, channel, known, now } = *case;
        if let Asked::About(told) = known.asked() {
            return Ok(self.verifier.learn(token, told, now));
        }
        let digest = token.digest();
        match (self.verifier.recall(digest, now), known.asked()) {
            (Recalled::Verdict(verdict), _) => return Ok(verdict),
            (Recalled::Nothing, Asked::Nobody) => {
                let room = self.limiter.check_failures(channel.address, now);
                let room = room.map_err(|spent| spent.said_to(&request.headers));
                room.map_err(|spent| Decision::Answer(Answer::Throttled(spent, None)))?;
            }
            (Recalled::Nothing | Recalled::ToHaveHeld, _) => (),
        }
        let verified = self.verifier.verify(token, digest, now);
        if verified.is_ok() {
            known.token_was_verified();
        }
        Ok(verified)
    }

    /// Counts against its source what did not hold.
    fn refused(&self, case: &Case<'_>, decision: Decision) -> Decision {
        if is_failure(&decision) {
            self.limiter.count_failure(case.channel.address, case.now);
        }
        decision
    }

    fn ask_for_token(&self, why: NoBearer) -> Answer {
        match why {
            NoBearer::Missing | NoBearer::OtherScheme => {
                Answer::NoCredentials(self.challenges.without_credentials())
            }
            NoBearer::Repeated | NoBearer::Malformed => {
                Answer::BadCredentials(self.challenges.invalid_request(
                    "send exactly one Authorization header with Bearer or DPoP and one token",
                ))
            }
        }
    }

    fn reject(&self, why: Rejected, scheme: Scheme) -> Answer {
        // Infrastructure trouble: a 401 would send every client into a new login.
        if why == Rejected::NoKeys {
            return Answer::NoKeys;
        }
        if why == Rejected::Unasked {
            return Answer::NoIntrospection;
        }
        Answer::InvalidToken(self.challenges.invalid_token(why, scheme), why)
    }

    fn distrust(&self, why: Unproven, now: SystemTime) -> Answer {
        // Ours is the trouble, not the proof.
        if why == Unproven::Full {
            return Answer::ProofsFull;
        }
        Answer::Unproven(self.challenges.unproven(why), why, self.proofs.nonce(now))
    }
}

/// Whether it speaks against the source. To come without a token, or without a nonce, is how every
/// client begins.
fn is_failure(decision: &Decision) -> bool {
    let Decision::Answer(answer) = decision else { return false };
    matches!(answer, Answer::BadCredentials(_) | Answer::InvalidToken(..))
        || matches!(answer, Answer::Unproven(_, why, _) if *why != Unproven::Nonce)
}

fn is_preflight(request: &Parts) -> bool {
    request.method == Method::OPTIONS && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

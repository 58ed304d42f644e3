//! One resource: its place, and the stages that guard it.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::ACCESS_CONTROL_REQUEST_METHOD;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;

use super::answer::Answer;
use super::assertion::{Assertions, Unsigned};
use super::authenticate::{Memory, Recalled, Rejected, Standing, VerifiedToken, Verifier};
use super::authorize::{Permit, Policy, Refused};
use super::call::{Call, Unclear};
use super::challenge::Challenges;
use super::channel::Channel;
use super::framing::Bounds;
use super::headers::Relay;
use super::known::{Asked, Known};
use super::limit::Limiter;
use super::list::Unreadable;
use super::metadata::Metadata;
use super::origin::{Doors, ForeignOrigin};
use super::proof::{Proofs, Proven, Sent, Unproven};
use super::session::{Sessions, Unsealable};
use super::token::{BearerToken, NoBearer, Scheme};
use super::trail::Arrival;
use super::{Cells, Decision, asked_headers};
use crate::config::{self, Resource, Rules, Upstream};

/// Everything that is one resource's own.
#[derive(Debug)]
pub struct Site {
    doors: Doors,
    resource: Resource,
    landing: Bytes,
    metadata: Metadata,
    challenges: Challenges,
    verifier: Verifier,
    proofs: Proofs,
    policy: Policy,
    sessions: Sessions,
    limiter: Limiter,
    relay: Relay,
    assertions: Option<Assertions>,
    upstream: Upstream,
}

/// One request, and all that it is judged by.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) request: &'a Parts,
    pub(super) channel: &'a Channel<'a>,
    pub(super) known: &'a Known,
    pub(super) now: SystemTime,
}

impl Site {
    /// `number` is its own among the pipeline's; `is_alone` if no other has its host.
    pub(super) fn new(
        number: usize,
        site: &config::Site,
        rules: &Rules,
        cells: &Cells,
        is_alone: bool,
    ) -> Self {
        let metadata = Metadata::new(site, rules, is_alone);
        Self {
            doors: Doors::new(site),
            resource: site.resource.clone(),
            landing: landing(site, &metadata),
            challenges: Challenges::new(metadata.url(), &site.scopes, &rules.dpop),
            metadata,
            verifier: Verifier::new(site, rules, cells),
            proofs: Proofs::new(site, &rules.dpop, Arc::clone(&cells.ledger)),
            limiter: Limiter::new(&site.resource, &rules.rates, Arc::clone(&cells.ledger)),
            policy: Policy::new(number, site),
            sessions: Sessions::new(&site.resource, &rules.session_keys, cells.ledger.secret()),
            relay: Relay::new(site),
            assertions: Assertions::new(site, rules, cells.ledger.secret()),
            upstream: site.upstream.clone(),
        }
    }

    /// Whether it goes by this name.
    pub(super) fn is_at(&self, host: &str) -> bool {
        self.doors.are_at(host)
    }

    /// Whether a client that named this host when TLS began may mean it: TLS knows no ports.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.doors.are_named(name)
    }

    /// The path at which, and below which, everything needs a token.
    pub(super) fn endpoint(&self) -> &str {
        self.resource.path()
    }

    /// What is protected, as clients name it.
    pub(crate) fn resource(&self) -> &Resource {
        &self.resource
    }

    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(super) fn landing(&self) -> Bytes {
        self.landing.clone()
    }

    /// What to tell the upstream.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Signs what the upstream is told, if it wants that; after all else has been said.
    pub(crate) fn vouch(
        &self,
        headers: &mut HeaderMap,
        permit: &Permit,
        arrival: &Arrival,
        now: SystemTime,
    ) -> Result<(), Unsigned> {
        let Some(assertions) = &self.assertions else { return Ok(()) };
        assertions.vouch(headers, permit, arrival, now)
    }

    pub(super) fn assertion_keys(&self, now: SystemTime) -> Option<serde_json::Value> {
        self.assertions.as_ref()?.published(now)
    }

    /// Where permitted requests go.
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// What the permit's caller gets to hold instead of the session id in the upstream's answer.
    pub(crate) fn session(
        &self,
        permit: &Permit,
        answer: &HeaderMap,
    ) -> Result<Option<HeaderValue>, Unsealable> {
        self.sessions.hold(answer, permit.principal())
    }

    /// Whether anything depends on what a request calls.
    pub(crate) fn reads_calls(&self) -> bool {
        self.policy.reads_calls()
    }

    /// Whether the answer to what this permits must be cut down to what its reader may use.
    pub(crate) fn cuts(&self, permit: &Permit, request: &Parts) -> bool {
        self.policy.cuts(permit, &request.method)
    }

    /// One message of such an answer, cut down; none if it stays as it is.
    pub(crate) fn cut(
        &self,
        permit: &Permit,
        request: &Parts,
        channel: &Channel<'_>,
        message: &str,
    ) -> Result<Option<String>, Unreadable> {
        self.policy.cut(permit, request, channel, message)
    }

    pub(super) fn memory(&self) -> Memory {
        self.verifier.memory()
    }

    pub(super) fn recheck(&self, standing: &Standing, now: SystemTime) -> Result<(), Rejected> {
        self.verifier.recheck(standing, now)
    }

    /// The page that may read the answer, if a page sent the request.
    pub(super) fn page(&self, request: &Parts) -> Option<HeaderValue> {
        self.doors.check_origin(request).ok().flatten().cloned()
    }

    /// The only way to a [`Permit`].
    pub(super) fn admit(&self, case: Case<'_>, bounds: &Bounds) -> Decision {
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
        if let Err(why) = bounds.check_content(case.request) {
            return Decision::Answer(Answer::Misframed(why));
        }
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
            Ok(place) => Decision::Forward(permit.placed(place)),
            Err(spent) => {
                let spent = spent.said_to(&case.request.headers);
                Decision::Answer(Answer::Throttled(spent, Some(permit.forfeit())))
            }
        }
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
        Ok(self.verifier.verify(token, digest, now))
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

fn landing(site: &config::Site, metadata: &Metadata) -> Bytes {
    let document = json!({
        "name": site.name.as_deref().unwrap_or("postern"),
        "gateway": "postern",
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": {
            "mcp": site.resource.as_str(),
            "protected_resource_metadata": metadata.url(),
            "health": format!("{}/healthz", site.resource.origin()),
        },
    });
    document.to_string().into()
}

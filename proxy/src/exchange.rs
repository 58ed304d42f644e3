//! What we remember about one request while pingora drives it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;
use http::request::Parts;
use pingora_core::{Error, ErrorType, OkOrErr as _, Result};

use crate::edge::{Body, Connection};
use crate::pipeline::Site;
use crate::pipeline::answer::Answer;
use crate::pipeline::authorize::{Permit, Ruling};
use crate::pipeline::channel::Channel;
use crate::pipeline::framing::Misframed;
use crate::pipeline::list::Listing;
use crate::pipeline::token::Principal;
use crate::pipeline::trail::Arrival;
use crate::reason::Reason;
use crate::record::{OpenStream, Outcome};
use crate::snapshot::Snapshot;
use crate::stream::{Events, Watch};
use crate::upstream::{Backend, Hold, Line, Patience, Pool};

/// One request, start to finish, under one snapshot.
pub(crate) struct Exchange {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) began: Instant,
    pub(crate) stage: Stage,
    pub(crate) connection: Option<Arc<Connection>>,
    pub(crate) arrival: Option<Arrival>,
    pub(crate) awaited: Option<Body>,
    /// The page that may read the answer.
    pub(crate) page: Option<HeaderValue>,
    /// Its place at the server that it goes to.
    pub(crate) hold: Option<Hold>,
    /// Where it has been in vain.
    pub(crate) tried: Vec<Arc<Backend>>,
    tries: u8,
    /// Until an answer begins.
    pub(crate) patience: Option<Patience>,
    pub(crate) line: Option<Arc<Line>>,
    pub(crate) watch: Option<Watch>,
    /// Counts it among the streams, if its answer is one.
    pub(crate) open: Option<OpenStream>,
    pub(crate) times: Times,
    /// Whether its token was verified for it, and not for one before.
    pub(crate) verified: bool,
    /// If it is a stream of events that is answered with.
    pub(crate) events: Option<Events>,
    /// Whether what is answered is whole wherever it ends.
    pub(crate) may_end: bool,
    /// The body, if it had to be read before it could go on.
    pub(crate) body: Option<Bytes>,
    /// If the answer holds lists that are cut.
    pub(crate) listing: Option<Listing>,
    /// How many heads came before the answer's.
    early_heads: u8,
    /// What was amiss with an answer that was passed on.
    pub(crate) amiss: Option<Reason>,
    body_bytes: usize,
}

/// What the time of a request was spent on, as far as others had their turn.
#[derive(Clone, Copy, Default)]
pub(crate) struct Times {
    /// When it was decided what becomes of it.
    pub(crate) decided: Option<Instant>,
    /// From when until when an issuer's keys were waited for, an issuer's word, and the body.
    pub(crate) keys: Option<(Instant, Instant)>,
    pub(crate) word: Option<(Instant, Instant)>,
    pub(crate) body: Option<(Instant, Instant)>,
    /// When the upstream was turned to first.
    pub(crate) asked: Option<Instant>,
    /// When it last had something to say: its answer's head, then the end of that.
    pub(crate) said: Option<Instant>,
}

/// How far the request got.
pub(crate) enum Stage {
    Received,
    /// By us; to somebody known, if the token was good and the answer no.
    Answered(Reason, Option<(Principal, Ruling)>),
    Permitted(Permit),
    /// Permitted, but then nothing came back from the upstream that we could pass on.
    Failed(Permit, Reason),
}

impl Exchange {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            began: Instant::now(),
            stage: Stage::Received,
            connection: None,
            arrival: None,
            awaited: None,
            page: None,
            hold: None,
            tried: Vec::new(),
            tries: 0,
            patience: None,
            line: None,
            watch: None,
            open: None,
            times: Times::default(),
            verified: false,
            events: None,
            may_end: false,
            body: None,
            listing: None,
            early_heads: 0,
            amiss: None,
            body_bytes: 0,
        }
    }

    /// What is known of the connection.
    pub(crate) fn channel(&self) -> Channel<'_> {
        let Some(connection) = &self.connection else { return Channel::default() };
        Channel {
            certificate: connection.certificate(),
            server_name: connection.server_name(),
            address: self.arrival.as_ref().map_or(connection.caller().peer, |from| from.address),
        }
    }

    /// The client's address, where it is not the connection's other end.
    pub(crate) fn address_behind_peer(&self) -> Option<IpAddr> {
        let peer = self.connection.as_ref()?.caller().peer;
        self.arrival.as_ref().map(|arrival| arrival.address).filter(|address| *address != peer)
    }

    /// No permit, no upstream: every later phase must ask here.
    pub(crate) fn permit(&self) -> Result<&Permit> {
        match &self.stage {
            Stage::Permitted(permit) => Ok(permit),
            Stage::Received | Stage::Answered(..) | Stage::Failed(..) => {
                Error::e_explain(ErrorType::HTTPStatus(500), "request reached upstream unpermitted")
            }
        }
    }

    /// Where the request came from.
    pub(crate) fn arrival(&self) -> Result<&Arrival> {
        self.arrival.as_ref().or_err(ErrorType::HTTPStatus(500), "a request from nowhere")
    }

    /// What the permit is for.
    pub(crate) fn site(&self) -> Result<&Site> {
        let site = self.snapshot.pipeline.site(self.permit()?);
        site.or_err(ErrorType::HTTPStatus(500), "a permit for no site")
    }

    /// The servers it may go to.
    pub(crate) fn pool(&self) -> Option<&Arc<Pool>> {
        self.snapshot.pool(self.permit().ok()?)
    }

    /// The server that it goes to.
    pub(crate) fn backend(&self) -> Result<&Arc<Backend>> {
        let hold = self.hold.as_ref().or_err(ErrorType::HTTPStatus(500), "a request to nowhere")?;
        Ok(hold.backend())
    }

    /// Has it sent once more, unless it was often enough.
    pub(crate) fn begin_again(&mut self) -> bool {
        self.tries = self.tries.saturating_add(1);
        self.body_bytes = 0;
        self.tries < MOST_TRIES
    }

    /// Counts what the client sends, up to what it may.
    pub(crate) fn count_body(&mut self, bytes: usize) -> Result<(), Misframed> {
        self.body_bytes = self.body_bytes.saturating_add(bytes);
        if self.body_bytes > self.snapshot.body_bytes {
            return Err(Misframed::BodyTooLarge);
        }
        Ok(())
    }

    /// Counts what the upstream says before its answer, up to more than any sound one has to say.
    pub(crate) fn count_early_head(&mut self) -> Result<()> {
        self.early_heads = self.early_heads.saturating_add(1);
        if self.early_heads > MOST_EARLY_HEADS {
            let error = Error::explain(ErrorType::InvalidHTTPHeader, "an answer that never begins");
            return Err(error.into_up());
        }
        Ok(())
    }

    /// Notes the answer that took the upstream's place.
    pub(crate) fn answered(&mut self, answer: &Answer) {
        let reason = answer.reason();
        self.stage = match std::mem::replace(&mut self.stage, Stage::Received) {
            Stage::Permitted(permit) | Stage::Failed(permit, _) => Stage::Failed(permit, reason),
            Stage::Received | Stage::Answered(..) => {
                let refused = answer.refused();
                Stage::Answered(reason, refused.map(|(who, why)| (who.clone(), why.clone())))
            }
        };
    }

    pub(crate) fn outcome(&self, failed: bool) -> Outcome {
        if let Some(why) = self.watch.as_ref().and_then(Watch::ended) {
            return Outcome::Ended(why.reason());
        }
        if let Some(reason) = self.amiss {
            return Outcome::Answered(reason);
        }
        match &self.stage {
            Stage::Answered(reason, _) | Stage::Failed(_, reason) => Outcome::Answered(*reason),
            Stage::Permitted(_) if failed => Outcome::Broken,
            Stage::Permitted(_) => Outcome::Forwarded,
            Stage::Received => Outcome::Broken,
        }
    }

    /// Notes what the upstream says, where that is the head of its answer or the end.
    pub(crate) fn upstream_spoke(&mut self, counts: bool) {
        if counts {
            self.times.said = Some(Instant::now());
        }
    }

    /// How long it has been here so far, without the time that was the upstream's; if that has answered.
    pub(crate) fn added(&self, now: Instant) -> Option<Duration> {
        let (asked, said) = self.times.asked.zip(self.times.said)?;
        let before = asked.saturating_duration_since(self.began);
        Some(before + now.saturating_duration_since(said))
    }

    /// What the request is for, if that is protected.
    pub(crate) fn protects(&self, request: &Parts) -> Option<&Site> {
        match &self.stage {
            Stage::Permitted(permit) | Stage::Failed(permit, _) => {
                self.snapshot.pipeline.site(permit)
            }
            Stage::Received | Stage::Answered(..) => self.snapshot.pipeline.protects(request),
        }
    }

    /// Who called, as far as a good token says.
    pub(crate) fn principal(&self) -> Option<&Principal> {
        match &self.stage {
            Stage::Permitted(permit) | Stage::Failed(permit, _) => Some(permit.principal()),
            Stage::Answered(_, refused) => refused.as_ref().map(|(who, _)| who),
            Stage::Received => None,
        }
    }

    /// What the policy said, as far as it was asked.
    pub(crate) fn ruling(&self) -> Option<&Ruling> {
        match &self.stage {
            Stage::Permitted(permit) | Stage::Failed(permit, _) => Some(permit.ruling()),
            Stage::Answered(_, refused) => refused.as_ref().map(|(_, why)| why),
            Stage::Received => None,
        }
    }
}

const MOST_EARLY_HEADS: u8 = 100;
/// To more servers no request is sent: who is told of trouble soon can do something about it.
const MOST_TRIES: u8 = 3;

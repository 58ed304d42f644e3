//! How often, and how many at once: failures of a source, requests of a caller.

mod buckets;
mod mark;
mod places;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode};

use super::proof::Ledger;
use super::token::Principal;
use crate::config::{Rate, Rates, Resource};
use crate::reason::Reason;
use buckets::Buckets;
use mark::{Mark, Marker, Source, Whose};
pub(super) use places::Place;
use places::Places;

/// What has been used up, by whom. Strangers can add sources but no callers, so these are kept apart.
#[derive(Default)]
pub(super) struct Usage {
    marker: Marker,
    sources: Buckets,
    callers: Buckets,
    places: Places,
}

/// One resource's limits.
pub(super) struct Limiter {
    site: Mark,
    rates: Rates,
    ledger: Arc<Ledger>,
}

impl Limiter {
    pub(super) fn new(resource: &Resource, rates: &Rates, ledger: Arc<Ledger>) -> Self {
        let site = ledger.usage.marker.mark(&Whose::Site(resource.as_str()));
        Self { site, rates: rates.clone(), ledger }
    }

    /// Whether a token of this source, of which nothing is known, is to be looked at now.
    pub(super) fn check_failures(&self, source: IpAddr, now: SystemTime) -> Result<(), Spent> {
        let Some(rate) = self.rates.failed_authentication else { return Ok(()) };
        let usage = &self.ledger.usage;
        let room = usage.sources.check(self.source(source), rate, since_epoch(now));
        room.map_err(|wait| Spent::new(What::Failures, Quota::Rate(rate, wait)))
    }

    /// Counts a token or a proof that did not hold.
    pub(super) fn count_failure(&self, source: IpAddr, now: SystemTime) {
        let Some(rate) = self.rates.failed_authentication else { return };
        let usage = &self.ledger.usage;
        // One that fails when nothing is left has been let in before, and is not owed for.
        usage.sources.take(self.source(source), rate, since_epoch(now)).unwrap_or_default();
    }

    /// Counts a visit to the OAuth front, each of which may make us ask somebody else.
    pub(super) fn count_visit(&self, source: IpAddr, now: SystemTime) -> Result<(), Spent> {
        let Some(rate) = self.rates.visits else { return Ok(()) };
        let usage = &self.ledger.usage;
        let mark = usage.marker.mark(&Whose::Visitor(Source::of(source)));
        let taken = usage.sources.take(mark, rate, since_epoch(now));
        taken.map_err(|wait| Spent::new(What::Visits, Quota::Rate(rate, wait)))
    }

    /// Counts a request that may pass, and gives it a place for as long as it is open. What its answer
    /// will be is not known yet, and any may be a stream: all that are open count.
    pub(super) fn count(
        &self,
        caller: &Principal,
        now: SystemTime,
    ) -> Result<Option<Place>, Spent> {
        let rates = &self.rates;
        let (usage, site, issuer) = (&self.ledger.usage, self.site, &*caller.issuer);
        let principal =
            || usage.marker.mark(&Whose::Principal { site, issuer, subject: &caller.subject });
        let place = match rates.streams_per_principal {
            Some(most) => Some(
                usage
                    .places
                    .take(principal(), most)
                    .ok_or(Spent::new(What::Streams, Quota::AtOnce(most)))?,
            ),
            None => None,
        };
        let take = |mark: Mark, rate: Rate, what| {
            let taken = usage.callers.take(mark, rate, since_epoch(now));
            taken.map_err(|wait| Spent::new(what, Quota::Rate(rate, wait)))
        };
        // The principal first: whoever is refused for their own sake uses up nothing that they share.
        if let Some(rate) = rates.requests_per_principal {
            take(principal(), rate, What::PrincipalRequests)?;
        }
        if let (Some(rate), Some(client)) = (rates.requests_per_client, &caller.client) {
            let client = usage.marker.mark(&Whose::Client { site, issuer, client });
            take(client, rate, What::ClientRequests)?;
        }
        Ok(place)
    }

    fn source(&self, source: IpAddr) -> Mark {
        self.ledger.usage.marker.mark(&Whose::Source(Source::of(source)))
    }
}

/// Nothing is left, for now.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{}", .what.words())]
pub struct Spent {
    what: What,
    quota: Quota,
    status: StatusCode,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Failures,
    Visits,
    PrincipalRequests,
    ClientRequests,
    Streams,
}

/// How much there is; and, of a rate, how long until there is some again.
#[derive(Clone, Copy, Debug)]
enum Quota {
    Rate(Rate, Duration),
    AtOnce(u32),
}

impl Spent {
    fn new(what: What, quota: Quota) -> Self {
        Self { what, quota, status: StatusCode::TOO_MANY_REQUESTS }
    }

    /// As it is said to the sender of this head. Who finds out which MCP is spoken here takes a 429 for
    /// the word of an old server, and speaks the old one from then on.
    pub(super) fn said_to(self, head: &HeaderMap) -> Self {
        let finds_out = head.get(METHOD).is_some_and(|method| method == DISCOVER);
        let status = if finds_out { StatusCode::SERVICE_UNAVAILABLE } else { self.status };
        Self { status, ..self }
    }

    pub(super) fn status(self) -> StatusCode {
        self.status
    }

    /// Its name wherever it is told of.
    pub(super) fn reason(self) -> Reason {
        match self.what {
            What::Failures => Reason::TooManyFailures,
            What::Visits | What::PrincipalRequests | What::ClientRequests => {
                Reason::TooManyRequests
            }
            What::Streams => Reason::TooManyStreams,
        }
    }

    /// `Retry-After`: whole seconds, and never so early that it would be in vain.
    pub(super) fn retry_after(self) -> u64 {
        match self.quota {
            Quota::Rate(_, wait) => wait.as_secs() + u64::from(wait.subsec_nanos() > 0),
            Quota::AtOnce(_) => SOME_END,
        }
    }

    /// `RateLimit-Policy`, as draft-ietf-httpapi-ratelimit-headers has it.
    pub(super) fn policy(self) -> String {
        let name = self.what.name();
        match self.quota {
            Quota::Rate(rate, _) => {
                format!("\"{name}\";q={};w={}", rate.count, rate.window.as_secs())
            }
            Quota::AtOnce(most) => format!("\"{name}\";q={most};qu=\"concurrent-requests\""),
        }
    }

    /// `RateLimit`, likewise.
    pub(super) fn state(self) -> String {
        format!("\"{}\";r=0;t={}", self.what.name(), self.retry_after())
    }
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Failures => "failed-authentication",
            Self::Visits => "oauth",
            Self::PrincipalRequests => "principal",
            Self::ClientRequests => "client",
            Self::Streams => "streams",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Failures => "too many tokens from this address were refused; try again later",
            Self::Visits => "too many requests from this address; try again later",
            Self::PrincipalRequests => "too many requests of this user; try again later",
            Self::ClientRequests => "too many requests of this client; try again later",
            Self::Streams => "too many requests of this user are open at once; end some first",
        }
    }
}

fn since_epoch(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limiter").field(&self.rates).finish()
    }
}

/// MCP 2026-07-28: how a client begins that does not know yet which MCP the server speaks.
const METHOD: &str = "mcp-method";
const DISCOVER: &str = "server/discover";

/// In seconds: most requests are over by then.
const SOME_END: u64 = 5;

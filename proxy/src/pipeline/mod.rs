//! What to do with a request. Pure: no I/O, no clock, no framework.

pub mod address;
pub mod answer;
pub(crate) mod assertion;
pub mod authenticate;
pub mod authorize;
pub mod call;
pub mod challenge;
pub mod channel;
pub(crate) mod claims;
pub mod framing;
pub mod front;
pub mod headers;
pub(crate) mod identity;
mod jose;
mod json;
pub mod known;
pub mod limit;
pub(crate) mod list;
mod material;
mod metadata;
mod origin;
pub(crate) mod plain;
pub mod proof;
pub(crate) mod response;
pub mod revocation;
mod route;
pub mod session;
mod site;
pub mod token;
pub mod trail;
pub(crate) mod websocket;

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN};
use http::request::Parts;

use crate::config::{self, Rules, Upstream};
use crate::keys::Keyring;
use answer::Answer;
use authenticate::{Memory, Rejected, Standing, UnknownKey};
use authorize::Permit;
use channel::Channel;
use framing::Bounds;
use front::{Places, Visit};
use known::Known;
use proof::Ledger;
use revocation::Revocations;
use route::{Asked, Route};
use site::Case;
pub use site::Site;
use token::Inquiry;

/// Where a request goes next.
#[must_use]
#[derive(Debug)]
pub enum Decision {
    /// We answer; the upstream never sees it.
    Answer(Answer),
    /// It passes, on the strength of this permit.
    Forward(Permit),
    /// Ask the issuer for its keys, then decide once more.
    NeedKey(UnknownKey),
    /// Ask the issuer what the token is worth, then decide once more, by its answer.
    NeedIntrospection(Inquiry),
    /// Read the body, then decide once more, by what it says.
    NeedBody,
    /// The OAuth front answers; the upstream never sees it.
    Front(Visit),
}

/// The stages, built once per configuration. Immutable.
#[derive(Debug)]
pub struct Pipeline {
    bounds: Bounds,
    sites: Box<[Site]>,
    front: Places,
    https_only: bool,
}

/// What the pipeline reads and others write.
#[derive(Debug)]
pub struct Cells {
    /// Each issuer's keys, in the order of the rules.
    pub keyrings: Vec<Arc<Keyring>>,
    /// What the operator has revoked.
    pub revocations: Arc<Revocations>,
    /// Which proofs have been used.
    pub ledger: Arc<Ledger>,
}

impl Pipeline {
    /// Cannot fail: [`Rules`] already passed every check.
    pub fn new(rules: &Rules, bounds: Bounds, cells: &Cells) -> Self {
        let mut sites: Vec<&config::Site> = rules.sites.iter().collect();
        // Of two endpoints that a path is within, the nearer one is meant.
        sites.sort_by_key(|site| std::cmp::Reverse(site.resource.path().len()));
        let shares = |one: &config::Site| {
            rules.sites.iter().filter(|other| other.shares_a_name(one)).count() > 1
        };
        let site = |(number, site): (usize, &&config::Site)| {
            Site::new(number, site, rules, cells, !shares(site))
        };
        Self {
            bounds,
            sites: sites.iter().enumerate().map(site).collect(),
            front: Places::new(rules.front.as_ref()),
            https_only: sites.iter().all(|site| site.resource.is_https_only()),
        }
    }

    /// What backends check assertions with, if any of them is sent some.
    pub(crate) fn assertion_keys(&self, now: SystemTime) -> Option<serde_json::Value> {
        self.sites.iter().find_map(|site| site.assertion_keys(now))
    }

    /// The whole pipeline, top to bottom.
    pub fn decide(&self, request: &Parts, channel: &Channel<'_>, now: SystemTime) -> Decision {
        self.decide_knowing(request, channel, &Known::default(), now)
    }

    /// Once more, with what the last decision needed.
    pub fn decide_knowing(
        &self,
        request: &Parts,
        channel: &Channel<'_>,
        known: &Known,
        now: SystemTime,
    ) -> Decision {
        self.decide_by(Case { request, channel, known, now })
    }

    fn decide_by(&self, case: Case<'_>) -> Decision {
        let request = case.request;
        if let Err(why) = self.bounds.check_head(request) {
            return Decision::Answer(Answer::Misframed(why));
        }
        let host = match origin::host(request) {
            Ok(host) => host,
            Err(why) => return Decision::Answer(Answer::Misframed(why)),
        };
        if case.channel.server_name.is_some_and(|name| self.is_for_another(host, name)) {
            return Decision::Answer(Answer::ForeignHost);
        }
        Decision::Answer(match self.route(request, host) {
            Route::Metadata(site) => Answer::Metadata(site.metadata().document()),
            Route::MetadataPreflight => Answer::MetadataPreflight(asked_headers(request)),
            Route::Front(site, place) => return site.receive(case, place),
            Route::Landing(site) => Answer::Landing(site.landing()),
            Route::Health => Answer::Healthy,
            Route::WrongMethod(allowed) => Answer::WrongMethod(allowed),
            Route::Ambiguous => Answer::Ambiguous,
            Route::ForeignHost => Answer::ForeignHost,
            Route::Unknown => Answer::NotFound,
            Route::Protected(site) => return site.admit(case, &self.bounds),
        })
    }

    /// Whether the host is ours and `name`, by which the client began TLS, is not its: what TLS was
    /// set up for is another site (RFC 9110 section 7.4).
    fn is_for_another(&self, host: &str, name: &str) -> bool {
        let mut here = self.sites.iter().filter(|site| site.is_at(host)).peekable();
        here.peek().is_some() && !here.any(|site| site.is_named(name))
    }

    /// The page that may read the answer to this request, if a page sent it.
    pub(crate) fn page(&self, request: &Parts) -> Option<HeaderValue> {
        // Most callers are no pages.
        if !request.headers.contains_key(ORIGIN) {
            return None;
        }
        let host = origin::host(request).ok()?;
        match self.route(request, host) {
            Route::Protected(site) | Route::Front(site, _) => site.page(request),
            Route::Metadata(_)
            | Route::MetadataPreflight
            | Route::Landing(_)
            | Route::Health
            | Route::WrongMethod(_)
            | Route::Ambiguous
            | Route::ForeignHost
            | Route::Unknown => None,
        }
    }

    fn route(&self, request: &Parts, host: &str) -> Route<'_> {
        let asked = Asked { method: &request.method, host, path: request.uri.path() };
        Route::of(&asked, &self.sites, &self.front)
    }

    /// What a request is for, if that is protected.
    pub(crate) fn protects(&self, request: &Parts) -> Option<&Site> {
        let host = origin::host(request).ok()?;
        match self.route(request, host) {
            Route::Protected(site) => Some(site),
            Route::Front(..)
            | Route::Metadata(_)
            | Route::MetadataPreflight
            | Route::Landing(_)
            | Route::Health
            | Route::WrongMethod(_)
            | Route::Ambiguous
            | Route::ForeignHost
            | Route::Unknown => None,
        }
    }

    /// Whether browsers are told never to come back without TLS.
    pub(crate) fn is_https_only(&self) -> bool {
        self.https_only
    }

    /// Where each site's requests go, by its number.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        self.sites.iter().map(Site::upstream)
    }

    /// What is remembered of tokens.
    pub(crate) fn memory(&self) -> Memory {
        self.sites.iter().map(Site::memory).sum()
    }

    /// Whether a stream that was begun may go on.
    pub(crate) fn recheck(&self, standing: &Standing, now: SystemTime) -> Result<(), Rejected> {
        let site = self.sites.get(standing.site()).ok_or(Rejected::Issuer)?;
        site.recheck(standing, now)
    }

    /// What a permit is for. None only for a permit of another pipeline.
    pub fn site(&self, permit: &Permit) -> Option<&Site> {
        self.sites.get(permit.site())
    }
}

/// What a browser wants to send.
fn asked_headers(request: &Parts) -> Option<HeaderValue> {
    let asked = request.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
    // No browser asks for more, and nobody else shall have long answers from us.
    asked.filter(|headers| headers.len() <= MOST_ASKED).cloned()
}

const MOST_ASKED: usize = 512;

#[cfg(test)]
mod tests;

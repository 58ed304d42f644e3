//! What to do with a request. Pure: no I/O, no clock, no framework.

pub mod answer;
pub mod authenticate;
pub mod authorize;
pub mod challenge;
mod claims;
pub mod framing;
pub mod headers;
mod jose;
mod metadata;
pub mod proof;
pub mod revocation;
mod route;
pub mod token;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::ACCESS_CONTROL_REQUEST_HEADERS;
use http::request::Parts;
use serde_json::json;

use crate::config::Rules;
use crate::keys::Keyring;
use answer::Answer;
use authenticate::{Memory, Rejected, Standing, Told, UnknownKey, Verifier};
use authorize::{Permit, Policy};
use challenge::Challenges;
use framing::Bounds;
use headers::Relay;
use metadata::Metadata;
use proof::{Channel, Ledger, Proofs, Sent, Unproven};
use revocation::Revocations;
use route::Route;
use token::{BearerToken, Inquiry, NoBearer};

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
}

/// The stages, built once per configuration. Immutable.
#[derive(Debug)]
pub struct Pipeline {
    bounds: Bounds,
    endpoint: String,
    landing: Bytes,
    metadata: Metadata,
    challenges: Challenges,
    verifier: Verifier,
    proofs: Proofs,
    policy: Policy,
    relay: Relay,
}

impl Pipeline {
    /// Cannot fail: [`Rules`] already passed every check.
    pub fn new(
        rules: &Rules,
        bounds: Bounds,
        keyrings: &[Arc<Keyring>],
        revocations: &Arc<Revocations>,
        ledger: Arc<Ledger>,
    ) -> Self {
        let metadata = Metadata::new(rules);
        Self {
            bounds,
            endpoint: rules.resource.path().to_owned(),
            landing: landing(rules, &metadata),
            challenges: Challenges::new(metadata.url(), &rules.scopes, rules.dpop.required),
            metadata,
            verifier: Verifier::new(rules, keyrings, revocations),
            proofs: Proofs::new(rules, ledger),
            policy: Policy::new(&rules.scopes),
            relay: Relay::new(&rules.forward, &rules.upstream),
        }
    }

    /// The whole pipeline, top to bottom.
    pub fn decide(&self, request: &Parts, channel: &Channel, now: SystemTime) -> Decision {
        self.decide_by(request, channel, None, now)
    }

    /// Once more, when the issuer has been asked: a key that it still does not publish is none.
    pub fn decide_again(&self, request: &Parts, channel: &Channel, now: SystemTime) -> Decision {
        match self.decide(request, channel, now) {
            Decision::NeedKey(key) => Decision::Answer(self.reject(Rejected::UnknownKey(key))),
            other @ (Decision::Answer(_)
            | Decision::Forward(_)
            | Decision::NeedIntrospection(_)) => other,
        }
    }

    /// Once more, with what the issuer says about this request's token. Never needs to ask again.
    pub fn decide_told(
        &self,
        request: &Parts,
        channel: &Channel,
        told: &Told,
        now: SystemTime,
    ) -> Decision {
        self.decide_by(request, channel, Some(told), now)
    }

    fn decide_by(
        &self,
        request: &Parts,
        channel: &Channel,
        told: Option<&Told>,
        now: SystemTime,
    ) -> Decision {
        if let Err(why) = self.bounds.check_head(request) {
            return Decision::Answer(Answer::Misframed(why));
        }
        Decision::Answer(match Route::of(request, &self.metadata, &self.endpoint) {
            Route::Metadata => Answer::Metadata(self.metadata.document()),
            Route::MetadataPreflight => {
                let asked = request.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
                // No browser asks for more, and nobody else shall have long answers from us.
                let asked = asked.filter(|headers| headers.len() <= MOST_ASKED);
                Answer::MetadataPreflight(asked.cloned())
            }
            Route::Landing => Answer::Landing(self.landing.clone()),
            Route::Health => Answer::Healthy,
            Route::WrongMethod(allowed) => Answer::WrongMethod(allowed),
            Route::Ambiguous => Answer::Ambiguous,
            Route::Unknown => Answer::NotFound,
            Route::Protected => return self.admit(request, channel, told, now),
        })
    }

    /// Authenticate, then have it proven, then authorize: the only way to a [`Permit`].
    fn admit(
        &self,
        request: &Parts,
        channel: &Channel,
        told: Option<&Told>,
        now: SystemTime,
    ) -> Decision {
        let (scheme, token) = match BearerToken::from_headers(&request.headers) {
            Ok(credentials) => credentials,
            Err(why) => return Decision::Answer(self.ask_for_token(why)),
        };
        let verified = match told {
            None => self.verifier.verify(token, now),
            Some(told) => self.verifier.learn(token, told, now),
        };
        let verified = match verified {
            Ok(verified) => verified,
            Err(Rejected::UnknownKey(key)) => return Decision::NeedKey(key),
            Err(Rejected::Unasked) if told.is_none() => {
                return Decision::NeedIntrospection(self.verifier.inquiry(token));
            }
            Err(why) => return Decision::Answer(self.reject(why)),
        };
        let sent = Sent { request, channel, scheme, token };
        let proven = match self.proofs.prove(verified, &sent, now) {
            Ok(proven) => proven,
            Err(why) => return Decision::Answer(self.distrust(why, now)),
        };
        let permit = match self.policy.authorize(proven) {
            Ok(permit) => permit,
            Err(forbidden) => {
                let challenge = self.challenges.insufficient_scope();
                return Decision::Answer(Answer::InsufficientScope(challenge, forbidden));
            }
        };
        match self.bounds.check_content(request) {
            Ok(()) => Decision::Forward(permit),
            Err(why) => Decision::Answer(Answer::Misframed(why)),
        }
    }

    /// What is remembered of tokens.
    pub(crate) fn memory(&self) -> Memory {
        self.verifier.memory()
    }

    /// Whether a stream that was begun may go on.
    pub(crate) fn recheck(&self, standing: &Standing, now: SystemTime) -> Result<(), Rejected> {
        self.verifier.recheck(standing, now)
    }

    /// What to tell the upstream.
    pub(crate) fn relay(&self) -> &Relay {
        &self.relay
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

    fn reject(&self, why: Rejected) -> Answer {
        // Infrastructure trouble: a 401 would send every client into a new login.
        if why == Rejected::NoKeys {
            return Answer::NoKeys;
        }
        if why == Rejected::Unasked {
            return Answer::NoIntrospection;
        }
        Answer::InvalidToken(self.challenges.invalid_token(why), why)
    }

    fn distrust(&self, why: Unproven, now: SystemTime) -> Answer {
        // Ours is the trouble, not the proof.
        if why == Unproven::Full {
            return Answer::ProofsFull;
        }
        Answer::Unproven(self.challenges.unproven(why), why, self.proofs.nonce(now))
    }
}

const MOST_ASKED: usize = 512;

fn landing(rules: &Rules, metadata: &Metadata) -> Bytes {
    let document = json!({
        "name": rules.name.as_deref().unwrap_or("postern"),
        "gateway": "postern",
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": {
            "mcp": rules.resource.as_str(),
            "protected_resource_metadata": metadata.url(),
            "health": format!("{}/healthz", rules.resource.origin()),
        },
    });
    document.to_string().into()
}

#[cfg(test)]
mod tests;

//! May this principal do this?

mod facts;
mod named;
mod rules;
mod scopes;
mod uri;

use std::sync::Arc;
use std::time::SystemTime;

use http::request::Parts;
use http::{HeaderValue, Method};

use super::authenticate::Standing;
use super::call::{Act, Call};
use super::channel::Channel;
use super::headers::Stamped;
use super::limit::Place;
use super::list::{self, Unreadable};
use super::proof::{Proofs, Proven, Unproven};
use super::session::{self, BackendTag, Session};
use super::token::Principal;
use super::websocket::Handshake;
use crate::config::{Scope, Site};
use facts::Setting;
use named::Named;
use rules::{No, Passed, Rules};

/// Who may call what at one site.
#[derive(Debug)]
pub struct Policy {
    site: usize,
    rules: Rules,
    named: Named,
}

impl Policy {
    /// For the site of this number.
    pub(super) fn new(number: usize, site: &Site) -> Self {
        Self {
            site: number,
            rules: Rules::new(&site.scopes, &site.policy),
            named: Named::new(&site.policy),
        }
    }

    /// Whether anything depends on what a request calls.
    pub(super) fn reads_calls(&self) -> bool {
        self.rules.read_calls()
    }

    /// Turns proof of identity into permission to pass. `call` is what the request calls, if that matters
    /// and it calls anything.
    pub(super) fn authorize(
        &self,
        token: Proven,
        call: Option<Call>,
        request: &Parts,
        channel: &Channel<'_>,
    ) -> Result<Allowed, Refused> {
        let (judged, wanted) = {
            let verified = token.token();
            let principal = verified.principal();
            let setting = Setting::new(principal, verified.claims(), request, channel);
            let acts = call.as_ref().map(Call::acts);
            let acts = acts.as_deref().unwrap_or(&[Act::NONE]);
            let judged = self.rules.judge(&setting, acts);
            let wanted = match &judged {
                Err(No::Scopes(_)) => self.rules.scopes.smallest(principal, acts),
                Ok(_) | Err(No::Denied(_) | No::Failed(_)) => Vec::new(),
            };
            (judged, wanted.into_iter().cloned().collect())
        };
        match judged {
            Ok(Passed { shadow, failed }) => Ok(Allowed(Permit {
                token,
                site: self.site,
                session: None,
                handshake: None,
                ruling: Ruling::new(Ruled { rule: None, shadow, failed, call }),
                _place: None,
            })),
            Err(no) => {
                let (rule, failed) = match no {
                    No::Scopes(rule) => (rule, None),
                    No::Denied(rule) => (Some(rule), None),
                    No::Failed(rule) => (Some(Arc::clone(&rule)), Some(rule)),
                };
                let ruling = Ruling::new(Ruled { rule, shadow: None, failed, call });
                Err(Refused { who: Forbidden { token, ruling }, wanted })
            }
        }
    }
}

impl Policy {
    /// What a call counts as, if it is a tool's.
    pub(super) fn counts_as(&self, call: &Call) -> Option<&str> {
        call.tool().map(|tool| self.named.stands_for(tool))
    }

    /// Whether the answer to what this permits is a list, or a stream that may have one in it, of which
    /// the caller does not hear everything.
    pub(super) fn cuts(&self, permit: &Permit, method: &Method) -> bool {
        let call = permit.ruling.call();
        self.rules.cut_lists() && call.map_or(method == Method::GET, Call::asks_for_list)
    }

    /// One message of such an answer, cut down; none if it stays as it is.
    pub(super) fn cut(
        &self,
        permit: &Permit,
        request: &Parts,
        channel: &Channel<'_>,
        message: &str,
    ) -> Result<Option<String>, Unreadable> {
        let token = permit.token.token();
        let setting = Setting::new(token.principal(), token.claims(), request, channel);
        let caches = session::knows_no_sessions(&request.headers);
        list::cut(message, caches, |act| self.rules.show(&setting, act))
    }
}

/// The policy said no.
pub(super) struct Refused {
    pub(super) who: Forbidden,
    /// With these scopes it would not have; if there are none, nothing would change it.
    pub(super) wanted: Vec<Scope>,
}

/// What a decision was about, and what it came from. Most sites have no rules, and nothing to say.
#[derive(Clone, Debug, Default)]
pub struct Ruling(Option<Arc<Ruled>>);

#[derive(Debug)]
struct Ruled {
    /// Which rule refused it.
    rule: Option<Arc<str>>,
    /// Which rule would have refused what was permitted, were it not in shadow.
    shadow: Option<Arc<str>>,
    /// Which rule has a condition that was neither true nor false.
    failed: Option<Arc<str>>,
    /// What was called, where that mattered.
    call: Option<Call>,
}

impl Ruling {
    fn new(ruled: Ruled) -> Self {
        let named = [&ruled.rule, &ruled.shadow, &ruled.failed];
        let has_something_to_say = ruled.call.is_some() || named.into_iter().any(Option::is_some);
        Self(has_something_to_say.then(|| Arc::new(ruled)))
    }

    /// The name of the rule that refused.
    pub(crate) fn rule(&self) -> Option<&str> {
        self.0.as_ref()?.rule.as_deref()
    }

    /// The name of the rule that only would have.
    pub(crate) fn shadow(&self) -> Option<&str> {
        self.0.as_ref()?.shadow.as_deref()
    }

    /// The name of the rule with a condition that was neither true nor false.
    pub(crate) fn failed(&self) -> Option<&str> {
        self.0.as_ref()?.failed.as_deref()
    }

    /// The call, where it mattered.
    pub(crate) fn call(&self) -> Option<&Call> {
        self.0.as_ref()?.call.as_ref()
    }
}

/// May pass, if the proof that it came with was not used before.
#[must_use]
pub(super) struct Allowed(Permit);

impl Allowed {
    /// Uses the proof up. Last, so that nobody fills the store with tokens that may not pass.
    pub(super) fn spend(self, proofs: &Proofs, now: SystemTime) -> Result<Permit, Unproven> {
        proofs.spend(&self.0.token, now)?;
        Ok(self.0)
    }
}

/// Leave to reach the upstream, and whose it is. Only [`Policy`] makes one.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    token: Proven,
    site: usize,
    session: Option<Session>,
    /// Apart, as few have one.
    handshake: Option<Box<Handshake>>,
    ruling: Ruling,
    /// Counted for as long as the permit is held.
    _place: Option<Place>,
}

impl Permit {
    /// Who may pass.
    pub fn principal(&self) -> &Principal {
        self.token.token().principal()
    }

    /// On what it rests.
    pub(crate) fn ruling(&self) -> &Ruling {
        &self.ruling
    }

    /// The same, counted among those that are open.
    pub(super) fn placed(self, place: Option<Place>) -> Self {
        Self { _place: place, ..self }
    }

    /// The same, for a connection that may go on in this way.
    pub(super) fn switching(self, handshake: Option<Handshake>) -> Self {
        Self { handshake: handshake.map(Box::new), ..self }
    }

    /// By what the connection may go on as a WebSocket, if it may.
    pub(crate) fn handshake(&self) -> Option<&Handshake> {
        self.handshake.as_deref()
    }

    /// No leave after all.
    pub(super) fn forfeit(self) -> Forbidden {
        Forbidden { token: self.token, ruling: self.ruling }
    }

    /// Which site it is for.
    pub(crate) fn site(&self) -> usize {
        self.site
    }

    /// By what a stream that it began may go on.
    pub(crate) fn standing(&self) -> Standing {
        self.token.token().standing(self.site)
    }

    /// What the upstream is told of them.
    pub(super) fn headers(&self) -> &Stamped {
        self.token.token().headers()
    }

    /// The same, for a session of the caller's.
    pub(super) fn within(self, session: Session) -> Self {
        Self { session: Some(session), ..self }
    }

    /// The session that the request goes on with, by the upstream's name.
    pub(super) fn session(&self) -> Option<&HeaderValue> {
        self.session.as_ref().map(|session| &session.id)
    }

    /// Where that session is.
    pub(crate) fn backend(&self) -> Option<BackendTag> {
        self.session.as_ref().map(|session| session.backend)
    }

    /// Whether the token is worth nothing to the upstream.
    pub(super) fn is_bound(&self) -> bool {
        self.token.token().confirmation().is_bound()
    }

    /// The nonce that the client is to use from now on, if that is news to it.
    pub(crate) fn nonce(&self) -> Option<&HeaderValue> {
        self.token.nonce()
    }

    /// What the token was signed with; `none`, if its issuer was asked.
    pub(crate) fn algorithm(&self) -> &'static str {
        self.token.token().algorithm()
    }

    /// Whether the token had been verified before.
    pub(crate) fn remembered(&self) -> bool {
        self.token.token().remembered()
    }
}

/// The token is good, but not for this, or not now.
#[derive(Debug)]
pub struct Forbidden {
    token: Proven,
    ruling: Ruling,
}

impl Forbidden {
    /// Who may not pass.
    pub fn principal(&self) -> &Principal {
        self.token.token().principal()
    }

    /// On what that rests.
    pub(crate) fn ruling(&self) -> &Ruling {
        &self.ruling
    }
}

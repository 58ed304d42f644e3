//! The OAuth front: answers in the authorization server's place, for people and for clients that know no
//! better. It is told what is asked for and where; what it answers it finds out by itself.

mod aliases;
mod cookie;
mod facade;
mod login;
mod mirror;
mod page;
mod parameters;
mod seal;
mod secrets;
mod used;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use serde_json::{Map, Value};

use crate::config::{self, Rules, Scope};
use crate::outbound::Outbound;
use crate::pipeline::front::{Place, Reply, Visit};
use crate::refresh::Description;
use crate::trust::Trust;
use login::Login;
use seal::Seal;
pub(crate) use used::Used;

/// One generation of it.
pub(crate) struct Front {
    rules: config::Front,
    /// The issuer's metadata.
    description: Arc<Description>,
    seal: Seal,
    outbound: Outbound,
    login: Option<Login>,
    used: Used,
    resources: Vec<Guarded>,
}

/// What clients may want tokens for.
struct Guarded {
    origin: String,
    /// What it is called, and the scopes that it needs.
    known: (String, String),
}

/// What it is made of besides the rules.
pub(crate) struct Surroundings<'m> {
    /// The issuer's metadata.
    pub(crate) description: Arc<Description>,
    pub(crate) outbound: &'m Outbound,
    /// The issuers of the rules, in their order.
    pub(crate) issuers: &'m Trust,
    /// What has been used, and is good once.
    pub(crate) used: &'m Used,
    /// This process's own.
    pub(crate) secret: &'m [u8],
}

/// One visit, and all that came with it.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) visit: &'a Visit,
    pub(crate) request: &'a Parts,
    pub(crate) body: &'a Bytes,
    pub(crate) now: SystemTime,
}

impl Front {
    /// None if nothing of it is turned on.
    pub(crate) fn new(rules: &Rules, around: Surroundings<'_>) -> Option<Self> {
        let Surroundings { description, outbound, issuers, used, secret } = around;
        let login = Login::new(rules, issuers, used, outbound);
        let resources = rules.sites.iter().map(|site| {
            let scopes: Vec<&str> = site.scopes.iter().map(Scope::as_str).collect();
            let known = (site.resource.as_str().to_owned(), scopes.join(" "));
            Guarded { origin: site.resource.origin(), known }
        });
        let resources = resources.collect();
        let rules = rules.front.clone()?;
        let seal = Seal::new(&rules.keys, secret);
        let (outbound, used) = (outbound.clone(), used.clone());
        Some(Self { rules, description, seal, outbound, login, used, resources })
    }

    /// Whatever there is to say.
    pub(crate) async fn answer(&self, caller: Caller<'_>) -> Reply {
        let place = caller.visit.place;
        match (place, &self.login, &self.rules.facade) {
            (Place::Login, Some(login), _) => login.begin(self, caller).await,
            (Place::Callback, Some(login), _) => login.finish(self, caller).await,
            (Place::Refresh, Some(login), _) => login.renew(self, caller).await,
            (
                Place::Mirror
                | Place::Register
                | Place::Authorize
                | Place::Consent
                | Place::HandBack
                | Place::Token,
                _,
                Some(facade),
            ) => facade::answer(self, facade, caller).await,
            (Place::Mirror, _, None) => mirror::answer(self.metadata().await),
            (Place::Register | Place::Authorize | Place::Token, _, None) => {
                aliases::answer(self, caller).await
            }
            // Nothing has a place without its section.
            (Place::Login | Place::Callback | Place::Refresh, None, _)
            | (Place::Consent | Place::HandBack, _, None) => mirror::unavailable(),
        }
    }

    /// What clients that come to this origin may want tokens for, each with the scopes that it needs.
    fn resources(&self, origin: &str) -> Vec<&(String, String)> {
        let here = self.resources.iter().filter(|guarded| guarded.origin == origin);
        here.map(|guarded| &guarded.known).collect()
    }

    /// What the issuer says of itself, corrected. None while that is not known.
    async fn metadata(&self) -> Option<Map<String, Value>> {
        let told = self.description.told().await?;
        let mut metadata = Map::clone(&told);
        metadata.extend(self.rules.overrides.clone());
        Some(metadata)
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Front").field(&self.rules).finish()
    }
}

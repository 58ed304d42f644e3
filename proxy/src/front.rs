//! The OAuth front: answers in the authorization server's place, for people and for clients that know no
//! better. It is told what is asked for and where; what it answers it finds out by itself.

mod cookie;
mod login;
mod mirror;
mod page;
mod seal;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use serde_json::{Map, Value};

use crate::config::{self, Rules};
use crate::outbound::Outbound;
use crate::pipeline::front::{Place, Reply, Visit};
use crate::refresh::Description;
use crate::trust::Trust;
use login::Login;
pub(crate) use login::Used;
use seal::Seal;

/// One generation of it.
#[allow(dead_code, reason = "what comes next is made of it")]
pub(crate) struct Front {
    rules: config::Front,
    /// The issuer's metadata.
    description: Arc<Description>,
    seal: Seal,
    outbound: Outbound,
    login: Option<Login>,
}

/// What it is made of besides the rules.
pub(crate) struct Surroundings<'m> {
    /// The issuer's metadata.
    pub(crate) description: Arc<Description>,
    pub(crate) outbound: &'m Outbound,
    /// The issuers of the rules, in their order.
    pub(crate) issuers: &'m Trust,
    /// Logins that are over.
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
        let rules = rules.front.clone()?;
        let seal = Seal::new(&rules.keys, secret);
        Some(Self { rules, description, seal, outbound: outbound.clone(), login })
    }

    /// Whatever there is to say.
    pub(crate) async fn answer(&self, caller: Caller<'_>) -> Reply {
        match (caller.visit.place, &self.login) {
            (Place::Mirror, _) => mirror::answer(self.metadata().await),
            (Place::Login, Some(login)) => login.begin(self, caller).await,
            (Place::Callback, Some(login)) => login.finish(self, caller).await,
            (Place::Refresh, Some(login)) => login.renew(self, caller).await,
            // It has no place without its section.
            (Place::Login | Place::Callback | Place::Refresh, None) => mirror::unavailable(),
        }
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

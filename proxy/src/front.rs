//! The OAuth front: answers in the authorization server's place, for people and for clients that know no
//! better. It is told what is asked for and where; what it answers it finds out by itself.

#[allow(dead_code, reason = "what comes next is made of it")]
mod cookie;
mod mirror;
#[allow(dead_code, reason = "what comes next is made of it")]
mod page;
#[allow(dead_code, reason = "what comes next is made of it")]
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
use seal::Seal;

/// One generation of it.
#[allow(dead_code, reason = "what comes next is made of it")]
pub(crate) struct Front {
    rules: config::Front,
    /// The issuer's metadata.
    description: Arc<Description>,
    seal: Seal,
    outbound: Outbound,
}

/// One visit, and all that came with it.
#[allow(dead_code, reason = "what comes next is made of it")]
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) visit: &'a Visit,
    pub(crate) request: &'a Parts,
    pub(crate) body: &'a Bytes,
    pub(crate) now: SystemTime,
}

impl Front {
    /// `secret` is this process's own.
    pub(crate) fn new(
        rules: &Rules,
        description: Arc<Description>,
        outbound: &Outbound,
        secret: &[u8],
    ) -> Option<Self> {
        let rules = rules.front.clone()?;
        let seal = Seal::new(&rules.keys, secret);
        Some(Self { rules, description, seal, outbound: outbound.clone() })
    }

    /// Whatever there is to say.
    pub(crate) async fn answer(&self, caller: Caller<'_>) -> Reply {
        match caller.visit.place {
            Place::Mirror => mirror::answer(self.metadata().await),
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

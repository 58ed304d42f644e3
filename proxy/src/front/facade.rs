//! Stands in for an issuer that registers no clients: one client of ours there, for all who come here.
//!
//! Whoever comes is told apart by what we seal: the name that `/register` gives out holds where its owner may
//! have people sent back to; the code that a client gets holds the issuer's, and whose it is. The issuer
//! knows one client, and people trust it once for all: so we ask them for each that comes, and see to it
//! that a code is of use to nobody but who began.

mod authorize;
mod client;
mod consent;
mod hand_back;
mod metadata;
mod refused;
mod register;
mod token;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::cookie::Cookie;
use super::{Caller, Front};
use crate::config::front::Facade;
use crate::pipeline::front::{Place, Reply};
use refused::Refused;

/// One visit to it.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    front: &'a Front,
    rules: &'a Facade,
    caller: Caller<'a>,
}

/// What a client has asked for, until it has a code. People's browsers carry it from step to step.
#[derive(Clone, Serialize, Deserialize)]
struct Pending {
    /// A digest of the client's name.
    client: String,
    redirect_uri: String,
    challenge: String,
    state: Option<String>,
    scope: Option<String>,
    resource: String,
}

pub(super) async fn answer(front: &Front, rules: &Facade, caller: Caller<'_>) -> Reply {
    let desk = Desk { front, rules, caller };
    let answered = match caller.visit.place {
        Place::Register => desk.register(),
        Place::Authorize => desk.authorize().await,
        Place::Consent => desk.consent().await,
        Place::HandBack => desk.hand_back().await,
        Place::Token => desk.token().await,
        Place::Mirror => Ok(desk.metadata()),
        Place::Login | Place::Callback | Place::Refresh => Err(Refused::Internal),
    };
    answered.unwrap_or_else(|refused| refused.reply(caller.visit.place))
}

impl Desk<'_> {
    fn origin(&self) -> &str {
        &self.caller.visit.origin
    }

    /// Where the issuer sends people back to.
    fn callback(&self) -> String {
        format!("{}{HAND_BACK}", self.origin())
    }

    /// What people's browsers hold while they are asked.
    fn browser(&self) -> Cookie<'_> {
        Cookie::new(BROWSER, self.origin())
    }
}

/// Sends people back to the client, which listed the place; with `iss`, so that it is not taken for another
/// server's answer (RFC 9207).
fn back(pending: &Pending, origin: &str, says: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(says);
    if let Some(state) = &pending.state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", origin);
    let mark = if pending.redirect_uri.contains('?') { '&' } else { '?' };
    format!("{}{mark}{}", pending.redirect_uri, query.finish())
}

/// An address from the issuer's metadata.
fn endpoint(metadata: &Map<String, Value>, name: &str) -> Option<Url> {
    metadata.get(name).and_then(Value::as_str).and_then(|text| Url::parse(text).ok())
}

const BROWSER: &str = "postern-consent";
/// The one redirect URI that is registered at the issuer.
pub(super) const HAND_BACK: &str = "/oauth/callback";
pub(super) const CONSENT: &str = "/oauth/consent";

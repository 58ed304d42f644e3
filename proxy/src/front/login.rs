//! Login for people: two clicks in a browser, and a token to copy. For programs that can open a browser
//! and read JSON, too.
//!
//! What must hold from the first step to the last is sealed in a cookie of the browser that begins
//! (`pending`), so that any replica can finish what another began. A login is finished once: the cookie goes
//! with it, this process remembers (`used`), and the issuer takes a code once.

mod begin;
mod broker;
mod cookie;
mod finish;
mod issuer;
mod page;
mod pending;
mod refused;
mod renew;
mod tokens;

use std::fmt;

use http::HeaderMap;
use http::request::Parts;
use url::form_urlencoded;

use super::Front;
use super::used::Used;
use crate::config::front::{self as config, Through};
use crate::config::{Asking, Rules, TrustedIssuer};
use crate::outbound::Outbound;
use crate::trust::Trust;
use cookie::Jar;
use pending::Seals;
use refused::Refused;

/// One generation of it.
pub(super) struct Login {
    rules: config::Login,
    /// How the issuer wants to be asked.
    asking: Asking,
    /// Who is believed about who has logged in, and which one that is among the rules'.
    issuer: (TrustedIssuer, usize),
    /// Where it begins and ends.
    origin: String,
    /// The place where it begins, for whoever has to begin again.
    again: String,
    trust: Trust,
    used: Used,
    outbound: Outbound,
}

impl Login {
    pub(super) fn new(
        rules: &Rules,
        trust: &Trust,
        used: &Used,
        outbound: &Outbound,
    ) -> Option<Self> {
        let front = rules.front.as_ref()?;
        let login = front.login.clone()?;
        let mut issuers = rules.issuers.iter().enumerate();
        let (index, issuer) = issuers.find(|(_, trusted)| trusted.issuer == front.issuer)?;
        let outbound = match &login.through {
            Through::Issuer { .. } => outbound.on_behalf_of_issuer(&front.issuer),
            Through::Broker(broker) => outbound.on_behalf_of(&broker.login),
        };
        Some(Self {
            issuer: (issuer.clone(), index),
            again: format!("{}/login", login.resource.origin()),
            origin: login.resource.origin(),
            asking: front.asking.clone(),
            rules: login,
            trust: trust.clone(),
            used: used.clone(),
            outbound,
        })
    }

    /// What this browser keeps of logins.
    fn jar<'h>(&'h self, headers: &'h HeaderMap) -> Jar<'h> {
        Jar::new(headers, &self.origin)
    }

    fn seals<'s>(&'s self, front: &'s Front) -> Seals<'s> {
        let client = match &self.rules.through {
            Through::Issuer { client, .. } => client.id.as_str(),
            Through::Broker(broker) => broker.login.as_str(),
        };
        let issuer = self.issuer.0.issuer.as_str();
        Seals { seal: &front.seal, issuer, client, redirect_uri: &self.rules.redirect_uri }
    }
}

/// The parameters of a request, of which none may be there twice: two readers could take two of them.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(request: &Parts) -> Self {
        let query = request.uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn take(&mut self, name: &str) -> Result<Option<String>, Refused> {
        let mut found = None;
        for (key, value) in &mut self.0 {
            if key == name && found.replace(std::mem::take(value)).is_some() {
                return Err(Refused::Muddled);
            }
        }
        match found {
            Some(value) if value.len() > LONGEST => Err(Refused::Muddled),
            found => Ok(found),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Login").field(&self.rules).finish()
    }
}

/// Of one parameter. Codes of some issuers are encrypted tokens.
const LONGEST: usize = 6 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        let uri = format!("/callback?{text}");
        Query::of(&http::Request::get(uri).body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_parameter_is_said_once_or_not_at_all() {
        let mut asked = query("state=a%26b&code=&state2=x");
        assert_eq!(asked.take("state"), Ok(Some("a&b".to_owned())));
        assert_eq!(asked.take("code"), Ok(Some(String::new())));
        assert_eq!(asked.take("iss"), Ok(None));
        for twice in ["state=a&state=a", "state=a&st%61te=b", "state&state"] {
            assert_eq!(query(twice).take("state"), Err(Refused::Muddled), "{twice}");
        }
        let long = format!("state={}", "a".repeat(LONGEST + 1));
        assert_eq!(query(&long).take("state"), Err(Refused::Muddled));
    }
}

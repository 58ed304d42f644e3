//! One protected resource: where it is, who may read it from a page, and what stands behind it.

use http::HeaderName;
use url::Url;

use super::{ClaimPath, Policy, Resource, Scope, Upstream};

/// A resource and everything that is its own.
#[derive(Clone, Debug)]
pub struct Site {
    /// What we protect.
    pub resource: Resource,
    /// Its name, for people.
    pub name: Option<String>,
    /// Where people read about it.
    pub documentation: Option<Url>,
    /// Scopes that every request must hold.
    pub scopes: Vec<Scope>,
    /// Who may call what there.
    pub policy: Policy,
    /// Other names that clients may call its host by, in lower case.
    pub hosts: Vec<String>,
    /// Pages that may call it from a browser, besides its own.
    pub origins: Origins,
    /// Whether a connection to it may go on as a WebSocket.
    pub websocket: bool,
    /// What we stand in front of.
    pub upstream: Upstream,
    /// What it hears about the caller.
    pub forward: Forward,
}

impl Site {
    /// Every name that its host goes by, each without a port that goes without saying.
    pub fn names(&self) -> Vec<String> {
        let own = self.resource.origin();
        let (scheme, host) = own.split_once("://").unwrap_or(("https", &own));
        let usual = if scheme == "http" { ":80" } else { ":443" };
        let written = std::iter::once(host).chain(self.hosts.iter().map(String::as_str));
        written.map(|name| name.strip_suffix(usual).unwrap_or(name).to_owned()).collect()
    }

    /// Whether there is a name by which both are called.
    pub fn shares_a_name(&self, other: &Self) -> bool {
        let others = other.names();
        self.names().iter().any(|name| others.contains(name))
    }
}

/// Origins (RFC 6454) of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Any page: what it cannot get at is a token.
    Any,
    /// These, each as browsers spell it.
    Only(Vec<String>),
}

/// What the upstream hears about the caller.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Claims sent on top of the four that always are, and the header of each.
    pub claims: Vec<(ClaimPath, HeaderName)>,
    /// Whether the caller's token goes up too.
    pub authorization: Authorization,
    /// For whom a signed assertion of all that is, if for anybody.
    pub assertion: Option<String>,
}

/// What becomes of the caller's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// It ends here.
    Strip,
    /// The upstream gets it as well.
    Keep,
}

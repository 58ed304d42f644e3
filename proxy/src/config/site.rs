//! One protected resource: where it is, who may read it from a page, and what stands behind it.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::HeaderName;
use url::Url;

use super::{ClaimPath, Resource, Scope};

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
    /// Other names that clients may call its host by, in lower case.
    pub hosts: Vec<String>,
    /// Pages that may call it from a browser, besides its own.
    pub origins: Origins,
    /// What we stand in front of.
    pub upstream: Upstream,
    /// What it hears about the caller.
    pub forward: Forward,
}

/// Origins (RFC 6454) of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Any page: what it cannot get at is a token.
    Any,
    /// These, each as browsers spell it.
    Only(Vec<String>),
}

/// Where permitted requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// Plain HTTP over TCP.
    Tcp(SocketAddr),
    /// Plain HTTP over a unix socket.
    Unix(PathBuf),
}

/// What the upstream hears about the caller.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Claims sent on top of the four that always are, and the header of each.
    pub claims: Vec<(ClaimPath, HeaderName)>,
    /// Whether the caller's token goes up too.
    pub authorization: Authorization,
}

/// What becomes of the caller's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// It ends here.
    Strip,
    /// The upstream gets it as well.
    Keep,
}

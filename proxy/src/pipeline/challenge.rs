//! The `WWW-Authenticate` header that tells a client how to come back (RFC 6750 section 3).
//!
//! Clients read it with unanchored patterns, so: one line, Bearer first and each scheme complete,
//! every value a quoted string without escapes, no empty `scope`, and no description that contains a
//! parameter's name and `=`. Whichever parameter such a client finds first is right.

use http::HeaderValue;

use super::authenticate::Rejected;
use super::proof::{ALGORITHMS, Unproven};
use super::token::Scheme;
use crate::config::{self, Scope};

/// Writes the challenges of one resource. Each names the metadata URL.
#[derive(Debug)]
pub(super) struct Challenges {
    metadata: String,
    /// Nearly every challenge ends so.
    tail: String,
    dpop: Dpop,
    without_credentials: Challenge,
}

impl Challenges {
    pub(super) fn new(metadata_url: &str, scopes: &[Scope], rules: &config::Dpop) -> Self {
        let metadata = format!("resource_metadata=\"{metadata_url}\"");
        let tail = with_scopes(&metadata, scopes);
        let dpop = match rules {
            config::Dpop { required: true, .. } => Dpop::Alone,
            config::Dpop { offered: true, .. } => Dpop::Told,
            config::Dpop { .. } => Dpop::Untold,
        };
        // RFC 6750 section 3.1: no error code when no credentials were sent.
        let without_credentials = write("", "", &tail, dpop);
        Self { metadata, tail, dpop, without_credentials }
    }

    pub(super) fn without_credentials(&self) -> Challenge {
        self.without_credentials.clone()
    }

    /// For credentials of the scheme that the client used.
    pub(super) fn invalid_token(&self, why: Rejected, used: Scheme) -> Challenge {
        self.error("invalid_token", &why.to_string(), self.dpop.told_if(used == Scheme::Dpop))
    }

    /// For a token that holds here and not behind us, where only bearer tokens get.
    pub(super) fn refused_behind(&self) -> Challenge {
        self.error("invalid_token", "the server can no longer use the token", self.dpop)
    }

    pub(super) fn invalid_request(&self, why: &str) -> Challenge {
        self.error("invalid_request", why, self.dpop)
    }

    /// Names all scopes of the operation, not only the missing ones: clients ask for what it lists.
    pub(super) fn insufficient_scope(&self, scopes: &[Scope]) -> Challenge {
        let error = error("insufficient_scope", "the token lacks a scope that this request needs");
        write(&error, &error, &with_scopes(&self.metadata, scopes), self.dpop)
    }

    pub(super) fn unproven(&self, why: Unproven) -> Challenge {
        let dpop = self.dpop.told_if(true);
        match why.error() {
            "invalid_token" => self.error("invalid_token", &why.to_string(), dpop),
            // These codes are not Bearer's (RFC 9449 section 12.2).
            code => write("", &error(code, &why.to_string()), &self.tail, dpop),
        }
    }

    fn error(&self, code: &str, description: &str, dpop: Dpop) -> Challenge {
        let error = error(code, description);
        write(&error, &error, &self.tail, dpop)
    }
}

/// Whether clients hear of `DPoP`. Those that know it bind their tokens once they do, and an
/// authorization server may not know it: so that only the operator can say that they should.
#[derive(Clone, Copy, Debug)]
enum Dpop {
    Untold,
    Told,
    /// And of nothing else: a bearer token would not do.
    Alone,
}

impl Dpop {
    /// A client that uses it hears of it in any case.
    fn told_if(self, used: bool) -> Self {
        match self {
            Self::Untold if used => Self::Told,
            other @ (Self::Untold | Self::Told | Self::Alone) => other,
        }
    }
}

/// An empty `scope` would be read as one that asks for nothing.
fn with_scopes(metadata: &str, scopes: &[Scope]) -> String {
    let scopes: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
    match scopes.join(" ") {
        none if none.is_empty() => metadata.to_owned(),
        scopes => format!("{metadata}, scope=\"{scopes}\""),
    }
}

fn error(code: &str, description: &str) -> String {
    format!("error=\"{code}\", error_description=\"{description}\", ")
}

fn write(of_bearer: &str, of_dpop: &str, tail: &str, dpop: Dpop) -> Challenge {
    let bearer = format!("Bearer {of_bearer}{tail}");
    let algorithms = ALGORITHMS.join(" ");
    let bound = format!("DPoP {of_dpop}algs=\"{algorithms}\", {tail}");
    Challenge(ascii(&match dpop {
        Dpop::Untold => bearer,
        Dpop::Told => format!("{bearer}, {bound}"),
        Dpop::Alone => bound,
    }))
}

/// The challenges of one answer, ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(HeaderValue);

impl Challenge {
    /// The same, to be read.
    pub(crate) fn text(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn into_header(self) -> HeaderValue {
        self.0
    }
}

/// Every part was checked to be plain ASCII when the configuration was read.
fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text)
        .unwrap_or(HeaderValue::from_static("Bearer error=\"invalid_token\""))
}

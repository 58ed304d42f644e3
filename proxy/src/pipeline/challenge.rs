//! The `WWW-Authenticate` header that tells a client how to come back (RFC 6750 section 3).
//!
//! Clients read it with unanchored patterns, so: one line, Bearer first and each scheme complete,
//! every value a quoted string without escapes, no empty `scope`, and no description that contains a
//! parameter's name and `=`. Whichever parameter such a client finds first is right.

use http::HeaderValue;

use super::authenticate::Rejected;
use super::proof::{ALGORITHMS, Unproven};
use crate::config::Scope;

/// Writes the challenges of one resource. Each names the metadata URL.
#[derive(Debug)]
pub(super) struct Challenges {
    /// Every challenge ends so.
    tail: String,
    /// Only tokens bound to a key will do.
    dpop_only: bool,
    without_credentials: Challenge,
}

impl Challenges {
    pub(super) fn new(metadata_url: &str, scopes: &[Scope], dpop_only: bool) -> Self {
        let scopes: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
        let metadata = format!("resource_metadata=\"{metadata_url}\"");
        let tail = match scopes.join(" ") {
            none if none.is_empty() => metadata,
            scopes => format!("{metadata}, scope=\"{scopes}\""),
        };
        // RFC 6750 section 3.1: no error code when no credentials were sent.
        let without_credentials = write("", "", &tail, dpop_only);
        Self { tail, dpop_only, without_credentials }
    }

    pub(super) fn without_credentials(&self) -> Challenge {
        self.without_credentials.clone()
    }

    pub(super) fn invalid_token(&self, why: Rejected) -> Challenge {
        self.error("invalid_token", &why.to_string())
    }

    pub(super) fn invalid_request(&self, why: &str) -> Challenge {
        self.error("invalid_request", why)
    }

    /// Names all scopes of the operation, not only the missing ones: clients ask for what it lists.
    pub(super) fn insufficient_scope(&self) -> Challenge {
        self.error("insufficient_scope", "the token lacks a scope that this request needs")
    }

    pub(super) fn unproven(&self, why: Unproven) -> Challenge {
        match why.error() {
            "invalid_token" => self.error("invalid_token", &why.to_string()),
            // These codes are not Bearer's (RFC 9449 section 12.2).
            code => write("", &error(code, &why.to_string()), &self.tail, self.dpop_only),
        }
    }

    fn error(&self, code: &str, description: &str) -> Challenge {
        let error = error(code, description);
        write(&error, &error, &self.tail, self.dpop_only)
    }
}

fn error(code: &str, description: &str) -> String {
    format!("error=\"{code}\", error_description=\"{description}\", ")
}

fn write(bearer: &str, dpop: &str, tail: &str, dpop_only: bool) -> Challenge {
    let algorithms = ALGORITHMS.join(" ");
    let dpop = format!("DPoP {dpop}algs=\"{algorithms}\", {tail}");
    if dpop_only {
        return Challenge(ascii(&dpop));
    }
    Challenge(ascii(&format!("Bearer {bearer}{tail}, {dpop}")))
}

/// The challenges of one answer, ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(HeaderValue);

impl Challenge {
    pub(super) fn into_header(self) -> HeaderValue {
        self.0
    }
}

/// Every part was checked to be plain ASCII when the configuration was read.
fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text)
        .unwrap_or(HeaderValue::from_static("Bearer error=\"invalid_token\""))
}

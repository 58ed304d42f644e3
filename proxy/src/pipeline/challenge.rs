//! The `WWW-Authenticate` header that tells a client how to come back (RFC 6750 section 3).
//!
//! Clients read it with unanchored patterns, so: one line, one scheme, every value a quoted string
//! without escapes, no empty `scope`, and no description that contains a parameter's name and `=`.

use http::HeaderValue;

use super::authenticate::Rejected;
use crate::config::Scope;

/// Writes the challenges of one resource. Each names the metadata URL.
#[derive(Debug)]
pub(super) struct Challenges {
    /// Every challenge ends so.
    tail: String,
    without_credentials: Challenge,
}

impl Challenges {
    pub(super) fn new(metadata_url: &str, scopes: &[Scope]) -> Self {
        let scopes: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
        let metadata = format!("resource_metadata=\"{metadata_url}\"");
        let tail = match scopes.join(" ") {
            none if none.is_empty() => metadata,
            scopes => format!("{metadata}, scope=\"{scopes}\""),
        };
        // RFC 6750 section 3.1: no error code when no credentials were sent.
        let without_credentials = Challenge(ascii(&format!("Bearer {tail}")));
        Self { tail, without_credentials }
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

    fn error(&self, code: &str, description: &str) -> Challenge {
        let tail = &self.tail;
        Challenge(ascii(&format!(
            "Bearer error=\"{code}\", error_description=\"{description}\", {tail}"
        )))
    }
}

/// One challenge, ready to send.
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

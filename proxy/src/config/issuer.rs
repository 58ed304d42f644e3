//! Whose tokens are believed, and what they look like.

use std::time::Duration;

use jsonwebtoken::Algorithm;

use super::{Issuer, Source};

/// An authorization server, and what its tokens must look like.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    /// As its tokens spell `iss`.
    pub issuer: Issuer,
    /// What its tokens are judged by.
    pub source: Source,
    /// A token's `aud` must hold one of these; empty: the resource it is for.
    pub audiences: Vec<String>,
    /// Signature algorithms it may use.
    pub algorithms: Vec<Algorithm>,
    /// How its access tokens show that they are access tokens.
    pub typ: TokenType,
    /// How far its clock may be from ours.
    pub leeway: Duration,
    /// How long a token may be valid in all.
    pub max_lifetime: Option<Duration>,
    /// Whether `azp` is taken for the audience of a token without `aud`.
    pub azp_as_audience: bool,
    /// Where its tokens say what.
    pub claims: ClaimNames,
    /// How long its keys are used when it cannot be asked.
    pub keys_max_age: Duration,
}

/// What the `typ` of an access token may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// `at+jwt` (RFC 9068).
    Strict,
    /// Or `JWT`, if the claims are those of an access token.
    JwtOrAccessToken,
    /// Or nothing, likewise.
    AbsentOk,
}

/// Where an issuer's tokens say who calls and what they may do.
#[derive(Clone, Debug)]
pub struct ClaimNames {
    /// Whom the token speaks for.
    pub subject: ClaimPath,
    /// The program it was given to; `None`: `client_id`, else `azp`.
    pub client: Option<ClaimPath>,
    /// What it allows; each a list, or a text with spaces.
    pub scopes: Vec<ClaimPath>,
    /// What its holder is.
    pub roles: Vec<ClaimPath>,
    /// Whom its holder belongs to.
    pub groups: Vec<ClaimPath>,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            subject: ClaimPath::new("sub"),
            client: None,
            scopes: vec![ClaimPath::new("scope"), ClaimPath::new("scp")],
            roles: Vec::new(),
            groups: Vec::new(),
        }
    }
}

/// A claim: by its name, or where it lies deeper by a JSON pointer (RFC 6901), which starts with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// A name, or a pointer if it starts with `/`. One that goes no deeper than a name is that name.
    pub fn new(written: &str) -> Self {
        let name = written.strip_prefix('/').filter(|step| !step.contains(['/', '~']));
        Self(name.unwrap_or(written).to_owned())
    }

    /// As it was written, in one spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a pointer.
    pub fn is_deep(&self) -> bool {
        self.0.starts_with('/')
    }
}

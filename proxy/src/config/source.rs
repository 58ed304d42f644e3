//! What an issuer's tokens are judged by: its keys, or its own word.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::Secret;

/// Who says whether a token is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// We do, by the issuer's keys: its tokens are signed JWTs.
    Keys(KeySource),
    /// The issuer does, each time it is asked (RFC 7662): its tokens may be anything.
    Introspection(Introspection),
}

impl Source {
    /// Whether nobody needs to be asked.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::Keys(KeySource::File(_)))
    }
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// From the `jwks_uri` of the issuer's own metadata.
    Discover,
    /// From a fixed address.
    Url(Url),
    /// From a file.
    File(PathBuf),
}

/// How an issuer is asked about its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// Where.
    pub endpoint: IntrospectionEndpoint,
    /// Who we are to it.
    pub client_id: String,
    /// What proves it.
    pub client_secret: Secret,
    /// How that is told.
    pub authentication: ClientAuthentication,
    /// How long an answer is believed without asking again.
    pub cache: Duration,
}

/// Where an issuer is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntrospectionEndpoint {
    /// At the `introspection_endpoint` of its own metadata.
    Discover,
    /// At a fixed address.
    Url(Url),
}

/// How a client shows its secret (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// In the `Authorization` header.
    Basic,
    /// In the form.
    Post,
}

//! `otus`: where teams are asked for, and with whose authority.

use std::time::Duration;

use http::HeaderName;
use serde::Deserialize;
use url::Url;

use super::problem::Problems;
use super::value::{self, Secret};

#[derive(Debug)]
pub(crate) struct OtusSettings {
    /// Where the teams are, on the host of the base URL.
    pub(crate) teams: Url,
    pub(crate) trace_header: HeaderName,
    /// For all that one call has to ask.
    pub(crate) timeout: Duration,
    pub(crate) credential: Credential,
}

/// With what Otus is asked.
#[derive(Debug)]
pub(crate) enum Credential {
    /// A token for Otus, got for the caller's.
    TokenExchange(AuthorizationServer),
    /// A token of our own, and the name of the caller beside it.
    ClientCredentials(AuthorizationServer),
    /// The caller's token itself, which was not meant for Otus.
    PassthroughUnsafe,
}

/// Who gives tokens to us, and which.
#[derive(Debug)]
pub(crate) struct AuthorizationServer {
    pub(crate) token_endpoint: Url,
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    pub(crate) authentication: Authentication,
    pub(crate) audience: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) scope: Option<String>,
}

/// How the client shows who it is.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Authentication {
    #[default]
    ClientSecretBasic,
    ClientSecretPost,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "as they are written")]
pub(super) struct File {
    base_url: Option<String>,
    teams_endpoint: Option<String>,
    trace_header: Option<String>,
    timeout: Option<String>,
    credential: Option<Way>,
    token_endpoint: Option<String>,
    client_id: Option<String>,
    client_secret_file: Option<String>,
    authentication: Option<Authentication>,
    audience: Option<String>,
    resource: Option<String>,
    scope: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Way {
    TokenExchange,
    ClientCredentials,
    PassthroughUnsafe,
}

impl File {
    pub(super) fn check(self, problems: &mut Problems) -> Option<OtusSettings> {
        let teams = self.teams(problems);
        let header = self.trace_header.as_deref().unwrap_or("Trace-Id");
        let trace_header = header.parse().map_err(|_| {
            let told = format!("{header}: not the name of a header; write one like Trace-Id");
            problems.note("otus.trace_header", told);
        });
        let timeout = value::duration(self.timeout.as_deref().unwrap_or("10s"))
            .map_err(|told| problems.note("otus.timeout", told));
        let credential = self.credential(problems);
        Some(OtusSettings {
            teams: teams?,
            trace_header: trace_header.ok()?,
            timeout: timeout.ok()?,
            credential: credential?,
        })
    }

    fn teams(&self, problems: &mut Problems) -> Option<Url> {
        let Some(base) = &self.base_url else {
            problems
                .note("otus.base_url", "missing; write where Otus is, like https://otus.example");
            return None;
        };
        let path = self.teams_endpoint.as_deref().unwrap_or("/teams");
        match value::endpoint(base) {
            Ok(base) => value::below(&base, path)
                .map_err(|told| problems.note("otus.teams_endpoint", told))
                .ok(),
            Err(told) => {
                problems.note("otus.base_url", told);
                if !path.starts_with('/') {
                    let told = format!("{path}: does not begin with /; write a path like /teams");
                    problems.note("otus.teams_endpoint", told);
                }
                None
            }
        }
    }

    fn credential(self, problems: &mut Problems) -> Option<Credential> {
        // Where there is somebody to exchange tokens with, that is what is meant.
        let exchange = self.token_endpoint.is_some().then_some(Way::TokenExchange);
        match self.credential.or(exchange) {
            Some(Way::TokenExchange) => Some(Credential::TokenExchange(self.server(problems)?)),
            Some(Way::ClientCredentials) => {
                Some(Credential::ClientCredentials(self.server(problems)?))
            }
            Some(Way::PassthroughUnsafe) => self.nothing_else(problems),
            None => {
                problems.note(
                    "otus.credential",
                    "missing; write token_exchange (with token_endpoint, client_id and \
                     client_secret_file), or client_credentials",
                );
                None
            }
        }
    }

    fn server(self, problems: &mut Problems) -> Option<AuthorizationServer> {
        let mut needed = |key, value: Option<String>, what: &str| {
            value.ok_or_else(|| problems.note(key, format!("missing; write {what}"))).ok()
        };
        let endpoint =
            needed("otus.token_endpoint", self.token_endpoint, "the address of the token endpoint");
        let client_id = needed("otus.client_id", self.client_id, "the client that this server is");
        let secret = needed(
            "otus.client_secret_file",
            self.client_secret_file,
            "the path of a file with the client's secret",
        );
        let endpoint = endpoint.and_then(|text| {
            value::endpoint(&text).map_err(|told| problems.note("otus.token_endpoint", told)).ok()
        });
        let secret = secret.and_then(|path| {
            Secret::read(&path).map_err(|told| problems.note("otus.client_secret_file", told)).ok()
        });
        Some(AuthorizationServer {
            token_endpoint: endpoint?,
            client_id: client_id?,
            client_secret: secret?,
            authentication: self.authentication.unwrap_or_default(),
            audience: self.audience,
            resource: self.resource,
            scope: self.scope,
        })
    }

    /// What is written for a safe way must not be thought to have made this one safe.
    fn nothing_else(self, problems: &mut Problems) -> Option<Credential> {
        let written = [
            ("otus.token_endpoint", self.token_endpoint.is_some()),
            ("otus.client_id", self.client_id.is_some()),
            ("otus.client_secret_file", self.client_secret_file.is_some()),
            ("otus.authentication", self.authentication.is_some()),
            ("otus.audience", self.audience.is_some()),
            ("otus.resource", self.resource.is_some()),
            ("otus.scope", self.scope.is_some()),
        ];
        let mut alone = true;
        for (key, _) in written.into_iter().filter(|(_, is)| *is) {
            let told = "means nothing to passthrough_unsafe; remove it, or write token_exchange";
            problems.note(key, told);
            alone = false;
        }
        alone.then_some(Credential::PassthroughUnsafe)
    }
}

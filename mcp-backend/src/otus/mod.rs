//! Otus: the API that knows who is in which team.

mod exchange;

use std::time::Duration;

use http::{HeaderName, StatusCode};
use reqwest::Client;
use serde_json::Value;
use url::Url;

use crate::caller::{Identity, Token};
use crate::fetch::{self, Answer, fetch};
use crate::settings::{AuthorizationServer, Credential, OtusSettings};
use exchange::{Ask, Granted, Tokens};

/// Asks Otus on behalf of callers.
#[derive(Debug)]
pub(crate) struct Otus {
    client: Client,
    teams: Url,
    trace_header: HeaderName,
    timeout: Duration,
    way: Way,
}

/// How a request to Otus shows for whom it is.
#[derive(Debug)]
enum Way {
    Exchanged(Tokens),
    Ours(Tokens),
    Theirs,
}

/// For whom, and as part of which request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inquiry<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) token: Option<&'a Token>,
    pub(crate) trace: &'a str,
}

impl Otus {
    pub(crate) fn new(settings: OtusSettings) -> Result<Self, reqwest::Error> {
        let client = fetch::client(settings.timeout)?;
        let tokens = |server: AuthorizationServer| Tokens::new(server, client.clone());
        let way = match settings.credential {
            Credential::TokenExchange(server) => Way::Exchanged(tokens(server)),
            Credential::ClientCredentials(server) => Way::Ours(tokens(server)),
            Credential::PassthroughUnsafe => Way::Theirs,
        };
        let OtusSettings { teams, trace_header, timeout, .. } = settings;
        Ok(Self { client, teams, trace_header, timeout, way })
    }

    /// Whether the caller's own token is needed.
    pub(crate) fn needs_token(&self) -> bool {
        match self.way {
            Way::Exchanged(_) | Way::Theirs => true,
            Way::Ours(_) => false,
        }
    }

    /// The caller's teams, as Otus tells them; `begun` before each time that Otus is asked.
    pub(crate) async fn teams<F: Future<Output = ()>>(
        &self,
        inquiry: Inquiry<'_>,
        begun: impl Fn() -> F,
    ) -> Result<Value, Refused> {
        let asked = tokio::time::timeout(self.timeout, self.ask(inquiry, begun)).await;
        asked.unwrap_or(Err(Refused::Unavailable))
    }

    async fn ask<F: Future<Output = ()>>(
        &self,
        inquiry: Inquiry<'_>,
        begun: impl Fn() -> F,
    ) -> Result<Value, Refused> {
        match self.attempt(inquiry, &begun).await {
            // It was remembered, and may have been withdrawn since.
            Err(Attempt::Stale) => match self.attempt(inquiry, &begun).await {
                Err(Attempt::Stale) => Err(Refused::Unauthenticated),
                Err(Attempt::Refused(refused)) => Err(refused),
                Ok(teams) => Ok(teams),
            },
            Err(Attempt::Refused(refused)) => Err(refused),
            Ok(teams) => Ok(teams),
        }
    }

    async fn attempt<F: Future<Output = ()>>(
        &self,
        inquiry: Inquiry<'_>,
        begun: &impl Fn() -> F,
    ) -> Result<Value, Attempt> {
        let request = self.client.get(self.teams.clone()).header(&self.trace_header, inquiry.trace);
        let (request, granted) = match &self.way {
            Way::Theirs => (request.bearer_auth(token(inquiry)?.expose()), None),
            Way::Exchanged(tokens) => {
                let ask = Ask::Exchange(inquiry.identity, token(inquiry)?);
                let granted = tokens.get(ask, (&self.trace_header, inquiry.trace)).await?;
                (request.bearer_auth(granted.expose()), Some((tokens, granted)))
            }
            Way::Ours(tokens) => {
                let trace = (&self.trace_header, inquiry.trace);
                let granted = tokens.get(Ask::ForOurselves, trace).await?;
                let who = [
                    ("issuer", inquiry.identity.issuer()),
                    ("subject", inquiry.identity.subject()),
                ];
                (request.query(&who).bearer_auth(granted.expose()), Some((tokens, granted)))
            }
        };
        begun().await;
        match fetch(request).await {
            Ok(Answer { status: StatusCode::OK, body: Some(teams) }) => Ok(teams),
            Ok(Answer { status: StatusCode::UNAUTHORIZED, .. }) => Err(refused_token(granted)),
            Ok(Answer { status: StatusCode::FORBIDDEN, .. }) => Err(Refused::Forbidden.into()),
            Ok(Answer { status, .. }) => {
                tracing::warn!(%status, "Otus did not answer with teams");
                Err(Refused::Unavailable.into())
            }
            Err(error) => {
                tracing::warn!(%error, "cannot ask Otus");
                Err(Refused::Unavailable.into())
            }
        }
    }
}

fn token(inquiry: Inquiry<'_>) -> Result<&Token, Refused> {
    inquiry.token.ok_or(Refused::NoToken)
}

/// A remembered token is forgotten, so that the next attempt gets another.
fn refused_token(granted: Option<(&Tokens, Granted)>) -> Attempt {
    match granted {
        Some((tokens, granted)) if granted.remembered() => {
            tokens.forget(&granted);
            Attempt::Stale
        }
        Some(_) | None => Refused::Unauthenticated.into(),
    }
}

/// How one attempt came to nothing.
#[derive(Debug)]
enum Attempt {
    Stale,
    Refused(Refused),
}

impl From<Refused> for Attempt {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Why there are no teams; for the caller, so that nothing of what others said is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("unauthenticated: Otus does not accept the credentials it was shown for you")]
    Unauthenticated,
    #[error("forbidden: Otus does not let you see teams")]
    Forbidden,
    #[error(
        "unauthenticated: the authorization server no longer accepts your token; sign in again"
    )]
    Expired,
    #[error(
        "unauthenticated: your token did not get here; the proxy must be told to keep it \
         (forward.authorization: keep)"
    )]
    NoToken,
    #[error("unavailable: Otus cannot be asked at the moment; try again later")]
    Unavailable,
}

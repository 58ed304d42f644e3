//! Tokens for Otus, from the authorization server: one for the caller's (RFC 8693), or one of our own.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, StatusCode};
use moka::sync::Cache;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use super::Refused;
use crate::caller::{Identity, Token};
use crate::fetch::{Answer, fetch};
use crate::settings::{Authentication, AuthorizationServer};

/// Gets tokens, and remembers them while they live.
pub(super) struct Tokens {
    server: AuthorizationServer,
    client: Client,
    /// By whom they are for: all that is known of the caller, so that whoever comes with less
    /// authority never gets what was given to more.
    remembered: Cache<Option<Identity>, Remembered>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("server", &self.server).finish_non_exhaustive()
    }
}

/// What a token is asked for.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    Exchange(&'a Identity, &'a Token),
    ForOurselves,
}

#[derive(Clone)]
struct Remembered {
    token: Arc<str>,
    until: Instant,
}

/// A token for Otus.
pub(super) struct Granted {
    token: Arc<str>,
    whose: Option<Identity>,
    remembered: bool,
}

impl Granted {
    pub(super) fn expose(&self) -> &str {
        &self.token
    }

    /// Whether it was got before.
    pub(super) fn remembered(&self) -> bool {
        self.remembered
    }
}

impl Tokens {
    pub(super) fn new(server: AuthorizationServer, client: Client) -> Self {
        let remembered =
            Cache::builder().max_capacity(MOST_REMEMBERED).time_to_live(LONGEST).build();
        Self { server, client, remembered }
    }

    pub(super) async fn get(
        &self,
        ask: Ask<'_>,
        trace: (&HeaderName, &str),
    ) -> Result<Granted, Refused> {
        let whose = match ask {
            Ask::Exchange(identity, _) => Some(identity.clone()),
            Ask::ForOurselves => None,
        };
        if let Some(Remembered { token, until }) = self.remembered.get(&whose)
            && Instant::now() < until
        {
            return Ok(Granted { token, whose, remembered: true });
        }
        let (header, value) = trace;
        let request = self.request(ask).header(header, value);
        let (token, life) = granted(
            ask,
            fetch(request).await.map_err(|error| {
                tracing::warn!(%error, "cannot ask the authorization server");
                Refused::Unavailable
            })?,
        )?;
        if let Some(until) = life.and_then(|life| Instant::now().checked_add(life)) {
            self.remembered.insert(whose.clone(), Remembered { token: token.clone(), until });
        }
        Ok(Granted { token, whose, remembered: false })
    }

    pub(super) fn forget(&self, granted: &Granted) {
        self.remembered.invalidate(&granted.whose);
    }

    fn request(&self, ask: Ask<'_>) -> RequestBuilder {
        let server = &self.server;
        let mut form = match ask {
            Ask::Exchange(_, token) => vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                ("subject_token", token.expose()),
                ("subject_token_type", ACCESS_TOKEN),
                ("requested_token_type", ACCESS_TOKEN),
            ],
            Ask::ForOurselves => vec![("grant_type", "client_credentials")],
        };
        for (name, value) in [
            ("audience", &server.audience),
            ("resource", &server.resource),
            ("scope", &server.scope),
        ] {
            form.extend(value.as_deref().map(|value| (name, value)));
        }
        let (id, secret) = (&*server.client_id, server.client_secret.expose());
        let request = self.client.post(server.token_endpoint.clone());
        match server.authentication {
            Authentication::ClientSecretBasic => {
                // RFC 6749 section 2.3.1: encoded like a form before it is encoded like a password.
                request.basic_auth(encoded(id), Some(encoded(secret))).form(&form)
            }
            Authentication::ClientSecretPost => {
                form.extend([("client_id", id), ("client_secret", secret)]);
                request.form(&form)
            }
        }
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The token, and for how long it may be remembered.
fn granted(ask: Ask<'_>, answer: Answer) -> Result<(Arc<str>, Option<Duration>), Refused> {
    let body = answer.body.unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    match (answer.status, text("access_token")) {
        (StatusCode::OK, Some(token)) if is_bearer(text("token_type")) => {
            let life = body.get("expires_in").and_then(Value::as_u64).map(Duration::from_secs);
            Ok((token.into(), life.and_then(|life| life.checked_sub(MARGIN))))
        }
        (status, _) => {
            let error = text("error").unwrap_or_default();
            // RFC 8693 section 2.2.2 and RFC 6749 section 5.2: whose fault it is. Anything else is ours.
            let theirs = matches!(ask, Ask::Exchange(..))
                && matches!(error, "invalid_request" | "invalid_grant" | "invalid_token");
            tracing::warn!(%status, theirs, "the authorization server gave no token for Otus");
            Err(if theirs { Refused::Expired } else { Refused::Unavailable })
        }
    }
}

/// Of other types it would have to be shown otherwise.
fn is_bearer(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"))
}

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const MOST_REMEMBERED: u64 = 10_000;
/// However long it lives.
const LONGEST: Duration = Duration::from_hours(1);
/// Before its end, so that it does not end on the way.
const MARGIN: Duration = Duration::from_secs(10);

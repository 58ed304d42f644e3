//! The authorization endpoint: a client asks, a person answers, the client gets a code.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::ORIGIN;
use http::{HeaderMap, StatusCode};
use thiserror::Error;

use super::client::{Client, GrantType};
use super::parameters::{Parameters, Repeated};
use super::people::{self, Person};
use super::store::{Code, Grant};
use super::{Now, Provider, Unavailable, page, random, redirect};

pub(super) async fn ask(
    State(provider): State<Arc<Provider>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Stop> {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes())?;
    let question = question(&provider, &parameters).await?;
    Ok(page::sign_in(&question, None))
}

/// The form carries the whole request, so nothing needs to be remembered between page and answer,
/// and everything is checked again.
pub(super) async fn answer(
    State(provider): State<Arc<Provider>>,
    Extension(Now(now)): Extension<Now>,
    headers: HeaderMap,
    form: Bytes,
) -> Result<Response, Stop> {
    // Any page on the web can post a form here and knows the password; its code would be sent
    // to whoever registered a client. Only the browser can tell such a form from ours.
    if headers.get(ORIGIN).is_some_and(|origin| *origin != *provider.issuer) {
        return Err(Untrusted::Origin.into());
    }
    let form = Parameters::parse(&form)?;
    let question = question(&provider, &form).await?;
    if form.get(REFUSE).is_some() {
        return Err(question.asker.denied(Denied::Person));
    }
    let (name, password) = (form.get(USER), form.get(SECRET));
    let Some(person) = people::sign_in(name.unwrap_or_default(), password.unwrap_or_default())
    else {
        let again = page::sign_in(&question, Some(WRONG));
        return Ok((StatusCode::FORBIDDEN, again).into_response());
    };
    allow(&provider, &question, person, now).await
}

async fn allow(
    provider: &Provider,
    question: &Question<'_>,
    person: &'static Person,
    now: SystemTime,
) -> Result<Response, Stop> {
    let Some(scopes) = person.scopes.granted(question.scope) else {
        return Err(question.asker.denied(Denied::Scope));
    };
    let text = random::secret()?;
    let mut store = provider.store.lock().await;
    let grant = Grant {
        client_id: question.asker.client.id.clone(),
        subject: person.name,
        scopes,
        sign_in: store.sign_in(),
    };
    let code = Code {
        grant,
        redirect_uri: question.asker.redirect_uri.to_owned(),
        challenge: question.challenge.to_owned(),
        issued: now,
    };
    let location = question.asker.back(&[("code", &text)]);
    store.put_code(text, code);
    Ok(Redirect::to(&location).into_response())
}

/// What the person is asked.
pub(super) struct Question<'a> {
    pub(super) asker: Asker<'a>,
    pub(super) scope: Option<&'a str>,
    pub(super) resource: &'a str,
    pub(super) parameters: &'a Parameters,
    challenge: &'a str,
}

async fn question<'a>(
    provider: &'a Provider,
    parameters: &'a Parameters,
) -> Result<Question<'a>, Stop> {
    let asker = asker(provider, parameters).await?;
    let resource = &provider.resource;
    let challenge =
        challenge(&asker.client, parameters, resource).map_err(|denied| asker.denied(denied))?;
    Ok(Question { asker, scope: parameters.get("scope"), resource, parameters, challenge })
}

/// A client that may be answered, and the way back to it.
pub(super) struct Asker<'a> {
    pub(super) client: Client,
    pub(super) redirect_uri: &'a str,
    state: Option<&'a str>,
    issuer: &'a str,
}

async fn asker<'a>(
    provider: &'a Provider,
    parameters: &'a Parameters,
) -> Result<Asker<'a>, Untrusted> {
    let id = parameters.get("client_id").unwrap_or_default();
    let client = provider.store.lock().await.client(id).cloned().ok_or(Untrusted::Client)?;
    let redirect_uri = parameters
        .get("redirect_uri")
        .filter(|uri| client.may_return_to(uri))
        .ok_or(Untrusted::RedirectUri)?;
    Ok(Asker { client, redirect_uri, state: parameters.get("state"), issuer: &provider.issuer })
}

impl Asker<'_> {
    fn denied(&self, denied: Denied) -> Stop {
        let error = denied.code();
        tracing::info!(error, reason = %denied, "the identity provider gives no code");
        Stop::Back(self.back(&[("error", error), ("error_description", &denied.to_string())]))
    }

    /// RFC 9207 §2: the issuer goes along, with a code and with an error.
    fn back(&self, answer: &[(&str, &str)]) -> String {
        let state = self.state.map(|state| ("state", state));
        let answer: Vec<_> =
            answer.iter().copied().chain(state).chain([("iss", self.issuer)]).collect();
        redirect::with(self.redirect_uri, &answer)
    }
}

/// The PKCE challenge of a request that may be put to a person.
fn challenge<'a>(
    client: &Client,
    parameters: &'a Parameters,
    resource: &str,
) -> Result<&'a str, Denied> {
    if parameters.get("response_type") != Some("code") {
        return Err(Denied::ResponseType);
    }
    if !client.may(GrantType::AuthorizationCode) {
        return Err(Denied::Client);
    }
    // RFC 7636 §4.3: no method means `plain`.
    if parameters.get("code_challenge_method") != Some("S256") {
        return Err(Denied::Method);
    }
    if !parameters.ask_only_for(resource) {
        return Err(Denied::Resource);
    }
    let is_digest = |challenge: &&str| challenge.len() == 43;
    parameters.get("code_challenge").filter(is_digest).ok_or(Denied::Challenge)
}

/// Why there is no code: said to the person, or to the client by way of the browser.
pub(super) enum Stop {
    Page(Untrusted),
    Back(String),
}

/// Reasons that leave nobody to send the browser back to (RFC 6749 §4.1.2.1).
#[derive(Debug, Error)]
pub(super) enum Untrusted {
    #[error(transparent)]
    Repeated(#[from] Repeated),
    #[error("no such client is registered here; after a restart of `postern dev`, register again")]
    Client,
    #[error("redirect_uri is not one that this client registered")]
    RedirectUri,
    #[error("this form was sent from another site")]
    Origin,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

#[derive(Debug, Clone, Copy, Error)]
enum Denied {
    #[error("response_type must be code")]
    ResponseType,
    #[error("the client is not registered for the authorization_code grant")]
    Client,
    #[error("code_challenge_method must be S256")]
    Method,
    #[error("code_challenge must be 43 letters of base64url")]
    Challenge,
    #[error("resource is not the one this provider issues tokens for")]
    Resource,
    #[error("this person can grant none of the scopes asked for")]
    Scope,
    #[error("the person refused")]
    Person,
}

impl Denied {
    fn code(self) -> &'static str {
        match self {
            Self::ResponseType => "unsupported_response_type",
            Self::Client => "unauthorized_client",
            Self::Method | Self::Challenge => "invalid_request",
            Self::Resource => "invalid_target",
            Self::Scope => "invalid_scope",
            Self::Person => "access_denied",
        }
    }
}

impl<T: Into<Untrusted>> From<T> for Stop {
    fn from(untrusted: T) -> Self {
        Self::Page(untrusted.into())
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        match self {
            Self::Page(untrusted) => page::refusal(&untrusted),
            Self::Back(location) => Redirect::to(&location).into_response(),
        }
    }
}

pub(super) const USER: &str = "user";
pub(super) const SECRET: &str = "password";
pub(super) const REFUSE: &str = "refuse";
const WRONG: &str = "That is not the password.";

#[cfg(test)]
mod tests {
    use super::super::rig::{REDIRECT, Reply, Rig, valid};

    /// The client is told by way of the browser.
    #[track_caller]
    fn denies(reply: &Reply, error: &str) {
        assert_eq!(reply.status, 303, "{}", reply.body);
        assert_eq!(reply.back("error").as_deref(), Some(error));
        assert_eq!(reply.back("state").as_deref(), Some("a state"));
        assert_eq!(reply.back("iss").as_deref(), Some(Rig::ISSUER));
        assert_eq!(reply.back("code"), None);
    }

    /// The person is told, and the browser stays where it is.
    #[track_caller]
    fn stops(reply: &Reply, reason: &str) {
        assert_eq!(reply.status, 400);
        assert!(reply.body.contains(reason), "{}", reply.body);
        assert_eq!(reply.header("location"), None);
    }

    #[tokio::test]
    async fn answers_with_code_state_and_issuer() {
        let rig = Rig::new();
        let reply = rig.sign_in(&valid(&rig.register().await)).await;
        assert_eq!(reply.status, 303);
        assert!(reply.header("location").unwrap().starts_with(&format!("{REDIRECT}?code=")));
        assert_eq!(reply.back("state").as_deref(), Some("a state"));
        assert_eq!(reply.back("iss").as_deref(), Some(Rig::ISSUER));
    }

    #[tokio::test]
    async fn lets_a_loopback_client_choose_its_port() {
        let rig = Rig::new();
        let asked = valid(&rig.register().await).with("redirect_uri", "http://127.0.0.1:5/back");
        let reply = rig.sign_in(&asked).await;
        assert!(reply.header("location").unwrap().starts_with("http://127.0.0.1:5/back?code="));
    }

    #[tokio::test]
    async fn sends_nobody_to_a_foreign_redirect_uri() {
        let rig = Rig::new();
        let asked = valid(&rig.register().await).with("redirect_uri", "https://evil.example/");
        stops(&rig.ask(&asked).await, "redirect_uri is not one");
        stops(&rig.sign_in(&asked).await, "redirect_uri is not one");
    }

    #[tokio::test]
    async fn sends_nobody_back_for_an_unknown_client() {
        let rig = Rig::new();
        stops(&rig.ask(&valid("somebody")).await, "no such client");
    }

    #[tokio::test]
    async fn sends_nobody_back_when_a_parameter_is_repeated() {
        let rig = Rig::new();
        let asked = valid(&rig.register().await).and("redirect_uri", "https://evil.example/");
        stops(&rig.ask(&asked).await, "redirect_uri is given more than once");
    }

    #[tokio::test]
    async fn denies_a_request_without_pkce() {
        let rig = Rig::new();
        let asked = valid(&rig.register().await);
        denies(&rig.ask(&asked.clone().without("code_challenge")).await, "invalid_request");
        denies(&rig.sign_in(&asked.without("code_challenge")).await, "invalid_request");
    }

    #[tokio::test]
    async fn denies_plain_pkce_said_or_implied() {
        let rig = Rig::new();
        let asked = valid(&rig.register().await);
        let plain = asked.clone().with("code_challenge_method", "plain");
        denies(&rig.ask(&plain).await, "invalid_request");
        denies(&rig.ask(&asked.without("code_challenge_method")).await, "invalid_request");
    }

    #[tokio::test]
    async fn denies_a_foreign_resource() {
        let rig = Rig::new();
        let asked = valid(&rig.register().await).with("resource", "https://127.0.0.1:8443/mcp/");
        denies(&rig.ask(&asked).await, "invalid_target");
    }

    #[tokio::test]
    async fn denies_the_implicit_grant() {
        let rig = Rig::new();
        let asked = valid(&rig.register().await).with("response_type", "token");
        denies(&rig.ask(&asked).await, "unsupported_response_type");
    }

    #[tokio::test]
    async fn denies_scopes_the_person_does_not_have() {
        let rig = Rig::new();
        let asked = valid(&rig.register().await).with("scope", "mcp:write");
        denies(&rig.sign_in_as("grace", &asked).await, "invalid_scope");
    }

    #[tokio::test]
    async fn tells_the_client_that_the_person_refused() {
        let rig = Rig::new();
        let asked = valid(&rig.register().await).and("refuse", "yes");
        denies(&rig.sign_in(&asked).await, "access_denied");
    }

    #[tokio::test]
    async fn asks_again_after_a_wrong_password() {
        let rig = Rig::new();
        let asked = valid(&rig.register().await).and("user", "ada").and("password", "guess");
        let reply = rig.post("/authorize", &asked).await;
        assert_eq!(reply.status, 403);
        assert!(reply.body.contains("That is not the password."));
        assert!(reply.body.contains("<form"));
    }

    #[tokio::test]
    async fn takes_no_form_from_another_site() {
        let rig = Rig::new();
        let asked = valid(&rig.register().await).and("user", "ada").and("password", "laptop");
        let origin = [("origin", "https://evil.example")];
        stops(&rig.post_with("/authorize", &origin, &asked).await, "from another site");
        let own = [("origin", Rig::ISSUER)];
        assert_eq!(rig.post_with("/authorize", &own, &asked).await.status, 303);
    }
}

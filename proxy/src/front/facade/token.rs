//! Tokens, for who began and for nobody else.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::form_urlencoded::Serializer;

use super::hand_back::Code;
use super::refused::Refused;
use super::{Desk, endpoint};
use crate::front::parameters::Parameters;
use crate::front::seal::For;
use crate::front::secrets::{challenge, digest_of};
use crate::outbound::{Content, Document, Failed, Question, credentials};
use crate::pipeline::front::Reply;
use crate::reason::Reason;

/// What a client gets instead of the issuer's refresh token.
#[derive(Serialize, Deserialize)]
struct Refresh {
    token: String,
    client: String,
    resource: String,
}

impl Desk<'_> {
    pub(super) async fn token(&self) -> Result<Reply, Refused> {
        if self.caller.request.headers.contains_key(header::AUTHORIZATION) {
            // Nobody was given a secret.
            return Err(Refused::Client);
        }
        let form = Parameters::read(self.caller.body).ok_or(Refused::Request("repeated"))?;
        let client = digest_of(form.get("client_id").ok_or(Refused::Client)?);
        match form.get("grant_type") {
            Some("authorization_code") => self.redeem(&form, client).await,
            Some("refresh_token") => self.renew(&form, client).await,
            Some(_) => Err(Refused::GrantType),
            None => Err(Refused::Request("grant_type")),
        }
    }

    async fn redeem(&self, form: &Parameters, client: String) -> Result<Reply, Refused> {
        let Self { front, caller, .. } = *self;
        let sealed = form.get("code").ok_or(Refused::Request("code"))?;
        let to = For { purpose: "code", whom: &[self.origin()] };
        let code: Code = front.seal.open(to, sealed, caller.now).map_err(|_| Refused::Grant)?;
        let says = |name: &str, held: &str| form.get(name).is_none_or(|said| said == held);
        if code.client != client || !says("redirect_uri", &code.redirect_uri) {
            return Err(Refused::Grant);
        }
        if !says("resource", &code.resource) {
            return Err(Refused::Resource);
        }
        let verifier = form.get("code_verifier").ok_or(Refused::Verifier)?;
        if !matches(verifier, &code.challenge) {
            return Err(Refused::Verifier);
        }
        // The issuer takes its code once, whichever replica shows it. This one need not ask.
        if !front.used.take(sealed) {
            return Err(Refused::Grant);
        }
        let callback = self.callback();
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", &code.theirs),
            ("redirect_uri", &callback),
            ("code_verifier", &code.verifier),
        ];
        self.ask_issuer(&grant, client, code.resource).await
    }

    async fn renew(&self, form: &Parameters, client: String) -> Result<Reply, Refused> {
        let sealed = form.get("refresh_token").ok_or(Refused::Request("refresh_token"))?;
        let to = For { purpose: "refresh", whom: &[self.origin()] };
        let opened = self.front.seal.open(to, sealed, self.caller.now);
        let held: Refresh = opened.map_err(|_| Refused::Grant)?;
        if held.client != client {
            return Err(Refused::Grant);
        }
        if form.get("resource").is_some_and(|named| named != held.resource) {
            return Err(Refused::Resource);
        }
        let grant = [("grant_type", "refresh_token"), ("refresh_token", &*held.token)];
        self.ask_issuer(&grant, client, held.resource).await
    }

    async fn ask_issuer(
        &self,
        grant: &[(&str, &str)],
        client: String,
        resource: String,
    ) -> Result<Reply, Refused> {
        let front = self.front;
        let metadata = front.metadata().await.ok_or(Refused::Unavailable)?;
        let endpoint = endpoint(&metadata, "token_endpoint").ok_or(Refused::Issuer)?;
        let question = self.question(grant, &resource);
        let outbound = front.outbound.on_behalf_of_issuer(&front.rules.issuer);
        let answer = outbound.ask(&endpoint, question).await.map_err(|why| told(&why))?;
        if answer.status != StatusCode::OK {
            return Err(refused(&answer));
        }
        let told: Map<String, Value> =
            serde_json::from_slice(&answer.body).map_err(|_| Refused::Issuer)?;
        self.pass_on(&told, client, resource)
    }

    /// As our own client there.
    fn question(&self, grant: &[(&str, &str)], resource: &str) -> Question {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(grant);
        if let Some((name, value)) = self.front.rules.asking.resource(resource) {
            form.append_pair(name, value);
        }
        let authorization = credentials::identify(&mut form, &self.rules.client);
        let headers = authorization.map(|value| (header::AUTHORIZATION, value));
        Question {
            method: Method::POST,
            headers: headers.into_iter().collect(),
            content: Some(Content::Form(form.finish())),
        }
    }

    /// What a client needs, and none of what is for us: an ID token names our client, not this one.
    fn pass_on(
        &self,
        told: &Map<String, Value>,
        client: String,
        resource: String,
    ) -> Result<Reply, Refused> {
        let text = |name: &str| told.get(name).and_then(Value::as_str);
        let access =
            text("access_token").filter(|token| !token.is_empty()).ok_or(Refused::Issuer)?;
        let is_bearer = text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
        if !is_bearer {
            return Err(Refused::Issuer);
        }
        let mut given = Map::from_iter([
            ("access_token".to_owned(), json!(access)),
            ("token_type".to_owned(), json!("Bearer")),
        ]);
        // Some write the number as a text.
        let lasts = told.get("expires_in");
        let lasts = lasts.and_then(|lasts| lasts.as_u64().or_else(|| lasts.as_str()?.parse().ok()));
        given.extend(lasts.map(|lasts| ("expires_in".to_owned(), json!(lasts))));
        // Where the issuer has other names for them, clients would not know theirs.
        let scope = text("scope").filter(|_| self.front.rules.asking.scopes.is_empty());
        given.extend(scope.map(|scope| ("scope".to_owned(), json!(scope))));
        if let Some(token) = text("refresh_token") {
            let held = Refresh { token: token.to_owned(), client, resource };
            let to = For { purpose: "refresh", whom: &[self.origin()] };
            let until = self.caller.now + REFRESH_LASTS;
            let sealed = self.front.seal.seal(to, &held, until).ok_or(Refused::Issuer)?;
            given.insert("refresh_token".to_owned(), json!(sealed));
        }
        Ok(Reply::json(Reason::Front, StatusCode::OK, &Value::Object(given)))
    }
}

/// RFC 7636 section 4.6.
fn matches(verifier: &str, known: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && verify_slices_are_equal(challenge(verifier).as_bytes(), known.as_bytes()).is_ok()
}

/// What an error of the issuer's comes to (RFC 6749 section 5.2).
fn refused(answer: &Document) -> Refused {
    if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
        return Refused::Unavailable;
    }
    let told: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let error = told.as_ref().and_then(|told| told.get("error")).and_then(Value::as_str);
    let refused = match error {
        Some("invalid_grant") => return Refused::Grant,
        Some("invalid_client" | "unauthorized_client") => Refused::Credentials,
        Some(_) | None if answer.status == StatusCode::UNAUTHORIZED => Refused::Credentials,
        Some(_) | None => Refused::Issuer,
    };
    let known = ["invalid_target", "invalid_scope", "invalid_request", "unsupported_grant_type"];
    let error = known.into_iter().find(|known| Some(*known) == error);
    let status = answer.status.as_u16();
    tracing::warn!(status, error, why = %refused, "no tokens for a client of the facade");
    refused
}

fn told(why: &Failed) -> Refused {
    tracing::warn!(%why, "the issuer cannot be asked for tokens");
    match why {
        Failed::Unreachable(_) => Refused::Unavailable,
        Failed::Insecure | Failed::Refused(_) | Failed::Status(_) | Failed::TooLarge => {
            Refused::Issuer
        }
    }
}

/// When it ends in truth the issuer says.
const REFRESH_LASTS: Duration = Duration::from_hours(24 * 365);

//! A login as OAuth 2.1 and `OpenID` Connect have it.

use std::time::SystemTime;

use http::{Method, StatusCode, header};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::Serializer;

use super::Login;
use super::pending::Pending;
use super::refused::Refused;
use super::tokens::{Kind, Tokens};
use crate::config::Source;
use crate::config::front::OwnClient;
use crate::front::secrets::challenge;
use crate::outbound::{Content, Document, Failed, Question, credentials};
use crate::pipeline::claims::Claims;
use crate::pipeline::identity::{Expected, NotOurs};
use crate::refresh::Looked;

/// Where the browser goes, with all that will be asked about when it comes back.
pub(super) fn authorize(
    login: &Login,
    (client, scopes): (&OwnClient, &[String]),
    metadata: &Map<String, Value>,
    pending: &mut Pending,
) -> Result<String, Refused> {
    if !knows_s256(metadata) {
        return Err(Refused::Answer("it does not do PKCE with S256"));
    }
    let says_so = metadata.get("authorization_response_iss_parameter_supported");
    pending.signed_off = says_so.and_then(Value::as_bool).unwrap_or(false);
    let mut to = place(metadata, "authorization_endpoint")?;
    {
        let mut query = to.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", &login.rules.redirect_uri)
            .append_pair("state", &pending.state)
            .append_pair("nonce", &pending.nonce)
            .append_pair("code_challenge", &challenge(&pending.verifier))
            .append_pair("code_challenge_method", "S256");
        if let Some((name, value)) = login.asking.resource(login.rules.resource.as_str()) {
            query.append_pair(name, value);
        }
        if !scopes.is_empty() {
            query.append_pair("scope", &login.asking.scopes(&scopes.join(" ")));
        }
    }
    Ok(to.into())
}

/// Tokens for a code.
pub(super) async fn redeem(
    login: &Login,
    client: &OwnClient,
    metadata: &Map<String, Value>,
    (code, pending): (&str, &Pending),
) -> Result<Tokens, Refused> {
    let grant = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &login.rules.redirect_uri),
        ("code_verifier", &pending.verifier),
    ];
    ask(login, metadata, question(login, client, &grant), Refused::Code).await
}

/// Tokens for a refresh token.
pub(super) async fn renew(
    login: &Login,
    client: &OwnClient,
    metadata: &Map<String, Value>,
    token: &str,
) -> Result<Tokens, Refused> {
    let grant = [("grant_type", "refresh_token"), ("refresh_token", token)];
    ask(login, metadata, question(login, client, &grant), Refused::RefreshToken).await
}

/// Whether the issuer says that it was this browser's login. A key that has just come into use is asked
/// for once.
pub(super) async fn believe(
    login: &Login,
    client: &OwnClient,
    pending: &Pending,
    tokens: &Tokens,
    now: SystemTime,
) -> Result<(), Refused> {
    let token = tokens.id_token.as_deref().ok_or(Refused::NoIdToken)?;
    let (issuer, index) = &login.issuer;
    let expected = Expected {
        issuer: (issuer, *index),
        client: &client.id,
        nonce: &pending.nonce,
        access_token: &tokens.access,
    };
    if let Source::Introspection(_) = issuer.source {
        return expected.check_unsigned(token, now).map_err(told);
    }
    let holder = login.trust.holders().nth(*index).ok_or(Refused::Internal)?;
    let keys = holder.keyring.current().ok_or(Refused::Unavailable)?;
    match expected.check(token, &keys, now) {
        Err(NotOurs::UnknownKey(key)) => match login.trust.look_again(key).await {
            Looked::Again => {
                let keys = holder.keyring.current().ok_or(Refused::Unavailable)?;
                expected.check(token, &keys, now).map_err(told)
            }
            Looked::InVain => Err(Refused::Unavailable),
        },
        checked => checked.map_err(told),
    }
}

fn question(login: &Login, client: &OwnClient, grant: &[(&str, &str)]) -> Question {
    let mut form = Serializer::new(String::new());
    form.extend_pairs(grant);
    form.extend_pairs(login.asking.resource(login.rules.resource.as_str()));
    let authorization = credentials::identify(&mut form, client);
    let headers = authorization.map(|value| (header::AUTHORIZATION, value));
    Question {
        method: Method::POST,
        headers: headers.into_iter().collect(),
        content: Some(Content::Form(form.finish())),
    }
}

async fn ask(
    login: &Login,
    metadata: &Map<String, Value>,
    question: Question,
    refusal: Refused,
) -> Result<Tokens, Refused> {
    let endpoint = place(metadata, "token_endpoint")?;
    let Document { status, body, .. } =
        login.outbound.ask(&endpoint, question).await.map_err(|why| unasked(&why))?;
    if status == StatusCode::OK {
        return Tokens::read(&body, Kind::Said).map_err(|what| told(Refused::Answer(what)));
    }
    Err(told(refused(status, &body, refusal)))
}

/// Who cannot be reached may be in a moment; who may not be asked, or has no end, is wrong.
pub(super) fn unasked(why: &Failed) -> Refused {
    tracing::warn!(%why, "a login cannot go on: nobody answers it");
    match why {
        Failed::Unreachable(_) => Refused::Unavailable,
        Failed::Insecure | Failed::Refused(_) | Failed::Status(_) | Failed::TooLarge => {
            Refused::Answer("it cannot be asked, or its answer has no end")
        }
    }
}

/// What an error of the token endpoint comes to (RFC 6749 section 5.2).
fn refused(status: StatusCode, answer: &[u8], refusal: Refused) -> Refused {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Refused::Unavailable;
    }
    let members = Claims::read(answer);
    match members.as_ref().and_then(|members| members.text("error")) {
        Some("invalid_grant") => refusal,
        Some("invalid_client" | "unauthorized_client") => Refused::Credentials,
        Some("invalid_target") => Refused::Failed("invalid_target"),
        Some("invalid_scope") => Refused::Failed("invalid_scope"),
        Some("invalid_request") => Refused::Failed("invalid_request"),
        Some("unsupported_grant_type") => Refused::Failed("unsupported_grant_type"),
        Some(_) | None if status == StatusCode::UNAUTHORIZED => Refused::Credentials,
        Some(_) | None => Refused::Answer("neither tokens nor an error that OAuth knows"),
    }
}

/// What whoever runs the gateway has to mend, they are told.
fn told<R: Into<Refused>>(refused: R) -> Refused {
    let refused = refused.into();
    let (status, _) = refused.told();
    if status == StatusCode::BAD_GATEWAY {
        tracing::warn!(reason = refused.reason().code(), why = %refused, "a login has failed");
    }
    refused
}

impl From<NotOurs> for Refused {
    fn from(why: NotOurs) -> Self {
        Self::IdToken(why)
    }
}

fn place(metadata: &Map<String, Value>, name: &'static str) -> Result<Url, Refused> {
    let text = metadata.get(name).and_then(Value::as_str);
    let place = text.and_then(|text| Url::parse(text).ok());
    place.ok_or_else(|| told(Refused::Answer("its metadata lacks an endpoint")))
}

/// Many issuers say nothing of it and do it. One that says what it does is believed.
fn knows_s256(metadata: &Map<String, Value>) -> bool {
    let named = metadata.get("code_challenge_methods_supported").and_then(Value::as_array);
    named.is_none_or(|methods| methods.iter().any(|method| method == "S256"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_fault_it_is_is_told_apart() {
        let of = |status: u16, answer: &str| {
            refused(StatusCode::from_u16(status).unwrap(), answer.as_bytes(), Refused::Code)
        };
        assert_eq!(of(400, r#"{"error":"invalid_grant"}"#), Refused::Code);
        assert_eq!(of(401, r#"{"error":"invalid_client"}"#), Refused::Credentials);
        assert_eq!(of(401, "<html>"), Refused::Credentials);
        assert_eq!(of(400, r#"{"error":"invalid_target"}"#), Refused::Failed("invalid_target"));
        assert_eq!(of(500, r#"{"error":"invalid_grant"}"#), Refused::Unavailable);
        assert_eq!(of(429, ""), Refused::Unavailable);
        assert!(matches!(of(400, r#"{"error":"x","error":"y"}"#), Refused::Answer(_)));
        assert!(matches!(of(302, ""), Refused::Answer(_)));
    }

    #[test]
    fn an_issuer_that_says_what_it_does_must_do_s256() {
        let of = |text: &str| knows_s256(&serde_json::from_str(text).unwrap());
        assert!(of("{}") && of(r#"{"code_challenge_methods_supported":["plain","S256"]}"#));
        assert!(!of(r#"{"code_challenge_methods_supported":["plain"]}"#));
        assert!(!of(r#"{"code_challenge_methods_supported":[]}"#));
    }
}

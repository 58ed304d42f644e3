//! The token endpoint: a code, a refresh token or a client's own secret, for an access token.

use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde::Serialize;

use super::client::{Client, GrantType, authenticate};
use super::parameters::Parameters;
use super::people::Scopes;
use super::refusal::Refusal;
use super::signing::LIFETIME;
use super::store::{Grant, Store};
use super::{Now, Provider, random};

/// RFC 6749 §5.1.
#[derive(Serialize)]
pub(super) struct Issued {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

pub(super) async fn token(
    State(provider): State<Arc<Provider>>,
    Extension(Now(now)): Extension<Now>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Issued>, Refusal> {
    let form = Parameters::parse(&body)?;
    let mut store = provider.store.lock().await;
    let client = authenticate(&headers, &form, &store)?.clone();
    let kind = form.get("grant_type").ok_or(Refusal::Missing("grant_type"))?;
    let kind = GrantType::named(kind).ok_or(Refusal::GrantType)?;
    if !client.may(kind) {
        return Err(Refusal::ForbiddenGrantType);
    }
    if !form.ask_only_for(&provider.resource) {
        return Err(Refusal::Resource);
    }
    let (subject, scopes, refresh_token) = match kind {
        GrantType::AuthorizationCode => {
            let grant = redeem(&mut store, &client, &form, now)?;
            (grant.subject, grant.scopes, successor(&mut store, &client, grant)?)
        }
        GrantType::RefreshToken => {
            let (grant, scopes) = renew(&mut store, &client, &form)?;
            (grant.subject, scopes, successor(&mut store, &client, grant)?)
        }
        GrantType::ClientCredentials => {
            let scopes = Scopes::ALL.granted(form.get("scope")).ok_or(Refusal::Scope)?;
            // RFC 9068 §2.2: where there is no person, the client is the subject.
            (client.id.as_str(), scopes, None)
        }
    };
    Ok(Json(Issued {
        access_token: provider.mint(subject, &client.id, scopes, now)?,
        token_type: "Bearer",
        expires_in: LIFETIME.as_secs(),
        scope: scopes.to_string(),
        refresh_token,
    }))
}

fn redeem(
    store: &mut Store,
    client: &Client,
    form: &Parameters,
    now: SystemTime,
) -> Result<Grant, Refusal> {
    let text = form.get("code").ok_or(Refusal::Missing("code"))?;
    let verifier = form.get("code_verifier").ok_or(Refusal::Missing("code_verifier"))?;
    // From here on the code is spent: whoever fails below does not get a second guess.
    let code = store.take_code(text, now).ok_or(Refusal::Code)?;
    if code.grant.client_id != client.id {
        return Err(Refusal::OtherClient);
    }
    // OAuth 2.1 clients no longer repeat it; who does must repeat it exactly.
    if form.get("redirect_uri").is_some_and(|uri| uri != code.redirect_uri) {
        return Err(Refusal::RedirectUri);
    }
    if URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) != code.challenge {
        return Err(Refusal::Verifier);
    }
    Ok(code.grant)
}

/// The grant as it was given, and the part of it that this access token is for.
fn renew(
    store: &mut Store,
    client: &Client,
    form: &Parameters,
) -> Result<(Grant, Scopes), Refusal> {
    let text = form.get("refresh_token").ok_or(Refusal::Missing("refresh_token"))?;
    let grant = store.refresh(text).ok_or(Refusal::RefreshToken)?;
    if grant.client_id != client.id {
        return Err(Refusal::OtherClient);
    }
    let scopes = grant.scopes.narrowed(form.get("scope")).ok_or(Refusal::Scope)?;
    store.retire(text);
    Ok((grant, scopes))
}

/// The next refresh token, for clients that registered to use one.
fn successor(store: &mut Store, client: &Client, grant: Grant) -> Result<Option<String>, Refusal> {
    if !client.may(GrantType::RefreshToken) {
        return Ok(None);
    }
    let text = random::secret()?;
    store.put_refresh(text.clone(), grant);
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    use serde_json::{Value, json};

    use super::super::CLIENT_ID;
    use super::super::rig::{Form, REDIRECT, Reply, Rig, VERIFIER, valid};

    /// A token request with nothing wrong, for a code that Ada has just allowed.
    async fn exchange(rig: &Rig) -> Form {
        let client = rig.register().await;
        let code = rig.sign_in(&valid(&client)).await.back("code").unwrap();
        Form::of(&[
            ("grant_type", "authorization_code"),
            ("client_id", &client),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", REDIRECT),
            ("resource", Rig::RESOURCE),
        ])
    }

    /// A refresh with nothing wrong.
    async fn refresh(rig: &Rig) -> Form {
        let asked = exchange(rig).await;
        next(&asked, &rig.post("/token", &asked).await)
    }

    fn next(asked: &Form, reply: &Reply) -> Form {
        let token = reply.json()["refresh_token"].as_str().unwrap().to_owned();
        let asked = asked.clone().without("code").without("code_verifier");
        asked.with("grant_type", "refresh_token").with("refresh_token", &token)
    }

    fn own(rig: &Rig) -> Form {
        Form::of(&[
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT_ID),
            ("client_secret", rig.provider().secret()),
        ])
    }

    #[track_caller]
    fn refuses(reply: &Reply, error: &str) {
        let status = if error == "invalid_client" { 401 } else { 400 };
        assert_eq!(
            (reply.status, &reply.json()["error"]),
            (status, &json!(error)),
            "{}",
            reply.body
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    }

    async fn refuses_when(spoil: impl FnOnce(Form) -> Form, error: &str) {
        let rig = Rig::new();
        let asked = spoil(exchange(&rig).await);
        refuses(&rig.post("/token", &asked).await, error);
    }

    fn claims(rig: &Rig, token: &str) -> Value {
        let key = DecodingKey::from_jwk(&rig.provider().signer.jwks().keys[0]).unwrap();
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_audience(&[Rig::RESOURCE]);
        rules.validate_exp = false;
        let token = decode::<Value>(token, &key, &rules).unwrap();
        assert_eq!(token.header.typ.as_deref(), Some("at+jwt"));
        assert_eq!(token.header.kid, rig.provider().signer.jwks().keys[0].common.key_id);
        token.claims
    }

    #[tokio::test]
    async fn gives_a_token_for_a_code() {
        let rig = Rig::new();
        let asked = exchange(&rig).await;
        let reply = rig.post("/token", &asked).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let issued = reply.json();
        assert_eq!((&issued["token_type"], &issued["expires_in"]), (&json!("Bearer"), &json!(600)));
        let claims = claims(&rig, issued["access_token"].as_str().unwrap());
        assert_eq!(claims["iss"], Rig::ISSUER);
        assert_eq!(claims["sub"], "ada");
        assert_eq!(claims["aud"], Rig::RESOURCE);
        assert_eq!(claims["scope"], "mcp:read mcp:write");
        assert_eq!(claims["iat"], 1_800_000_000);
        assert_eq!(claims["exp"], 1_800_000_600);
        assert!(claims["jti"].is_string() && claims["client_id"].is_string());
    }

    #[tokio::test]
    async fn gives_no_more_than_the_person_has() {
        let rig = Rig::new();
        let client = rig.register().await;
        let code = rig.sign_in_as("grace", &valid(&client)).await.back("code").unwrap();
        let asked = exchange(&rig).await.with("client_id", &client).with("code", &code);
        assert_eq!(rig.post("/token", &asked).await.json()["scope"], "mcp:read");
    }

    #[tokio::test]
    async fn refuses_a_wrong_verifier_and_gives_no_second_guess() {
        let rig = Rig::new();
        let asked = exchange(&rig).await;
        refuses(
            &rig.post("/token", &asked.clone().with("code_verifier", REDIRECT)).await,
            "invalid_grant",
        );
        refuses(&rig.post("/token", &asked).await, "invalid_grant");
    }

    #[tokio::test]
    async fn refuses_a_missing_verifier() {
        refuses_when(|asked| asked.without("code_verifier"), "invalid_request").await;
    }

    #[tokio::test]
    async fn refuses_a_code_used_before_and_ends_what_came_of_it() {
        let rig = Rig::new();
        let asked = exchange(&rig).await;
        let refresh = next(&asked, &rig.post("/token", &asked).await);
        refuses(&rig.post("/token", &asked).await, "invalid_grant");
        refuses(&rig.post("/token", &refresh).await, "invalid_grant");
    }

    #[tokio::test]
    async fn refuses_a_code_after_a_minute() {
        let rig = Rig::new();
        let asked = exchange(&rig).await;
        rig.wait(60);
        refuses(&rig.post("/token", &asked).await, "invalid_grant");
    }

    #[tokio::test]
    async fn refuses_the_code_of_another_client() {
        let rig = Rig::new();
        let (asked, other) = (exchange(&rig).await, rig.register().await);
        refuses(&rig.post("/token", &asked.with("client_id", &other)).await, "invalid_grant");
    }

    #[tokio::test]
    async fn refuses_another_redirect_uri_than_the_codes() {
        let uri = "http://127.0.0.1:1/back";
        refuses_when(|asked| asked.with("redirect_uri", uri), "invalid_grant").await;
    }

    #[tokio::test]
    async fn refuses_a_foreign_resource() {
        let resource = "https://other.example/mcp";
        refuses_when(|asked| asked.with("resource", resource), "invalid_target").await;
    }

    #[tokio::test]
    async fn refuses_an_unknown_client() {
        refuses_when(|asked| asked.with("client_id", "somebody"), "invalid_client").await;
        refuses_when(|asked| asked.without("client_id"), "invalid_client").await;
    }

    #[tokio::test]
    async fn refuses_a_secret_from_a_client_that_has_none() {
        refuses_when(|asked| asked.and("client_secret", "guess"), "invalid_client").await;
    }

    #[tokio::test]
    async fn refuses_a_grant_type_it_does_not_know() {
        refuses_when(|asked| asked.with("grant_type", "password"), "unsupported_grant_type").await;
        refuses_when(|asked| asked.without("grant_type"), "invalid_request").await;
    }

    #[tokio::test]
    async fn refuses_a_grant_type_the_client_did_not_register() {
        let kind = "client_credentials";
        refuses_when(|asked| asked.with("grant_type", kind), "unauthorized_client").await;
    }

    #[tokio::test]
    async fn refuses_a_parameter_given_twice() {
        refuses_when(|asked| asked.and("code", "another"), "invalid_request").await;
    }

    #[tokio::test]
    async fn rotates_the_refresh_token() {
        let rig = Rig::new();
        let first = refresh(&rig).await;
        let second = next(&first, &rig.post("/token", &first).await);
        assert_eq!(rig.post("/token", &second).await.status, 200);
    }

    #[tokio::test]
    async fn ends_the_sign_in_when_a_refresh_token_comes_twice() {
        let rig = Rig::new();
        let first = refresh(&rig).await;
        let second = next(&first, &rig.post("/token", &first).await);
        refuses(&rig.post("/token", &first).await, "invalid_grant");
        refuses(&rig.post("/token", &second).await, "invalid_grant");
    }

    #[tokio::test]
    async fn refuses_the_refresh_token_of_another_client() {
        let rig = Rig::new();
        let (asked, other) = (refresh(&rig).await, rig.register().await);
        refuses(
            &rig.post("/token", &asked.clone().with("client_id", &other)).await,
            "invalid_grant",
        );
        assert_eq!(rig.post("/token", &asked).await.status, 200);
    }

    #[tokio::test]
    async fn a_refresh_may_ask_for_less_and_not_for_more() {
        let rig = Rig::new();
        let asked = refresh(&rig).await;
        let more = asked.clone().with("scope", "mcp:read mcp:admin");
        refuses(&rig.post("/token", &more).await, "invalid_scope");
        let less = rig.post("/token", &asked.clone().with("scope", "mcp:read")).await;
        assert_eq!(less.json()["scope"], "mcp:read");
        let all = next(&asked, &less);
        assert_eq!(rig.post("/token", &all).await.json()["scope"], "mcp:read mcp:write");
    }

    #[tokio::test]
    async fn gives_its_own_client_a_token_for_its_secret() {
        let rig = Rig::new();
        let issued = rig.post("/token", &own(&rig)).await.json();
        assert_eq!(issued.get("refresh_token"), None);
        let claims = claims(&rig, issued["access_token"].as_str().unwrap());
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(CLIENT_ID), &json!(CLIENT_ID)));
    }

    #[tokio::test]
    async fn takes_the_secret_from_a_basic_header() {
        let rig = Rig::new();
        let pair = STANDARD.encode(format!("{CLIENT_ID}:{}", rig.provider().secret()));
        let header = [("authorization", &*format!("basic {pair}"))];
        let asked = Form::of(&[("grant_type", "client_credentials"), ("scope", "mcp:read")]);
        let issued = rig.post_with("/token", &header, &asked).await.json();
        assert_eq!(issued["scope"], "mcp:read");
        refuses(&rig.post_with("/token", &header, &own(&rig)).await, "invalid_request");
    }

    #[tokio::test]
    async fn refuses_a_wrong_secret() {
        let rig = Rig::new();
        let reply = rig.post("/token", &own(&rig).with("client_secret", "guess")).await;
        refuses(&reply, "invalid_client");
        assert!(reply.header("www-authenticate").unwrap().starts_with("Basic "));
        refuses(&rig.post("/token", &own(&rig).without("client_secret")).await, "invalid_client");
    }

    #[tokio::test]
    async fn refuses_its_own_client_a_scope_there_is_not() {
        let rig = Rig::new();
        let reply = rig.post("/token", &own(&rig).with("scope", "mcp:admin")).await;
        refuses(&reply, "invalid_scope");
    }

    #[tokio::test]
    async fn answers_under_no_other_name() {
        let rig = Rig::new();
        let host = [("host", "evil.example:9000")];
        assert_eq!(rig.post_with("/token", &host, &own(&rig)).await.status, 421);
    }
}

//! What issuers answer, good and bad; whose fault it is shows in the status.

use serde_json::{Value, json};

use super::{Begun, Browser, ON, identity, is_refused, lets_in, tokens};
use crate::harness::{Key, Response, World};

/// A login up to the issuer's answer, whatever the token endpoint then says.
fn ends_with(world: &World, status: u16, body: &str) -> Response {
    let mut browser = Browser::of_a_person(world);
    let begun = browser.begin("/login");
    world.issuer.tokens.answers(status, body);
    browser.come_back(&format!("code=c-1&state={}", begun.parameter("state")))
}

/// The same with an ID token that has been spoilt.
fn ends_with_identity(world: &World, spoil: impl Fn(&mut Value, &Begun)) -> Response {
    let mut browser = Browser::of_a_person(world);
    let begun = browser.begin("/login");
    let mut identity = identity(world, &begun);
    spoil(&mut identity, &begun);
    let answer = tokens(world, &identity);
    world.issuer.tokens.gives_for_code("c-1", &begun.parameter("code_challenge"), &answer);
    let page = browser.come_back(&format!("code=c-1&state={}", begun.parameter("state")));
    assert!(page.status == 200 || !page.body.contains(answer["access_token"].as_str().unwrap()));
    page
}

#[test]
fn who_has_logged_in_must_be_said_soundly() {
    let world = World::with(ON);
    let page = ends_with_identity(&world, |_, _| ());
    assert_eq!(page.status, 200, "{page:?}");
    let spoilt = |name: &'static str, value: Value| {
        let page = ends_with_identity(&world, |identity, _| identity[name] = value.clone());
        is_refused(&page, 502, "login_id_token");
    };
    spoilt("nonce", json!("another"));
    spoilt("nonce", Value::Null);
    spoilt("aud", json!("https://mcp.example/mcp"));
    spoilt("iss", json!("https://evil.example"));
    spoilt("exp", json!(1));
    spoilt("iat", json!(9_999_999_999_u64));
    spoilt("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"));
    world.log_line("a login has failed");
}

#[test]
fn a_word_that_nobody_signed_or_that_is_missing_does_not_count() {
    let world = World::with(ON);
    let spoilt: [fn(&mut Value, &World); 5] = [
        |answer, _| drop(answer.as_object_mut().unwrap().remove("id_token")),
        |answer, _| answer["id_token"] = json!("opaque"),
        |answer, world| {
            // An access token is no ID token.
            answer["id_token"] = json!(world.issuer.token());
        },
        |answer, _| {
            let token = answer["id_token"].as_str().unwrap().to_owned();
            let payload = token.split('.').nth(1).unwrap();
            answer["id_token"] = json!(format!("eyJhbGciOiJub25lIn0.{payload}.AA"));
        },
        |answer, world| {
            let token = answer["id_token"].as_str().unwrap().to_owned();
            let head = token.rsplit_once('.').unwrap().0;
            let signature = world.issuer.key.sign_bytes("something else");
            answer["id_token"] = json!(format!("{head}.{signature}"));
        },
    ];
    for spoil in spoilt {
        let mut browser = Browser::of_a_person(&world);
        let begun = browser.begin("/login");
        let mut answer = tokens(&world, &identity(&world, &begun));
        spoil(&mut answer, &world);
        world.issuer.tokens.gives_for_code("c", &begun.parameter("code_challenge"), &answer);
        let page = browser.come_back(&format!("code=c&state={}", begun.parameter("state")));
        is_refused(&page, 502, "login_id_token");
    }
}

#[test]
fn a_key_that_has_just_come_into_use_is_asked_for() {
    let world = World::with(ON);
    let mut browser = Browser::of_a_person(&world);
    let begun = browser.begin("/login");
    let new = Key::new("second");
    world.issuer.publish(&[&world.issuer.key, &new]);
    let mut answer = tokens(&world, &identity(&world, &begun));
    let header = json!({ "alg": "ES256", "kid": "second" }).to_string();
    let identity = identity(&world, &begun).to_string();
    answer["id_token"] = json!(new.sign_text(&header, &identity));
    world.issuer.tokens.gives_for_code("c", &begun.parameter("code_challenge"), &answer);
    let page = browser.come_back(&format!("code=c&state={}", begun.parameter("state")));
    assert_eq!(page.status, 200, "{page:?}");
    // One that is published nowhere is refused after that look.
    let page = {
        let mut browser = Browser::of_a_person(&world);
        let begun = browser.begin("/login");
        let stranger = Key::new("third");
        let header = json!({ "alg": "ES256", "kid": "third" }).to_string();
        let identity = super::identity(&world, &begun).to_string();
        answer["id_token"] = json!(stranger.sign_text(&header, &identity));
        world.issuer.tokens.gives_for_code("d", &begun.parameter("code_challenge"), &answer);
        browser.come_back(&format!("code=d&state={}", begun.parameter("state")))
    };
    is_refused(&page, 502, "login_id_token");
}

#[test]
fn without_openid_nobody_is_asked_who_it_was() {
    let world =
        World::with(&ON.replace("client_id: postern,", "client_id: postern, scopes: [mcp:read],"));
    let mut browser = Browser::of_a_person(&world);
    let begun = browser.begin("/login");
    assert_eq!(begun.parameter("scope"), "mcp:read");
    let answer = json!({ "access_token": world.issuer.token(), "token_type": "bearer" });
    world.issuer.tokens.gives_for_code("c", &begun.parameter("code_challenge"), &answer);
    let page = browser.come_back(&format!("code=c&state={}", begun.parameter("state")));
    assert_eq!(page.status, 200, "{page:?}");
    assert!(!page.body.contains("Refresh token"), "{}", page.body);
}

#[test]
fn errors_of_the_token_endpoint_have_an_honest_status() {
    let world = World::with(ON);
    for (status, body, told, code) in [
        (400, r#"{"error":"invalid_grant"}"#, 400, "login_code"),
        (401, r#"{"error":"invalid_client"}"#, 502, "login_credentials"),
        (400, r#"{"error":"invalid_target"}"#, 502, "login_failed"),
        (400, r#"{"error":"<script>alert(1)</script>"}"#, 502, "login_answer"),
        (200, "<html>welcome</html>", 502, "login_answer"),
        (200, r#"{"token_type":"Bearer"}"#, 502, "login_answer"),
        (200, r#"{"access_token":"a","token_type":"DPoP"}"#, 502, "login_answer"),
        (
            200,
            r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#,
            502,
            "login_answer",
        ),
        (302, "", 502, "login_answer"),
        (429, "", 503, "front_unavailable"),
        (500, r#"{"error":"invalid_grant"}"#, 503, "front_unavailable"),
    ] {
        is_refused(&ends_with(&world, status, body), told, code);
    }
    let huge = format!("{{\"access_token\":\"{}\"}}", "a".repeat(2 << 20));
    is_refused(&ends_with(&world, 200, &huge), 502, "login_answer");
}

#[test]
fn errors_that_come_with_the_browser_have_one_too_and_are_not_repeated() {
    let world = World::with(ON);
    for (error, status, code) in [
        ("access_denied", 403, "login_denied"),
        ("temporarily_unavailable", 503, "front_unavailable"),
        ("server_error", 503, "front_unavailable"),
        ("invalid_scope", 502, "login_failed"),
        ("unauthorized_client", 502, "login_failed"),
        ("%3Cb%3Ecall+555-0100%3C/b%3E", 502, "login_failed"),
    ] {
        let mut browser = Browser::of_a_person(&world);
        let begun = browser.begin("/login");
        let state = begun.parameter("state");
        let words = "error_description=call+555-0100&error_uri=https://evil.example";
        let page = browser.come_back(&format!("error={error}&{words}&state={state}"));
        is_refused(&page, status, code);
        assert!(!page.body.contains("555") && !page.body.contains("evil"), "{}", page.body);
    }
}

#[test]
fn a_client_with_a_secret_shows_it_as_it_is_configured_to() {
    for (how, header) in [
        ("", "Basic cG9zdGVybjpzM2NyZXQlM0E="),
        ("authentication: client_secret_basic,", "Basic cG9zdGVybjpzM2NyZXQlM0E="),
        ("authentication: client_secret_post,", ""),
    ] {
        let secret = format!("client_id: postern, client_secret: 's3cret:', {how}");
        let world = World::with(&ON.replace("client_id: postern,", &secret));
        let mut browser = Browser::of_a_person(&world);
        let begun = browser.begin("/login");
        assert!(!begun.to.as_str().contains("s3cret"));
        lets_in(&world, &begun, "c");
        let page = browser.come_back(&format!("code=c&state={}", begun.parameter("state")));
        assert_eq!(page.status, 200, "{page:?}");
        let request = world.issuer.tokens.asked().remove(0);
        assert_eq!(request.authorization, header);
        let sent = |name: &str| request.form.get(name).map(String::as_str);
        let expected = (header.is_empty()).then_some(("postern", "s3cret:"));
        assert_eq!(sent("client_id").zip(sent("client_secret")), expected);
    }
}

#[test]
fn an_issuer_that_says_it_cannot_do_s256_is_not_gone_to() {
    let world = World::with(ON);
    world.issuer.describe(json!({ "code_challenge_methods_supported": ["plain"] }));
    // Whoever changes the rules has the metadata looked at again.
    world.configure(&ON.replace("/done", "/other"));
    crate::harness::wait_until("the metadata is another", || {
        Browser::of_a_person(&world).get("/login").status == 502
    });
    is_refused(&Browser::of_a_person(&world).get("/login"), 502, "login_answer");
}

/// It is asked about access tokens, and its keys are nobody's business.
#[test]
fn an_issuer_of_opaque_tokens_lets_people_in_too() {
    let settings = "introspection: {client_id: gateway, client_secret: s3cret}";
    let issuer = crate::harness::Issuer::start();
    let entry = format!("issuers: [{{issuer: '{}', {settings}}}]\n{ON}", issuer.url());
    let world = World::unready(issuer, &entry);
    crate::harness::wait_until("the proxy is ready", || world.is_ready());
    let mut browser = Browser::of_a_person(&world);
    let begun = browser.begin("/login");
    lets_in(&world, &begun, "c");
    let page = browser.come_back(&format!("code=c&state={}", begun.parameter("state")));
    assert_eq!(page.status, 200, "{page:?}");
    let page = ends_with_identity(&world, |identity, _| identity["nonce"] = json!("another"));
    is_refused(&page, 502, "login_id_token");
}

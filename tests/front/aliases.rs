//! The issuer's endpoints, for clients that know only where the MCP server is.

use serde_json::{Value, json};

use crate::harness::{Response, World};

const ON: &str = "oauth: {aliases: {}}";

fn post(world: &World, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    world.connect().request("POST", path, headers, body)
}

#[test]
fn people_go_on_to_the_issuer_with_all_that_was_asked() {
    let world = World::with(ON);
    let query = "response_type=code&client_id=c&redirect_uri=https%3A%2F%2Fa.example%2Fcb&state=s\
                 &code_challenge=x&code_challenge_method=S256&resource=https%3A%2F%2Fmcp.example%2Fmcp";
    let response = world.request("GET", &format!("/authorize?{query}"), &[]);
    assert_eq!(response.status, 303, "{response:?}");
    let to = url::Url::parse(response.header("location")).unwrap();
    assert!(to.as_str().starts_with(&format!("{}/authorize?", world.issuer.url())), "{to}");
    let sorted = |pairs: url::form_urlencoded::Parse<'_>| {
        let mut pairs: Vec<_> = pairs.into_owned().collect();
        pairs.sort();
        pairs
    };
    let asked = sorted(url::form_urlencoded::parse(query.as_bytes()));
    assert_eq!(sorted(to.query_pairs()), asked);
    for path in ["/authorize?client_id=a&client_id=b", "/authorize?a=%ff&a=%fe"] {
        assert_eq!(world.request("GET", path, &[]).status, 400, "{path}");
    }
}

#[test]
fn tokens_are_fetched_in_the_issuers_words_and_nothing_else_goes_along() {
    let world = World::with("oauth: {aliases: {}, resource: {name: audience}, scopes: {a: 'x:a'}}");
    world.issuer.tokens.answers(200, r#"{"access_token":"a","token_type":"Bearer"}"#);
    let headers = [
        ("Authorization", "Basic Yzpz"),
        ("Cookie", "session=1"),
        ("X-Forwarded-Host", "evil.example"),
    ];
    let form = "grant_type=authorization_code&code=c&resource=https%3A%2F%2Fmcp.example&scope=a+b";
    let response = post(&world, "/token", &headers, form);
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.body, r#"{"access_token":"a","token_type":"Bearer"}"#);
    let asked = world.issuer.tokens.asked();
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(asked.authorization, "Basic Yzpz");
    let form: Value = serde_json::to_value(&asked.form).unwrap();
    let expected = json!({
        "grant_type": "authorization_code", "code": "c", "audience": "https://mcp.example",
        "scope": "x:a b",
    });
    assert_eq!(form, expected);
}

#[test]
fn what_the_issuer_says_is_passed_on_if_it_is_an_answer() {
    let world = World::with(ON);
    for (theirs, body, ours) in [
        (400, r#"{"error":"invalid_grant"}"#, 400),
        (401, r#"{"error":"invalid_client"}"#, 401),
        (400, "<html>", 502),
        (200, "[]", 502),
        (302, "{}", 502),
        (500, "{}", 502),
    ] {
        world.issuer.tokens.answers(theirs, body);
        let response = post(&world, "/token", &[], "grant_type=refresh_token&refresh_token=r");
        assert_eq!(response.status, ours, "{theirs} {body}: {response:?}");
    }
}

#[test]
fn an_issuer_without_registration_has_none_here() {
    let world = World::with(ON);
    let json = [("Content-Type", "application/json")];
    assert_eq!(post(&world, "/register", &json, "{}").status, 404);
}

#[test]
fn a_registration_goes_on_to_the_issuer() {
    let world = World::with(ON);
    world.issuer.describe(json!({
        // Its token endpoint takes note of whatever it is sent.
        "registration_endpoint": format!("{}/token", world.issuer.url()),
    }));
    world.configure("oauth: {aliases: {}, overrides: {claims_supported: [sub]}}");
    world.issuer.tokens.answers(201, r#"{"client_id":"c"}"#);
    let json = [("Content-Type", "application/json"), ("Authorization", "Bearer stolen")];
    let register = || post(&world, "/register", &json, r#"{"redirect_uris":["https://a/cb"]}"#);
    crate::harness::wait_until("it is known", || register().status == 201);
    let response = register();
    assert_eq!(response.body, r#"{"client_id":"c"}"#);
    let asked = world.issuer.tokens.asked();
    assert_eq!(asked[0].content_type, "application/json");
    assert_eq!(asked[0].authorization, "");
    assert_eq!(post(&world, "/register", &json, "{").status, 400);
}

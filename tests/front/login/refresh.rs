//! New tokens for a refresh token.

use serde_json::{Value, json};

use super::{ON, is_refused};
use crate::harness::{Response, World};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const GOOD: &str = r#"{"refresh_token":"r-1"}"#;

fn post(world: &World, headers: &[(&str, &str)], body: &str) -> Response {
    world.connect().request("POST", "/auth/refresh", headers, body)
}

/// A gateway, and a refresh token that is good there.
fn world() -> World {
    let world = World::with(ON);
    let answer = json!({
        "access_token": world.issuer.token(), "token_type": "Bearer", "expires_in": 300,
        "refresh_token": "r-2", "id_token": "i.i.i",
    });
    world.issuer.tokens.gives_for_refresh_token("r-1", &answer);
    world
}

#[test]
fn a_refresh_token_becomes_a_token_that_opens_the_door() {
    let world = world();
    let told = post(&world, &[JSON, ("Accept", "text/html")], GOOD);
    assert_eq!((told.status, told.header("content-type")), (200, "application/json"));
    assert_eq!(told.header("cache-control"), "no-store");
    assert!(told.headers("set-cookie").is_empty());
    let answer: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!((&answer["refresh_token"], &answer["id_token"]), (&json!("r-2"), &Value::Null));
    assert_eq!(world.call(answer["access_token"].as_str().unwrap()).status, 200);
    let request = &world.issuer.tokens.asked()[0];
    let form: Vec<(&str, &str)> =
        request.form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("client_id", "postern"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "r-1"),
        ("resource", "https://mcp.example/mcp"),
    ];
    assert_eq!(form, expected);
    assert_eq!(request.content_type, "application/x-www-form-urlencoded");
    // It was good once.
    is_refused(&post(&world, &[JSON], GOOD), 400, "login_refresh_token");
    assert!(world.metric("postern_requests_total{outcome=\"login_renewed\"}") > 0.0);
}

#[test]
fn what_is_no_refresh_token_in_json_asks_nobody() {
    let world = world();
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        ("{}", 400),
        (r#"{"refresh_token":""}"#, 400),
        (r#"{"refresh_token":7}"#, 400),
        (r#"{"refresh_token":"r-1","refresh_token":"r-1"}"#, 400),
    ] {
        let told =
            post(&world, &[JSON, ("Content-Length", "0")][..=usize::from(body.is_empty())], body);
        is_refused(&told, status, "login_request");
    }
    for kind in ["application/x-www-form-urlencoded", "text/plain", "application/jsonx", ""] {
        let headers = [("Content-Type", kind)];
        let headers = if kind.is_empty() { &[][..] } else { &headers[..] };
        is_refused(&post(&world, headers, GOOD), 415, "content_type");
    }
    let large = format!(r#"{{"refresh_token":"{}"}}"#, "r".repeat(70_000));
    assert_eq!(post(&world, &[JSON], &large).status, 413);
    assert_eq!(world.issuer.tokens.asked().len(), 0);
}

#[test]
fn no_page_of_somebody_elses_can_ask_and_no_cookie_helps() {
    let world = world();
    for origin in
        ["https://evil.example", "null", "http://mcp.example", "https://mcp.example.evil.example"]
    {
        let told = post(&world, &[JSON, ("Origin", origin)], GOOD);
        assert_eq!(told.status, 403, "{origin}: {told:?}");
        assert!(told.headers("access-control-allow-origin").is_empty());
        let asks = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type"),
        ];
        assert_eq!(world.request("OPTIONS", "/auth/refresh", &asks).status, 403);
    }
    let cookie = [JSON, ("Cookie", "refresh_token=r-1; __Host-postern-login-x=r-1")];
    is_refused(&post(&world, &cookie, "{}"), 400, "login_request");
    assert_eq!(world.issuer.tokens.asked().len(), 0);
    // A page of our own may.
    let own = [JSON, ("Origin", "https://mcp.example")];
    assert_eq!(post(&world, &own, GOOD).status, 200);
}

#[test]
fn errors_have_an_honest_status() {
    let world = world();
    for (status, body, told, error) in [
        (400, r#"{"error":"invalid_grant"}"#, 400, "invalid_grant"),
        (401, r#"{"error":"invalid_client"}"#, 502, "server_error"),
        (503, "", 503, "temporarily_unavailable"),
        (200, "{}", 502, "server_error"),
    ] {
        world.issuer.tokens.answers(status, body);
        let response = post(&world, &[JSON], GOOD);
        assert_eq!(response.status, told, "{response:?}");
        let answer: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(answer["error"], error);
    }
}

//! A code is good once, for who began, and for a minute.

use serde_json::{Value, json};

use super::on;
use super::program::{Program, challenge, post};
use crate::harness::{Response, World};

const HOME: &str = "http://127.0.0.1:5000/callback";

fn answer() -> Value {
    json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "r"})
}

#[track_caller]
fn is_refused(response: &Response, status: u16, error: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("cache-control"), "no-store");
    let told: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(told["error"], error);
}

#[test]
fn a_code_is_nothing_without_what_was_said_when_it_was_asked_for() {
    let world = World::with(&on());
    let program = Program::register(&world, HOME);
    let other = Program::register(&world, HOME);
    assert_ne!(program.id, other.id);
    let code = program.code(&world, "c", &answer());
    for (name, value, error) in [
        ("code_verifier", "", "invalid_grant"),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX", "invalid_grant"),
        ("code_verifier", &challenge(), "invalid_grant"),
        ("client_id", &other.id, "invalid_grant"),
        ("client_id", "postern", "invalid_grant"),
        ("client_id", "", "invalid_client"),
        ("redirect_uri", "http://127.0.0.1:5001/callback", "invalid_grant"),
        ("redirect_uri", "https://evil.example/", "invalid_grant"),
        ("resource", "https://other.example/mcp", "invalid_target"),
        ("grant_type", "client_credentials", "unsupported_grant_type"),
        ("grant_type", "", "invalid_request"),
        ("code", "c", "invalid_grant"),
        ("code", "", "invalid_request"),
    ] {
        let status = if error == "invalid_client" { 401 } else { 400 };
        is_refused(&program.redeem(&world, &code, &[(name, value)]), status, error);
    }
    let form = std::collections::BTreeMap::from([("grant_type", "authorization_code")]);
    let basic = [("Authorization", "Basic cG9zdGVybjpzM2NyZXQ=")];
    is_refused(&post(&world, "/token", &form, &basic), 401, "invalid_client");
    assert!(world.issuer.tokens.asked().is_empty(), "the issuer was not even asked");
    // OAuth 2.1 leaves the address out, and clients from before RFC 8707 the resource.
    let left_out = [("redirect_uri", ""), ("resource", "")];
    assert_eq!(program.redeem(&world, &code, &left_out).status, 200);
}

#[test]
fn a_code_is_good_once() {
    let world = World::with(&on());
    let program = Program::register(&world, HOME);
    let code = program.code(&world, "c", &answer());
    assert_eq!(program.redeem(&world, &code, &[]).status, 200);
    is_refused(&program.redeem(&world, &code, &[]), 400, "invalid_grant");
    assert_eq!(world.issuer.tokens.asked().len(), 1);
}

#[test]
fn a_refresh_token_is_its_clients() {
    let world = World::with(&on());
    let program = Program::register(&world, HOME);
    let code = program.code(&world, "c", &answer());
    let given = program.redeem(&world, &code, &[]);
    let given: Value = serde_json::from_str(&given.body).unwrap();
    let token = given["refresh_token"].as_str().unwrap();
    let other = Program::register(&world, HOME);
    is_refused(&other.renew(&world, token), 400, "invalid_grant");
    is_refused(&program.renew(&world, "r"), 400, "invalid_grant");
    assert_eq!(world.issuer.tokens.asked().len(), 1);
    let next = json!({"access_token": "b", "token_type": "Bearer", "refresh_token": "r2"});
    world.issuer.tokens.gives_for_refresh_token("r", &next);
    let renewed = program.renew(&world, token);
    assert_eq!(renewed.status, 200, "{renewed:?}");
    let renewed: Value = serde_json::from_str(&renewed.body).unwrap();
    assert_eq!(renewed["access_token"], "b");
    let asked = &world.issuer.tokens.asked()[1].form;
    assert_eq!((&*asked["refresh_token"], &*asked["resource"]), ("r", "https://mcp.example/mcp"));
    is_refused(&program.renew(&world, token), 400, "invalid_grant");
    world.issuer.tokens.gives_for_refresh_token("r2", &answer());
    assert_eq!(program.renew(&world, renewed["refresh_token"].as_str().unwrap()).status, 200);
}

#[test]
fn whose_fault_it_is_is_told_apart() {
    let world = World::with(&on());
    let program = Program::register(&world, HOME);
    for (status, body, ours, error) in [
        (400, r#"{"error":"invalid_grant"}"#, 400, "invalid_grant"),
        (401, r#"{"error":"invalid_client"}"#, 502, "server_error"),
        (400, r#"{"error":"<script>"}"#, 502, "server_error"),
        (200, "<html>", 502, "server_error"),
        (200, r#"{"access_token":"a"}"#, 502, "server_error"),
        (200, r#"{"access_token":"a","token_type":"DPoP"}"#, 502, "server_error"),
        (200, r#"{"access_token":7,"token_type":"Bearer"}"#, 502, "server_error"),
        (302, "", 502, "server_error"),
        (500, "", 503, "temporarily_unavailable"),
        (429, "", 503, "temporarily_unavailable"),
    ] {
        let code = program.code(&world, "c", &answer());
        world.issuer.tokens.answers(status, body);
        let response = program.redeem(&world, &code, &[]);
        is_refused(&response, ours, error);
        assert!(!response.body.contains("<script"), "{response:?}");
    }
}

#[test]
fn an_issuer_that_is_down_is_nobodys_fault() {
    let issuer = crate::harness::Issuer::start();
    issuer.fail(500);
    let world = World::unready(issuer, &on());
    let program = Program::register(&world, HOME);
    let page = program.send_people(&world);
    let response = page.answer(&world, &[], &page.cookie);
    super::is_a_page(&response, 503, "cannot be asked now");
    assert_eq!(response.header("retry-after"), "5");
}

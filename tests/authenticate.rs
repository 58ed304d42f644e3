//! Whose requests reach the backend, and what the others are told.

use serde_json::json;

use crate::harness::{Claims, Issuer, Response, World};

#[track_caller]
fn is_refused(world: &World, response: &Response, description: &str) {
    assert_eq!(response.status, 401, "{response:?}");
    let challenge = World::challenge("invalid_token", description);
    assert_eq!(response.header("www-authenticate"), challenge);
    assert_eq!(response.header("cache-control"), "no-store");
    world.upstream.saw_nothing();
}

/// Spoil one claim of a good token: it must be refused for that, and reach nobody.
#[track_caller]
fn refuses(description: &str, spoil: impl FnOnce(&Issuer, Claims) -> Claims) {
    let world = World::start();
    let claims = spoil(&world.issuer, world.issuer.claims());
    is_refused(&world, &world.call(&world.issuer.key.sign(&claims)), description);
}

#[test]
fn a_good_token_passes_and_the_backend_hears_who_it_is() {
    let world = World::start();
    let response = world.call(&world.issuer.token());
    assert_eq!((response.status, response.body.as_str()), (200, "{}"));
    let seen = world.upstream.next();
    assert!(seen.head.starts_with("POST /mcp HTTP/1.1\r\n"), "{}", seen.head);
    assert_eq!(seen.body, "{}");
    assert_eq!(seen.values("x-postern-subject"), ["ada"]);
    assert_eq!(seen.values("x-postern-issuer"), [world.issuer.url()]);
    assert_eq!(seen.values("x-postern-client-id"), ["test-client"]);
    assert_eq!(seen.values("x-postern-scopes"), ["mcp:read mcp:write"]);
    assert_eq!(seen.values("authorization"), [""; 0]);
}

#[test]
fn no_token_gets_the_plain_challenge_whatever_is_asked() {
    let world = World::start();
    for (method, path) in
        [("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp/"), ("OPTIONS", "/mcp/x")]
    {
        let response = world.request(method, path, &[]);
        assert_eq!(response.status, 401, "{method} {path}");
        assert_eq!(response.header("www-authenticate"), World::PLAIN_CHALLENGE);
    }
    world.upstream.saw_nothing();
}

#[test]
fn two_authorization_headers_are_a_bad_request_even_if_both_are_good() {
    let world = World::start();
    let bearer = format!("Bearer {}", world.issuer.token());
    let both = [("Authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    let response = world.request("POST", "/mcp", &both);
    assert_eq!(response.status, 400);
    let description = "send exactly one Authorization header with Bearer or DPoP and one token";
    assert_eq!(
        response.header("www-authenticate"),
        World::challenge("invalid_request", description)
    );
    world.upstream.saw_nothing();
}

#[test]
fn a_missing_scope_is_named_with_all_that_are_needed() {
    let world =
        World::with("resource: {url: https://mcp.example/mcp, scopes: [mcp:read, mcp:admin]}");
    let response = world.call(&world.issuer.token());
    assert_eq!(response.status, 403);
    let challenge = response.header("www-authenticate");
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\", "), "{challenge}");
    assert!(challenge.ends_with(", scope=\"mcp:read mcp:admin\""), "{challenge}");
    world.upstream.saw_nothing();
}

#[test]
fn a_token_without_any_scope_lacks_scope_and_is_not_broken() {
    let world = World::start();
    let token = world.issuer.key.sign(&world.issuer.claims().without("scope"));
    assert_eq!(world.call(&token).status, 403);
    world.upstream.saw_nothing();
}

#[test]
fn a_token_that_was_accepted_is_not_when_it_has_expired() {
    let world = World::start();
    let claims = world.issuer.claims().set("exp", crate::harness::now() - 28);
    let token = world.issuer.key.sign(&claims);
    assert_eq!(world.call(&token).status, 200);
    crate::harness::wait_until("it is refused", || world.call(&token).status == 401);
}

#[test]
fn refuses_a_token_of_nobody() {
    refuses("the claim sub of the token is missing or malformed", |_, claims| {
        claims.without("sub")
    });
}

#[test]
fn refuses_a_token_that_is_bound_to_no_key_that_there_can_be() {
    refuses("the token is bound to something that cannot be proven here", |_, claims| {
        claims.set("cnf", json!({ "jkt": "x" }))
    });
}

#[test]
fn a_token_in_the_query_or_a_cookie_is_no_token() {
    let world = World::start();
    let token = world.issuer.token();
    let response = world.request(
        "POST",
        &format!("/mcp?access_token={token}"),
        &[("Cookie", &format!("access_token={token}")), ("X-Access-Token", &token)],
    );
    assert_eq!(response.status, 401);
    assert_eq!(response.header("www-authenticate"), World::PLAIN_CHALLENGE);
    world.upstream.saw_nothing();
}

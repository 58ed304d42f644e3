//! Whose requests reach the backend, and what the others are told.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};
use serde_json::json;

use crate::harness::{Claims, Issuer, Key, Response, World};

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

/// Spoil the header of a good token, signature included.
#[track_caller]
fn refuses_header(description: &str, spoil: impl FnOnce(&mut Header)) {
    let world = World::start();
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some("at+jwt".into());
    header.kid = Some("first".into());
    spoil(&mut header);
    let token = world.issuer.key.sign_as(&header, &world.issuer.claims());
    is_refused(&world, &world.call(&token), description);
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
fn refuses_a_tampered_token() {
    let world = World::start();
    let token = world.issuer.token();
    let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("{token}")
    };
    let claims = serde_json::to_vec(&world.issuer.claims().set("sub", "root").0).unwrap();
    let forged = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims));
    is_refused(&world, &world.call(&forged), "the signature of the token is wrong");
}

#[test]
fn refuses_a_token_signed_by_somebody_else_under_the_same_key_id() {
    let world = World::start();
    let token = Key::new("first").sign(&world.issuer.claims());
    is_refused(&world, &world.call(&token), "the signature of the token is wrong");
}

#[test]
fn refuses_a_token_without_a_signature() {
    let world = World::start();
    let claims = serde_json::to_vec(&world.issuer.claims().0).unwrap();
    for algorithm in ["none", "None", "nOnE", "HS256", "rs256"] {
        let header = json!({ "alg": algorithm, "typ": "at+jwt", "kid": "first" }).to_string();
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(&claims));
        let description = "the token is signed with an algorithm that is not allowed";
        is_refused(&world, &world.call(&format!("{signed}.AAAA")), description);
        let description = "the token is not a signed JWT in compact form";
        is_refused(&world, &world.call(&format!("{signed}.")), description);
    }
}

#[test]
fn refuses_another_audience() {
    refuses("the token is for another audience", |_, claims| {
        claims.set("aud", "https://other.example/mcp")
    });
}

#[test]
fn refuses_an_audience_that_only_begins_alike() {
    let almost =
        json!(["https://mcp.example", "https://mcp.example/mcp/", "https://mcp.example/mcpx"]);
    refuses("the token is for another audience", |_, claims| claims.set("aud", almost));
}

#[test]
fn refuses_a_token_for_nobody() {
    refuses("the token is for another audience", |_, claims| claims.without("aud"));
}

#[test]
fn accepts_one_audience_among_several() {
    let world = World::start();
    let claims = world
        .issuer
        .claims()
        .set("aud", json!(["https://other.example", "https://mcp.example/mcp"]));
    assert_eq!(world.call(&world.issuer.key.sign(&claims)).status, 200);
}

#[test]
fn refuses_another_issuer() {
    refuses("the token is from an issuer that is not trusted", |_, claims| {
        claims.set("iss", "https://evil.example")
    });
}

#[test]
fn refuses_an_issuer_with_one_slash_more() {
    refuses("the token is from an issuer that is not trusted", |issuer, claims| {
        claims.set("iss", format!("{}/", issuer.url()))
    });
}

#[test]
fn refuses_an_expired_token() {
    refuses("the token has expired", |_, claims| claims.set("exp", crate::harness::now() - 31));
}

#[test]
fn forgives_a_clock_that_is_a_little_off() {
    let world = World::start();
    let claims = world.issuer.claims().set("exp", crate::harness::now() - 20);
    assert_eq!(world.call(&world.issuer.key.sign(&claims)).status, 200);
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
fn refuses_a_token_that_never_expires() {
    refuses("the claim exp of the token is missing or malformed", |_, claims| {
        claims.without("exp")
    });
}

#[test]
fn refuses_a_lifetime_that_is_not_a_number() {
    refuses("the claim exp of the token is missing or malformed", |_, claims| {
        claims.set("exp", "4102444800")
    });
}

#[test]
fn refuses_a_token_from_the_future() {
    refuses("the token is not valid yet", |_, claims| {
        claims.set("nbf", crate::harness::now() + 60)
    });
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
fn refuses_an_id_token() {
    let description = "the token is not an access token by its typ";
    refuses_header(description, |header| header.typ = Some("JWT".into()));
    refuses_header(description, |header| header.typ = None);
}

#[test]
fn refuses_opaque_and_torn_tokens() {
    let world = World::start();
    for token in ["opaque", "a.b", "a.b.c.d.e", "e30.e30.AAAA~", "e30.e30.AA=="] {
        is_refused(&world, &world.call(token), "the token is not a signed JWT in compact form");
    }
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

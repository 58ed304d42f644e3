//! What an operator may say of an issuer's tokens, and what never gives way.

use jsonwebtoken::{Algorithm, Header};
use serde_json::json;

use crate::harness::{Claims, Response, World, now};

/// A token as issuers made them before RFC 9068: `JWT` in its header, or nothing.
fn call_as(world: &World, typ: Option<&str>, claims: &Claims) -> Response {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(world.issuer.key.id.clone());
    header.typ = typ.map(str::to_owned);
    world.call(&world.issuer.key.sign_as(&header, claims))
}

#[track_caller]
fn is_refused(world: &World, response: &Response, description: &str) {
    assert_eq!(response.status, 401, "{response:?}");
    let challenge = World::challenge("invalid_token", description);
    assert_eq!(response.header("www-authenticate"), challenge);
    world.upstream.saw_nothing();
}

const OTHER_TYPE: &str = "the token is not an access token by its typ";
const OTHER_KIND: &str = "the token is not an access token by its claims";

#[test]
fn an_issuer_may_be_let_off_saying_at_jwt() {
    let world = World::trusting("typ: jwt-or-at");
    let claims = world.issuer.claims();
    for typ in ["JWT", "jwt", "application/JWT", "at+jwt"] {
        assert_eq!(call_as(&world, Some(typ), &claims).status, 200, "{typ}");
        world.upstream.next();
    }
    is_refused(&world, &call_as(&world, None, &claims), OTHER_TYPE);
}

#[test]
fn an_issuer_may_be_let_off_saying_anything() {
    let world = World::trusting("typ: absent-ok");
    assert_eq!(call_as(&world, None, &world.issuer.claims()).status, 200);
}

#[test]
fn a_relaxed_policy_still_knows_an_id_token() {
    let world = World::trusting("typ: absent-ok");
    let claims = world.issuer.claims();
    let bare = claims.clone().without("scope").without("client_id").set("azp", "test-client");
    is_refused(&world, &call_as(&world, Some("JWT"), &bare), OTHER_KIND);
    for mark in ["nonce", "at_hash", "c_hash"] {
        let marked = claims.clone().set(mark, "x");
        is_refused(&world, &call_as(&world, Some("JWT"), &marked), OTHER_KIND);
    }
    is_refused(&world, &call_as(&world, None, &claims.set("typ", "ID")), OTHER_KIND);
}

#[test]
fn no_policy_takes_a_grant_or_a_logout_token_for_an_access_token() {
    let world = World::trusting("typ: absent-ok");
    for typ in ["oauth-id-jag+jwt", "logout+jwt", "dpop+jwt", "JOSE", ""] {
        is_refused(&world, &call_as(&world, Some(typ), &world.issuer.claims()), OTHER_TYPE);
    }
    let logout = world.issuer.claims().set("events", json!({}));
    is_refused(&world, &call_as(&world, None, &logout), OTHER_KIND);
}

#[test]
fn a_token_that_lives_too_long_is_refused() {
    let world = World::trusting("max_lifetime: 5m");
    let claims = world.issuer.claims();
    let exact = claims.clone().set("iat", now() - 10).set("exp", now() + 290);
    assert_eq!(world.call(&world.issuer.key.sign(&exact)).status, 200);
    world.upstream.next();
    let longer = claims.clone().set("iat", now() - 10).set("exp", now() + 292);
    let response = world.call(&world.issuer.key.sign(&longer));
    is_refused(&world, &response, "the token is valid for longer than tokens may be here");
    let unsaid = world.issuer.key.sign(&claims.without("iat"));
    let missing = "the claim iat of the token is missing or malformed";
    is_refused(&world, &world.call(&unsaid), missing);
}

#[test]
fn the_leeway_is_what_the_operator_says() {
    let world = World::trusting("leeway: 0s");
    let expired = world.issuer.key.sign(&world.issuer.claims().set("exp", now() - 1));
    is_refused(&world, &world.call(&expired), "the token has expired");
    let early = world.issuer.key.sign(&world.issuer.claims().set("nbf", now() + 5));
    is_refused(&world, &world.call(&early), "the token is not valid yet");
    let world = World::trusting("leeway: 5m");
    let expired = world.issuer.key.sign(&world.issuer.claims().set("exp", now() - 290));
    assert_eq!(world.call(&expired).status, 200);
}

#[test]
fn azp_stands_in_for_an_absent_audience_only_where_the_operator_says_so() {
    let other = "the token is for another audience";
    let world = World::start();
    let claims = world.issuer.claims().set("azp", "https://mcp.example/mcp");
    let token = world.issuer.key.sign(&claims.without("aud"));
    is_refused(&world, &world.call(&token), other);

    let world = World::trusting("insecure_azp_as_audience: true");
    let claims = world.issuer.claims().set("azp", "https://mcp.example/mcp");
    let elsewhere = claims.clone().set("aud", "https://other.example/mcp");
    is_refused(&world, &world.call(&world.issuer.key.sign(&elsewhere)), other);
    assert_eq!(world.call(&world.issuer.key.sign(&claims.without("aud"))).status, 200);
}

#[test]
fn claims_are_read_where_the_operator_says_they_are() {
    let world = World::trusting(
        "claims: {subject: email, client: azp, scopes: ['/authorization/scopes'], \
         roles: ['/realm_access/roles', 'https://x.example/roles'], groups: [groups]}",
    );
    let claims = world.issuer.claims().set("email", "ada@x.example").set("azp", "cli");
    let claims = claims.set("authorization", json!({ "scopes": ["mcp:read", "b"] }));
    let claims = claims.set("realm_access", json!({ "roles": ["admin", "two words"] }));
    let claims = claims.set("https://x.example/roles", "third").set("groups", json!(["g"]));
    assert_eq!(world.call(&world.issuer.key.sign(&claims)).status, 200);
    let seen = world.upstream.next();
    assert_eq!(seen.values("x-postern-subject"), ["ada@x.example"]);
    assert_eq!(seen.values("x-postern-client-id"), ["cli"]);
    assert_eq!(seen.values("x-postern-scopes"), ["mcp:read b"]);
    assert_eq!(seen.values("x-postern-roles"), [r#"["admin","two words","third"]"#]);
    assert_eq!(seen.values("x-postern-groups"), [r#"["g"]"#]);
}

#[test]
fn a_role_is_never_a_scope() {
    let world = World::trusting("claims: {roles: [roles], groups: [groups]}");
    let claims = world.issuer.claims().set("scope", "other").set("roles", json!(["mcp:read"]));
    let token = world.issuer.key.sign(&claims.set("groups", "mcp:read"));
    let response = world.call(&token);
    assert_eq!(response.status, 403, "{response:?}");
    world.upstream.saw_nothing();
}

#[test]
fn a_claim_of_the_wrong_type_is_no_claim() {
    let world = World::trusting("claims: {roles: [roles]}");
    for (name, value) in [
        ("sub", json!(7)),
        ("sub", json!("")),
        ("client_id", json!(["a"])),
        ("scope", json!({ "mcp:read": true })),
        ("scp", json!([1])),
        ("roles", json!([["a"]])),
        ("iat", json!("1")),
    ] {
        let response = world.call(&world.issuer.key.sign(&world.issuer.claims().set(name, value)));
        let told = if name == "scp" { "scope" } else { name };
        let missing = format!("the claim {told} of the token is missing or malformed");
        is_refused(&world, &response, &missing);
    }
}

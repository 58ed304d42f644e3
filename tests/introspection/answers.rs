//! What an issuer says about a token, and what of it is believed for how long.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{CLIENT, is_refused, world};
use crate::harness::{Asked, Claims, World, now, wait_until};

/// The claims of a good answer, of which one thing is spoilt: refused for that, and reaching nobody.
#[track_caller]
fn refuses(description: &str, spoil: impl FnOnce(Claims) -> Claims) {
    let world = world("");
    world.issuer.vouch("opaque", &spoil(world.issuer.claims()));
    is_refused(&world, &world.call("opaque"), description);
}

#[test]
fn a_good_opaque_token_passes_and_the_backend_hears_who_it_is() {
    let world = world("");
    world.issuer.vouch("0paque+~/.x=", &world.issuer.claims().set("token_type", "Bearer"));
    let response = world.call("0paque+~/.x=");
    assert_eq!((response.status, response.body.as_str()), (200, "{}"));
    let seen = world.upstream.next();
    assert_eq!(seen.values("x-postern-subject"), ["ada"]);
    assert_eq!(seen.values("x-postern-issuer"), [world.issuer.url()]);
    assert_eq!(seen.values("x-postern-client-id"), ["test-client"]);
    assert_eq!(seen.values("x-postern-scopes"), ["mcp:read mcp:write"]);
    assert_eq!(seen.values("authorization"), [""; 0]);
    let asked = Asked {
        token: "0paque+~/.x=".into(),
        hint: "access_token".into(),
        authentication: "basic".into(),
        accept: "application/json".into(),
    };
    assert_eq!(world.issuer.introspection.asked(), [asked]);

    assert_eq!(world.call("0paque+~/.x=").status, 200);
    assert_eq!(world.issuer.introspection.inquiries(), 1, "the answer is remembered");
    let counted = |result: &str| {
        let issuer = world.issuer.url();
        let labels = format!("{{issuer=\"{issuer}\",result=\"{result}\"}}");
        world.metric(&format!("postern_introspections_total{labels}"))
    };
    wait_until("it is counted", || counted("ok") >= 1.0);
    assert!(["failed", "inactive", "refused"].iter().all(|result| counted(result) < 1.0));
}

#[test]
fn claims_are_read_where_the_issuer_says_them() {
    let world = World::trusting(&format!(
        "introspection: {{{CLIENT}}}, claims: {{subject: username, roles: [/realm/roles]}}"
    ));
    let claims = world.issuer.claims().without("sub").set("username", "grace");
    world.issuer.vouch("opaque", &claims.set("realm", json!({ "roles": ["admin"] })));
    assert_eq!(world.call("opaque").status, 200);
    let seen = world.upstream.next();
    assert_eq!(seen.values("x-postern-subject"), ["grace"]);
    assert_eq!(seen.values("x-postern-roles"), ["[\"admin\"]"]);
}

#[test]
fn a_missing_scope_is_a_matter_of_scope() {
    let world = world("");
    world.issuer.vouch("opaque", &world.issuer.claims().set("scope", "other"));
    assert_eq!(world.call("opaque").status, 403);
    world.upstream.saw_nothing();
}

#[test]
fn refuses_a_token_that_is_not_active() {
    let world = world("");
    is_refused(&world, &world.call("opaque"), "the token is not active, says its issuer");
    let inactive = json!({ "active": false, "sub": "ada", "aud": "https://mcp.example/mcp" });
    world.issuer.introspection.says("other", inactive.to_string());
    is_refused(&world, &world.call("other"), "the token is not active, says its issuer");
    assert!(world.metric("postern_requests_total{outcome=\"token_inactive\"}") >= 2.0);
}

#[test]
fn refuses_a_token_for_somebody_else_or_for_nobody() {
    let description = "the token is for another audience";
    refuses(description, |claims| claims.set("aud", "https://other.example/mcp"));
    refuses(description, |claims| claims.without("aud"));
    refuses(description, |claims| claims.without("aud").set("azp", "https://mcp.example/mcp"));
}

#[test]
fn refuses_a_token_out_of_its_time_though_it_is_called_active() {
    refuses("the token has expired", |claims| claims.set("exp", now() - 31));
    refuses("the token is not valid yet", |claims| claims.set("nbf", now() + 60));
    refuses("the token is not valid yet", |claims| claims.set("iat", now() + 60));
    let malformed = "the claim exp of the token is missing or malformed";
    refuses(malformed, |claims| claims.set("exp", "tomorrow"));
}

#[test]
fn refuses_an_answer_about_another_issuers_token() {
    let description = "the token is from an issuer that is not trusted";
    refuses(description, |claims| claims.set("iss", "https://evil.example"));
    refuses(description, |claims| claims.set("iss", 7));
}

#[test]
fn refuses_what_is_active_and_no_access_token() {
    let description = "the token is not an access token by its claims";
    refuses(description, |claims| claims.set("token_type", "refresh_token"));
    refuses(description, |claims| claims.set("typ", "Refresh"));
    refuses(description, |claims| claims.set("nonce", "n"));
}

#[test]
fn refuses_a_token_that_is_bound_to_a_key() {
    refuses("the token is bound to something that cannot be proven here", |claims| {
        claims.set("cnf", json!({ "jkt": "x" })).set("token_type", "DPoP")
    });
}

#[test]
fn refuses_a_token_of_nobody() {
    refuses("the claim sub of the token is missing or malformed", |claims| claims.without("sub"));
}

#[test]
fn without_iss_and_exp_the_answer_still_says_enough() {
    let world = world("");
    world.issuer.vouch("opaque", &world.issuer.claims().without("iss").without("exp"));
    assert_eq!(world.call("opaque").status, 200);
    assert_eq!(world.upstream.next().values("x-postern-issuer"), [world.issuer.url()]);
}

#[test]
fn a_longest_lifetime_needs_to_know_both_ends() {
    let world = World::trusting(&format!("introspection: {{{CLIENT}}}, max_lifetime: 5m"));
    let claims = world.issuer.claims();
    for (token, claims, description) in [
        ("a", claims.clone().without("exp"), "the claim exp of the token is missing or malformed"),
        ("b", claims.clone().without("iat"), "the claim iat of the token is missing or malformed"),
        (
            "c",
            claims.clone().set("exp", now() + 400),
            "the token is valid for longer than tokens may be here",
        ),
    ] {
        world.issuer.vouch(token, &claims);
        is_refused(&world, &world.call(token), description);
    }
    world.issuer.vouch("d", &claims);
    assert_eq!(world.call("d").status, 200);
}

#[test]
fn an_answer_is_never_believed_past_the_tokens_end() {
    let world = World::trusting(&format!("introspection: {{{CLIENT}, cache: 5m}}"));
    world.issuer.vouch("opaque", &world.issuer.claims().set("exp", now() + 2));
    assert_eq!(world.call("opaque").status, 200);
    world.issuer.introspection.revoke("opaque");
    assert_eq!(world.call("opaque").status, 200, "it is remembered");
    wait_until("it is refused", || world.call("opaque").status == 401);
    assert!(now() < 10 + 2 + world.issuer.claims().0["iat"].as_i64().unwrap());
    assert_eq!(world.issuer.introspection.inquiries(), 2);
}

#[test]
fn a_revoked_token_passes_no_longer_than_answers_are_believed() {
    let world = world(", cache: 1s");
    world.issuer.vouch("opaque", &world.issuer.claims());
    assert_eq!(world.call("opaque").status, 200);
    let asked = Instant::now();
    world.issuer.introspection.revoke("opaque");
    wait_until("it is refused", || world.call("opaque").status == 401);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(world.issuer.introspection.inquiries(), 2);
}

#[test]
fn without_a_cache_each_request_is_asked_about() {
    let world = world(", cache: 0s");
    world.issuer.vouch("opaque", &world.issuer.claims());
    for inquiries in 1..=3 {
        assert_eq!(world.call("opaque").status, 200);
        assert_eq!(world.issuer.introspection.inquiries(), inquiries);
    }
    world.issuer.introspection.revoke("opaque");
    assert_eq!(world.call("opaque").status, 401);
}

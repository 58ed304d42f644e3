//! Tokens that are bound to a key, and the proofs that come with them (RFC 9449).

use std::thread;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{H2, Identity, Issuer, Proof, ProofKey, Response, Wire, World, now};

const URL: &str = "https://mcp.example/mcp";

/// A key, and a token that is bound to it.
struct Holder {
    key: ProofKey,
    token: String,
}

impl Holder {
    fn of(issuer: &Issuer) -> Self {
        let key = ProofKey::new();
        let claims = issuer.claims().set("cnf", json!({ "jkt": key.thumbprint() }));
        Self { key, token: issuer.key.sign(&claims) }
    }

    /// A good proof for `POST /mcp`.
    fn proof(&self) -> Proof {
        self.key.proof("POST", URL, &self.token)
    }

    fn signed(&self) -> String {
        self.key.sign(&self.proof())
    }

    fn with_nonce(&self, nonce: &str) -> String {
        let mut proof = self.proof();
        proof.claims["nonce"] = json!(nonce);
        self.key.sign(&proof)
    }

    fn send(&self, world: &World, proof: &str) -> Response {
        send(world, "POST", "/mcp", "DPoP", &self.token, &[proof])
    }
}

fn send(
    world: &World,
    method: &str,
    path: &str,
    scheme: &str,
    token: &str,
    proofs: &[&str],
) -> Response {
    let credentials = format!("{scheme} {token}");
    let mut headers = vec![("Authorization", credentials.as_str())];
    headers.extend(proofs.iter().map(|proof| ("DPoP", *proof)));
    let body = if method == "POST" { "{}" } else { "" };
    world.connect().request(method, path, &headers, body)
}

#[track_caller]
fn is_refused(world: &World, response: &Response, challenge: &str) {
    assert_eq!(response.status, 401, "{response:?}");
    assert_eq!(response.header("www-authenticate"), challenge);
    assert_eq!(response.header("cache-control"), "no-store");
    world.upstream.saw_nothing();
}

#[track_caller]
fn is_a_bad_proof(world: &World, response: &Response, description: &str) {
    is_refused(world, response, &World::proof_challenge("invalid_dpop_proof", description));
}

#[track_caller]
fn is_a_bad_token(world: &World, response: &Response, description: &str) {
    is_refused(world, response, &World::dpop_challenge("invalid_token", description));
}

/// Spoil one thing of a good proof: the request must be refused for that, and reach nobody.
#[track_caller]
fn refuses(description: &str, spoil: impl FnOnce(&mut Proof)) {
    let world = World::start();
    let holder = Holder::of(&world.issuer);
    let mut proof = holder.proof();
    spoil(&mut proof);
    let response = holder.send(&world, &holder.key.sign(&proof));
    is_a_bad_proof(&world, &response, description);
    assert_eq!(holder.send(&world, &holder.signed()).status, 200, "the same, unspoilt");
}

#[test]
fn a_proven_token_passes_and_nothing_of_the_proof_goes_up() {
    for authorization in ["strip", "keep"] {
        let world = World::with(&format!("forward: {{authorization: {authorization}}}"));
        let holder = Holder::of(&world.issuer);
        assert_eq!(holder.send(&world, &holder.signed()).status, 200);
        let seen = world.upstream.next();
        assert_eq!(seen.values("x-postern-subject"), ["ada"]);
        assert_eq!(seen.values("dpop"), [""; 0]);
        assert_eq!(seen.values("authorization"), [""; 0], "{authorization}");
    }
}

#[test]
fn every_place_and_method_of_the_endpoint_takes_proofs_over_both_versions_of_http() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let holder = Holder::of(&world.issuer);
    let credentials = format!("dpop {}", holder.token);
    let mut h2 = H2::connect(world.gateway, &identity);
    for (method, path) in [("POST", "/mcp"), ("GET", "/mcp/x?y=1"), ("DELETE", "/mcp/")] {
        let url = format!("https://MCP.example:443{path}");
        let proof = || holder.key.sign(&holder.key.proof(method, &url, &holder.token));
        let headers = [("authorization", credentials.as_str()), ("dpop", &proof())];
        assert_eq!(h2.request(method, path, &headers, "").status, 200, "{method} {path}");
        let headers = [("authorization", credentials.as_str()), ("dpop", &proof())];
        let mut wire = identity.connect(world.gateway);
        assert_eq!(wire.request(method, path, &headers, "").status, 200, "{method} {path}");
    }
}

#[test]
fn a_proof_is_not_used_up_by_a_token_that_may_not_pass() {
    let world = World::start();
    let mut holder = Holder::of(&world.issuer);
    let claims = world.issuer.claims().set("scope", "other");
    let claims = claims.set("cnf", json!({ "jkt": holder.key.thumbprint() }));
    holder.token = world.issuer.key.sign(&claims);
    let proof = holder.signed();
    for _ in 0..2 {
        let response = holder.send(&world, &proof);
        assert_eq!(response.status, 403, "{response:?}");
    }
    world.upstream.saw_nothing();
}

#[test]
fn check_1_there_is_one_proof() {
    let world = World::start();
    let holder = Holder::of(&world.issuer);
    let proofs = [holder.signed(), holder.signed()];
    let send = |proofs: &[&str]| send(&world, "POST", "/mcp", "DPoP", &holder.token, proofs);
    is_a_bad_proof(&world, &send(&[]), "the request carries no DPoP proof");
    let both = send(&[&proofs[0], &proofs[1]]);
    is_a_bad_proof(&world, &both, "the request carries more than one DPoP proof");
}

#[test]
fn check_2_it_is_a_jwt() {
    let world = World::start();
    let holder = Holder::of(&world.issuer);
    let good = holder.signed();
    for bad in ["proof", "a.b.c", &format!("{good}.AAAA"), &format!("{good}, {good}")] {
        let description = "the DPoP proof is not a signed JWT in compact form";
        is_a_bad_proof(&world, &holder.send(&world, bad), description);
    }
}

#[test]
fn check_3_it_has_every_claim() {
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        let description = format!("the claim {name} of the DPoP proof is missing or malformed");
        refuses(&description, |proof| {
            proof.claims.as_object_mut().unwrap().remove(name);
        });
    }
}

#[test]
fn check_4_it_says_that_it_is_a_proof() {
    refuses("the typ of the DPoP proof is not dpop+jwt", |proof| {
        proof.header["typ"] = json!("JWT");
    });
}

#[test]
fn check_5_its_algorithm_is_asymmetric_and_allowed() {
    for name in ["none", "HS256", "RS512"] {
        refuses("the DPoP proof is signed with an algorithm that is not allowed", |proof| {
            proof.header["alg"] = json!(name);
        });
    }
}

#[test]
fn check_6_its_signature_is_that_of_its_key() {
    let world = World::start();
    let holder = Holder::of(&world.issuer);
    // Whoever stole the token knows its holder's public key as well.
    let forged = ProofKey::new().sign(&holder.proof());
    let description = "the signature of the DPoP proof is wrong";
    is_a_bad_proof(&world, &holder.send(&world, &forged), description);
}

#[test]
fn check_7_its_key_is_public_and_fits_the_algorithm() {
    let description = "the DPoP proof shows no public key that its algorithm can be checked with";
    refuses(description, |proof| proof.header["jwk"]["d"] = json!("AQ"));
    refuses(description, |proof| proof.header["alg"] = json!("RS256"));
    refuses(description, |proof| {
        proof.header.as_object_mut().unwrap().remove("jwk");
    });
    refuses("the DPoP proof demands an extension that is not supported", |proof| {
        proof.header["crit"] = json!(["exp"]);
    });
}

#[test]
fn check_8_it_is_for_this_method() {
    refuses("the DPoP proof is for another method", |proof| proof.claims["htm"] = json!("GET"));
}

#[test]
fn check_9_it_is_for_this_address_whatever_host_is_named() {
    let description = "the DPoP proof is for another address";
    for htu in [
        "https://mcp.example/mcp/x",
        "http://mcp.example/mcp",
        "https://mcp.example:8443/mcp",
        "https://evil.example/mcp",
    ] {
        refuses(description, |proof| proof.claims["htu"] = json!(htu));
    }

    let world = World::with(
        "resource: {url: https://mcp.example/mcp, scopes: [mcp:read], hosts: [evil.example]}",
    );
    let holder = Holder::of(&world.issuer);
    let proof = holder.key.proof("POST", "https://evil.example/mcp", &holder.token);
    let credentials = format!("DPoP {}", holder.token);
    let mut wire = world.connect();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n\
         Forwarded: host=evil.example\r\nAuthorization: {credentials}\r\nDPoP: {}\r\n\
         Content-Length: 0\r\n\r\n",
        holder.key.sign(&proof)
    ));
    is_a_bad_proof(&world, &wire.response(false), description);
}

#[test]
fn check_11_it_was_made_within_a_minute() {
    for iat in [now() - 70, now() + 70] {
        refuses("the DPoP proof is too old, or from the future", |proof| {
            proof.claims["iat"] = json!(iat);
        });
    }
}

#[test]
fn check_12_it_is_for_this_token_and_by_the_key_of_this_token() {
    let world = World::start();
    let (one, other) = (Holder::of(&world.issuer), Holder::of(&world.issuer));
    let same_key = world.issuer.claims().set("cnf", json!({ "jkt": one.key.thumbprint() }));
    let same_key = world.issuer.key.sign(&same_key.set("jti", "2"));
    let response = send(&world, "POST", "/mcp", "DPoP", &same_key, &[&one.signed()]);
    is_a_bad_proof(&world, &response, "the DPoP proof is for another token");

    let proof = one.key.sign(&one.key.proof("POST", URL, &other.token));
    let description = "the token is bound to another key than the DPoP proof is signed with";
    is_a_bad_token(&world, &other.send(&world, &proof), description);
}

#[test]
fn a_proof_is_good_once() {
    let world = World::start();
    let holder = Holder::of(&world.issuer);
    let proof = holder.signed();
    assert_eq!(holder.send(&world, &proof).status, 200);
    world.upstream.next();
    let again = holder.send(&world, &proof);
    is_a_bad_proof(&world, &again, "the DPoP proof has been used before");
    let outcome = "postern_requests_total{outcome=\"proof_replayed\"}";
    assert!((world.metric(outcome) - 1.0).abs() < f64::EPSILON);
    assert_eq!(holder.send(&world, &holder.signed()).status, 200, "a new proof");
}

#[test]
fn of_one_proof_sent_many_times_at_once_one_passes() {
    let world = World::start();
    let holder = Holder::of(&world.issuer);
    for _ in 0..5 {
        let proof = holder.signed();
        let credentials = format!("DPoP {}", holder.token);
        let headers = [("Authorization", credentials.as_str()), ("DPoP", proof.as_str())];
        let wires: Vec<_> = (0..8).map(|_| world.connect()).collect();
        let statuses: Vec<u16> = thread::scope(|scope| {
            let send = |mut wire: Wire| wire.request("POST", "/mcp", &headers, "{}").status;
            let senders = wires.into_iter().map(|wire| scope.spawn(move || send(wire)));
            let senders: Vec<_> = senders.collect();
            senders.into_iter().map(|sender| sender.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 7, "{statuses:?}");
    }
}

#[test]
fn a_proof_that_was_refused_was_not_used() {
    let world = World::start();
    let holder = Holder::of(&world.issuer);
    let proof = holder.signed();
    let elsewhere = send(&world, "GET", "/mcp", "DPoP", &holder.token, &[&proof]);
    is_a_bad_proof(&world, &elsewhere, "the DPoP proof is for another method");
    let elsewhere = send(&world, "POST", "/mcp/x", "DPoP", &holder.token, &[&proof]);
    is_a_bad_proof(&world, &elsewhere, "the DPoP proof is for another address");
    assert_eq!(holder.send(&world, &proof).status, 200);
}

#[test]
fn a_bound_token_is_refused_without_its_proof_even_when_it_is_remembered() {
    let world = World::start();
    let holder = Holder::of(&world.issuer);
    let as_bearer = "the token is bound to a key: send it under the DPoP scheme, with a proof";
    is_a_bad_token(&world, &world.call(&holder.token), as_bearer);
    assert_eq!(holder.send(&world, &holder.signed()).status, 200);
    world.upstream.next();
    is_a_bad_token(&world, &world.call(&holder.token), as_bearer);
    let with_proof = send(&world, "POST", "/mcp", "Bearer", &holder.token, &[&holder.signed()]);
    is_a_bad_token(&world, &with_proof, as_bearer);
    let without = send(&world, "POST", "/mcp", "DPoP", &holder.token, &[]);
    is_a_bad_proof(&world, &without, "the request carries no DPoP proof");
}

#[test]
fn an_unbound_token_is_a_bearer_token_whatever_comes_with_it() {
    let world = World::with("forward: {authorization: keep}");
    let key = ProofKey::new();
    let token = world.issuer.token();
    let proof = key.sign(&key.proof("POST", URL, &token));
    let description = "the token is not bound to a key, so the DPoP scheme is not for it";
    let response = send(&world, "POST", "/mcp", "DPoP", &token, &[&proof]);
    is_a_bad_token(&world, &response, description);
    assert_eq!(send(&world, "POST", "/mcp", "Bearer", &token, &[&proof]).status, 200);
    let seen = world.upstream.next();
    assert_eq!(seen.values("dpop"), [""; 0]);
    assert_eq!(seen.values("authorization"), [format!("Bearer {token}")]);
}

#[test]
fn a_bad_token_stays_bad_with_a_good_proof() {
    let world = World::start();
    let key = ProofKey::new();
    let claims = world.issuer.claims().set("cnf", json!({ "jkt": key.thumbprint() }));
    let token = world.issuer.key.sign(&claims.set("aud", "https://other.example/mcp"));
    let holder = Holder { key, token };
    let response = holder.send(&world, &holder.signed());
    is_a_bad_token(&world, &response, "the token is for another audience");
}

#[test]
fn a_token_that_is_bound_to_something_unknown_is_refused_whatever_is_proven() {
    let world = World::start();
    for (name, value) in [
        ("jwk", json!({})),
        ("kid", json!("1")),
        ("jwe", json!("a")),
        ("jku", json!("https://a.example")),
        ("new", json!(true)),
        ("x5t#S256", json!(7)),
    ] {
        let key = ProofKey::new();
        let claims =
            world.issuer.claims().set("cnf", json!({ "jkt": key.thumbprint(), name: value }));
        let holder = Holder { key, token: world.issuer.key.sign(&claims) };
        let description = "the token is bound to something that cannot be proven here";
        is_a_bad_token(&world, &holder.send(&world, &holder.signed()), description);
    }
}

#[test]
fn a_nonce_is_asked_for_given_and_taken() {
    let world = World::with("dpop: {nonce: true}");
    let holder = Holder::of(&world.issuer);
    let challenge = World::proof_challenge(
        "use_dpop_nonce",
        "the DPoP proof needs the nonce that this answer gives",
    );
    let first = holder.send(&world, &holder.signed());
    is_refused(&world, &first, &challenge);
    let body: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(body["error"], "use_dpop_nonce");
    let nonce = first.header("dpop-nonce");
    for wrong in ["", "guessed", &format!("{nonce}A")] {
        is_refused(&world, &holder.send(&world, &holder.with_nonce(wrong)), &challenge);
    }
    for _ in 0..2 {
        let response = holder.send(&world, &holder.with_nonce(nonce));
        assert_eq!(response.status, 200);
        assert_eq!(response.headers("dpop-nonce"), [""; 0], "it has time left");
        world.upstream.next();
    }
    let bad = holder.send(&world, "proof");
    assert_eq!(bad.headers("dpop-nonce").len(), 1, "every other refusal gives one too");
}

#[test]
fn replicas_share_nonces_by_their_key_and_old_ones_end() {
    let settings = format!("dpop: {{nonce: true, nonce_key: {NONCE_KEY}}}");
    let world = World::with(&settings);
    let holder = Holder::of(&world.issuer);
    let judged = |back: i64| {
        loop {
            let slot = slot();
            let response = holder.send(&world, &holder.with_nonce(&nonce(slot - back)));
            // The next slot may have begun meanwhile.
            if slot == self::slot() {
                return response;
            }
        }
    };
    let current = judged(0);
    assert_eq!((current.status, current.headers("dpop-nonce").len()), (200, 0));
    let ending = judged(1);
    assert_eq!(ending.status, 200);
    assert_eq!(ending.header("dpop-nonce"), nonce(slot()), "the next one comes in time");
    assert_eq!(judged(2).status, 401);
    assert_eq!(judged(-1).status, 401);
}

#[test]
fn where_proofs_are_required_other_tokens_are_refused_and_clients_are_told() {
    let world = World::with("dpop: {required: true}");
    let dpop = World::WITH_DPOP.split_once(", DPoP ").unwrap().1;
    let refused = world.call(&world.issuer.token());
    let description = "only tokens that are bound to a key are accepted here";
    let error = format!("error=\"invalid_token\", error_description=\"{description}\"");
    is_refused(&world, &refused, &format!("DPoP {error}, {dpop}"));
    let unknown = world.request("POST", "/mcp", &[]);
    is_refused(&world, &unknown, &format!("DPoP {dpop}"));
    let holder = Holder::of(&world.issuer);
    assert_eq!(holder.send(&world, &holder.signed()).status, 200);
    assert_eq!(metadata(&world)["dpop_bound_access_tokens_required"], json!(true));
}

#[test]
fn clients_are_told_where_the_operator_says_so() {
    let world = World::with("dpop: {required: false}");
    is_refused(&world, &world.request("POST", "/mcp", &[]), World::WITH_DPOP);
    let told = metadata(&world);
    assert_eq!(told["dpop_bound_access_tokens_required"], json!(false));
    let algorithms = json!(["ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256"]);
    assert_eq!(told["dpop_signing_alg_values_supported"], algorithms);
    assert_eq!(world.call(&world.issuer.token()).status, 200, "and others come as before");

    let world = World::start();
    is_refused(&world, &world.request("POST", "/mcp", &[]), World::PLAIN_CHALLENGE);
    assert!(metadata(&world)["dpop_signing_alg_values_supported"].is_null());
}

fn metadata(world: &World) -> Value {
    let response = world.request("GET", "/.well-known/oauth-protected-resource/mcp", &[]);
    serde_json::from_str(&response.body).unwrap()
}

fn slot() -> i64 {
    now() / 120
}

/// As every replica with the same key would make it.
fn nonce(slot: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, NONCE_KEY.as_bytes());
    let tag = hmac::sign(&key, &[&b"postern dpop nonce"[..], &slot.to_be_bytes()].concat());
    URL_SAFE_NO_PAD.encode(&tag.as_ref()[..16])
}

const NONCE_KEY: &str = "0123456789abcdef0123456789abcdef";

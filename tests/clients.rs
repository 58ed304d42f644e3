//! What clients are known to do on their way to us, and how they read what they are told.

use serde_json::{Value, json};

use crate::harness::{Issuer, ProofKey, Response, World};

const RESOURCE: &str = "https://mcp.example/mcp";
const AT_PATH: &str = "/.well-known/oauth-protected-resource/mcp";
const AT_ROOT: &str = "/.well-known/oauth-protected-resource";

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
const DISCOVER: &str = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{}}"#;
const MODERN: [(&str, &str); 4] = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json, text/event-stream"),
    ("MCP-Protocol-Version", "2026-07-28"),
    ("Mcp-Method", "server/discover"),
];

type Headers<'h> = &'h [(&'h str, &'h str)];

#[test]
fn whoever_has_no_token_hears_that_before_anything_else() {
    let world = World::start();
    let legacy = &MODERN[..2];
    let requests: [(&str, &str, Headers<'_>, &str); 14] = [
        ("POST", "/mcp", legacy, INITIALIZE),
        ("POST", "/mcp", &MODERN, DISCOVER),
        // The Rust client asks for the way so.
        ("GET", "/mcp", &[("Accept", "*/*"), ("MCP-Protocol-Version", "2024-11-05")], ""),
        ("GET", "/mcp", &[("Accept", "text/event-stream")], ""),
        ("HEAD", "/mcp", &[], ""),
        ("DELETE", "/mcp", &[("Mcp-Session-Id", "s-1")], ""),
        ("POST", "/mcp/", legacy, INITIALIZE),
        ("POST", "/mcp?key=1", legacy, INITIALIZE),
        // What the server would not like is not ours to say to strangers.
        ("PUT", "/mcp", &[], ""),
        ("POST", "/mcp", &[("Content-Type", "text/plain")], "not JSON"),
        ("POST", "/mcp", &[("Accept", "image/png")], INITIALIZE),
        ("POST", "/mcp", &[("MCP-Protocol-Version", "1999-01-01")], DISCOVER),
        ("POST", "/mcp", &[("Mcp-Method", "a"), ("Mcp-Method", "b")], DISCOVER),
        ("OPTIONS", "/mcp", &[], ""),
    ];
    for (method, path, headers, body) in requests {
        let response = world.connect().request(method, path, headers, body);
        assert_eq!(response.status, 401, "{method} {path} {headers:?}");
        assert_eq!(response.header("www-authenticate"), World::PLAIN_CHALLENGE);
        assert_eq!(response.headers("location"), [""; 0]);
    }
    world.upstream.saw_nothing();
}

#[test]
fn every_client_finds_the_metadata_by_its_own_way() {
    let world = World::start();
    let ways: [(&str, &[&str], &str); 7] = [
        // Where the challenge says: then they look nowhere else.
        ("typescript, told", &[AT_PATH], "2026-07-28"),
        ("typescript, with the query of its URL", &["{path}?key=1", AT_ROOT], "2025-11-25"),
        ("python", &[AT_PATH, AT_ROOT], "2026-07-28"),
        ("rust", &[AT_PATH, "/mcp/.well-known/oauth-protected-resource", AT_ROOT], "2024-11-05"),
        ("chatgpt, which never asks at the root", &[AT_PATH], "2025-06-18"),
        ("claude", &[AT_PATH, AT_ROOT], "2025-11-25"),
        ("whose URL has a slash behind it", &["{path}/"], "2025-03-26"),
    ];
    for (client, places, version) in ways {
        let asked = places.iter().map(|place| {
            let place = place.replace("{path}", AT_PATH);
            world.request("GET", &place, &[("MCP-Protocol-Version", version), ("Accept", "*/*")])
        });
        let answers: Vec<Response> = asked.collect();
        // They take the first that is there; some give up at any 3xx, 429 or 5xx before it.
        let first = answers.iter().position(|answer| answer.status == 200);
        let before = &answers[..first.unwrap_or_else(|| panic!("{client} finds nothing"))];
        assert!(before.iter().all(|answer| matches!(answer.status, 401 | 404)), "{client}");
        let document: Value = serde_json::from_str(&answers[before.len()].body).unwrap();
        // One editor compares the strings, at both places.
        assert_eq!(document["resource"], RESOURCE, "{client}");
        // Most take the first, as it is: a slash more would be another issuer.
        assert_eq!(document["authorization_servers"][0], world.issuer.url(), "{client}");
    }
}

/// `name=("value"|value)`, wherever that stands first: so read the TypeScript and Python clients.
fn found<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    let value = header.split_once(&format!("{name}=")).map(|(_, value)| value)?;
    let quoted = value.strip_prefix('"').and_then(|value| value.split_once('"'));
    match quoted {
        Some((inside, _)) if !inside.is_empty() => Some(inside),
        _ => value.split([' ', ',', '\t']).next().filter(|value| !value.is_empty()),
    }
}

/// Refusals of every kind that has a challenge, by the code that they are to be read with.
fn refusals(world: &World) -> Vec<(Option<&'static str>, Response)> {
    let claims = || world.issuer.claims();
    let sign = |claims| world.issuer.key.sign(&claims);
    let bearer = format!("Bearer {}", world.issuer.token());
    let twice = [("Authorization", bearer.as_str()), ("Authorization", bearer.as_str())];
    let bound = sign(claims().set("cnf", json!({ "jkt": ProofKey::new().thumbprint() })));
    let mut all = vec![
        (None, world.request("POST", "/mcp", &[])),
        (None, world.request("POST", "/mcp", &[("Authorization", "Basic YTpi")])),
        (Some("invalid_request"), world.request("POST", "/mcp", &twice)),
        (Some("insufficient_scope"), world.call(&sign(claims().set("scope", "other")))),
        (Some("invalid_token"), world.call(&bound)),
    ];
    let bad = [
        "opaque".to_owned(),
        "a.b.c".to_owned(),
        sign(claims().set("exp", 1)),
        sign(claims().set("nbf", i64::from(u32::MAX))),
        sign(claims().set("aud", "https://other.example/mcp")),
        sign(claims().set("iss", "https://other.example")),
        sign(claims().without("sub")),
        Issuer::start().token(),
    ];
    all.extend(bad.iter().map(|token| (Some("invalid_token"), world.call(token))));
    all
}

#[test]
fn every_challenge_is_read_alike_by_all_known_readers() {
    for (scopes, expected) in
        [("[mcp:read, mcp:write-all]", Some("mcp:read mcp:write-all")), ("[]", None)]
    {
        let settings = format!("resource: {{url: {RESOURCE}, scopes: {scopes}}}");
        let world = World::with(&settings);
        for (error, response) in refusals(&world) {
            // Without scopes there is none to lack.
            if response.status == 200 {
                assert_eq!((error, expected), (Some("insufficient_scope"), None));
                continue;
            }
            let challenge = response.header("www-authenticate");
            let metadata = format!("https://mcp.example{AT_PATH}");
            assert_eq!(found(challenge, "resource_metadata"), Some(metadata.as_str()));
            assert_eq!(found(challenge, "scope"), expected, "{challenge}");
            assert_eq!(found(challenge, "error"), error, "{challenge}");
            // One client wants the scheme to be the first word, and a second word.
            let mut words = challenge.split(' ');
            assert_eq!(words.next(), Some("Bearer"), "{challenge}");
            assert!(words.next().is_some_and(|word| word.contains('=')), "{challenge}");
            // One looks for these anywhere, in small letters, to tell why.
            let lower = challenge.to_ascii_lowercase();
            let told = |code: &str| lower.contains(&format!("error=\"{code}\""));
            assert_eq!(told("insufficient_scope"), error == Some("insufficient_scope"));
            assert_eq!(told("invalid_token"), error == Some("invalid_token"), "{challenge}");
            assert!(!challenge.contains('\\') && challenge.is_ascii(), "{challenge}");
        }
    }
}

#[test]
fn no_refusal_can_be_taken_for_a_sign_of_an_era() {
    let world = World::start();
    let good = format!("Bearer {}", world.issuer.token());
    let scopeless = world.issuer.key.sign(&world.issuer.claims().without("scope"));
    let scopeless = format!("Bearer {scopeless}");
    let unjudged = World::unready(silent(), "");
    let unserved = World::with("upstream: {address: '127.0.0.1:1'}");
    let served = format!("Bearer {}", unserved.issuer.token());
    let unknown = format!("Bearer {}", unjudged.issuer.token());
    let cases: [(&World, u16, Headers<'_>); 8] = [
        (&world, 401, &[]),
        (&world, 401, &[("Authorization", "Bearer opaque")]),
        (&world, 401, &[("Authorization", "Basic YTpi")]),
        (&world, 403, &[("Authorization", &scopeless)]),
        (&world, 403, &[("Authorization", &good), ("Origin", "https://evil.example")]),
        (&world, 502, &[("Authorization", &good), ("x-answer", "hang-up")]),
        (&unserved, 502, &[("Authorization", &served)]),
        (&unjudged, 503, &[("Authorization", &unknown)]),
    ];
    for (world, status, headers) in cases {
        let modern = [&MODERN[..], headers].concat();
        let legacy = [&MODERN[..2], headers].concat();
        for (headers, body) in [(modern, DISCOVER), (legacy, INITIALIZE)] {
            let response = world.connect().request("POST", "/mcp", &headers, body);
            // Only these say nothing of what the server speaks: any other 4xx means that it is old.
            assert_eq!(response.status, status, "{headers:?}");
            // Nor may the body: a client of old took such an error for the server's own.
            let told: Value = serde_json::from_str(&response.body).unwrap();
            assert!(told["error"].is_string() && told["jsonrpc"].is_null(), "{told}");
            assert_eq!(response.header("content-type"), "application/json");
        }
    }
}

/// An issuer that has no keys to give.
fn silent() -> Issuer {
    let issuer = Issuer::start();
    issuer.fail(500);
    issuer
}

/// A page that cannot read why takes it for a sign that the server is old.
#[test]
fn a_page_may_read_every_refusal() {
    let page = "https://app.example";
    let settings = format!(
        "resource: {{url: {RESOURCE}, scopes: [mcp:read], origins: ['{page}']}}\n\
         limits: {{body_bytes: 1KiB}}"
    );
    let world = World::with(&settings);
    let unjudged = World::unready(silent(), &settings);
    let good = format!("Bearer {}", world.issuer.token());
    let unknown = format!("Bearer {}", unjudged.issuer.token());
    let scopeless = world.issuer.key.sign(&world.issuer.claims().without("scope"));
    let scopeless = format!("Bearer {scopeless}");
    let large = "x".repeat(2 << 10);
    let cases: [(&World, u16, Headers<'_>, &str); 7] = [
        (&world, 401, &[], "{}"),
        (&world, 401, &[("Authorization", "Bearer opaque")], "{}"),
        (&world, 400, &[("Authorization", &good), ("Authorization", &good)], "{}"),
        (&world, 403, &[("Authorization", &scopeless)], "{}"),
        (&world, 413, &[("Authorization", &good)], &large),
        (&world, 502, &[("Authorization", &good), ("x-answer", "hang-up")], "{}"),
        (&unjudged, 503, &[("Authorization", &unknown)], "{}"),
    ];
    for (world, status, headers, body) in cases {
        let headers = [&[("Origin", page)], headers].concat();
        let response = world.connect().request("POST", "/mcp", &headers, body);
        assert_eq!(response.status, status, "{headers:?}");
        assert_eq!(response.header("access-control-allow-origin"), page, "{status}");
        let exposed = response.header("access-control-expose-headers");
        assert!(exposed.contains("WWW-Authenticate") && exposed.contains("Retry-After"));
    }
}

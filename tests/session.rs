//! Sessions of MCP before 2026-07-28: each is its caller's alone, and nobody here remembers it.

use crate::harness::{Issuer, Response, Upstream, World, wait_until};

/// What the backend calls the session that it begins.
const BACKENDS: &str = "7e1c-the-backends-own";

const BEGIN: &str = "HTTP/1.1 200 OK\\r\\nMcp-Session-Id: 7e1c-the-backends-own\\r\\nContent-Length: 2\\r\\n\\r\\n{}";

const SHARED_KEY: &str = "session: {keys: ['0123456789abcdef0123456789abcdef']}";

/// A token for somebody.
fn token(world: &World, claim: &str, value: &str) -> String {
    world.issuer.key.sign(&world.issuer.claims().set(claim, value))
}

fn send(world: &World, method: &str, token: &str, headers: &[(&str, &str)]) -> Response {
    let bearer = format!("Bearer {token}");
    let mut all = vec![("Authorization", bearer.as_str())];
    all.extend_from_slice(headers);
    world.connect().request(method, "/mcp", &all, if method == "POST" { "{}" } else { "" })
}

/// Begins a session, and returns the id that the client is to hold.
#[track_caller]
fn begin(world: &World, token: &str) -> String {
    let begun = send(world, "POST", token, &[("x-answer", BEGIN)]);
    assert_eq!(begun.status, 200, "{begun:?}");
    world.upstream.next();
    begun.header("mcp-session-id").to_owned()
}

#[track_caller]
fn goes_on(world: &World, method: &str, token: &str, held: &str) {
    goes_on_at(&world.upstream, world, method, token, held);
}

#[track_caller]
fn goes_on_at(upstream: &Upstream, world: &World, method: &str, token: &str, held: &str) {
    let response = send(world, method, token, &[("Mcp-Session-Id", held)]);
    assert_eq!(response.status, 200, "{method} {response:?}");
    let seen = upstream.next();
    assert!(seen.head.starts_with(method), "{}", seen.head);
    assert_eq!(seen.values("mcp-session-id"), [BACKENDS], "as the backend calls it");
}

#[track_caller]
fn is_unknown(world: &World, method: &str, token: &str, held: &str) {
    let response = send(world, method, token, &[("Mcp-Session-Id", held)]);
    assert_eq!(response.status, 404, "{method} {response:?}");
    assert!(response.headers("www-authenticate").is_empty(), "a token would change nothing");
    assert_eq!(response.header("cache-control"), "no-store");
    assert!(response.body.starts_with("{\"error\":\"unknown_session\""), "{}", response.body);
}

#[test]
fn a_session_goes_on_under_the_name_that_its_client_holds() {
    let world = World::start();
    let ada = world.issuer.token();
    let held = begin(&world, &ada);
    assert!(!held.contains("backends"), "{held}");
    assert!(held.bytes().all(|byte| matches!(byte, 0x21..=0x7E)), "{held}");
    for method in ["POST", "GET", "DELETE"] {
        goes_on(&world, method, &ada, &held);
    }
    goes_on(&world, "POST", &token(&world, "jti", "another token of hers"), &held);
    assert_eq!(begin(&world, &ada), held, "one session, one name");
}

#[test]
fn nobody_else_can_use_or_end_a_session() {
    let world = World::start();
    let held = begin(&world, &world.issuer.token());
    for (claim, value) in [("sub", "eve"), ("client_id", "another-client")] {
        let other = token(&world, claim, value);
        for method in ["POST", "GET", "DELETE"] {
            is_unknown(&world, method, &other, &held);
            let line = world.log_line("unknown_session");
            assert!(line.contains(value), "who tried is told: {line}");
        }
    }
    let nameless = world.issuer.key.sign(&world.issuer.claims().without("client_id"));
    is_unknown(&world, "DELETE", &nameless, &held);
    world.upstream.saw_nothing();
    assert!(world.metric("postern_requests_total{outcome=\"unknown_session\"}") >= 7.0);
    goes_on(&world, "DELETE", &world.issuer.token(), &held);
}

#[test]
fn a_session_of_one_issuers_subject_is_no_session_of_anothers() {
    let [issuer, other] = [(); 2].map(|()| Issuer::start());
    let issuers =
        format!("issuers: [{{issuer: '{}'}}, {{issuer: '{}'}}]", issuer.url(), other.url());
    let world = World::unready(issuer, &issuers);
    wait_until("the proxy is ready", || world.is_ready());
    let held = begin(&world, &world.issuer.token());
    is_unknown(&world, "POST", &other.token(), &held);
    world.upstream.saw_nothing();
    goes_on(&world, "POST", &world.issuer.token(), &held);
}

#[test]
fn what_was_never_given_out_is_no_session() {
    let world = World::start();
    let ada = world.issuer.token();
    let held = begin(&world, &ada);
    let cut = &held[..held.len() - 1];
    for name in [BACKENDS, "", "1.", cut, &format!("{held}A"), &format!("{held}, {held}")] {
        is_unknown(&world, "POST", &ada, name);
        is_unknown(&world, "DELETE", &ada, name);
    }
    assert_eq!(send(&world, "POST", "opaque", &[("Mcp-Session-Id", &held)]).status, 401);
    for alias in ["Mcp_Session_Id", "Mcp.Session.Id"] {
        let response = send(&world, "POST", &ada, &[(alias, BACKENDS)]);
        assert_eq!(response.status, 200);
        let seen = world.upstream.next();
        assert!(!seen.head.contains(BACKENDS), "{}", seen.head);
    }
    world.upstream.saw_nothing();
}

#[test]
fn replicas_and_restarts_know_the_sessions_of_a_shared_key() {
    let world = World::with(SHARED_KEY);
    let ada = world.issuer.token();
    let held = begin(&world, &ada);
    let World { issuer, upstream, proxy, .. } = world;
    drop(proxy);
    // A session is at a server, which all of them call by the same address.
    let (url, address) = (issuer.url(), upstream.address());
    let [one, two] = [(); 2].map(|()| {
        let trusted = format!(
            "{SHARED_KEY}\nissuers: [{{issuer: '{url}'}}]\nupstream: {{address: '{address}'}}"
        );
        let world = World::unready(Issuer::start(), &trusted);
        wait_until("the proxy is ready", || world.is_ready());
        world
    });
    let goes_on = |world: &World, method| goes_on_at(&upstream, world, method, &ada, &held);
    goes_on(&one, "POST");
    goes_on(&two, "POST");
    let begun = send(&two, "POST", &ada, &[("x-answer", BEGIN)]);
    assert_eq!(begun.header("mcp-session-id"), held);
    upstream.next();
    goes_on(&one, "DELETE");
}

#[test]
fn without_a_shared_key_a_restart_ends_all_sessions() {
    let world = World::start();
    let ada = world.issuer.token();
    let held = begin(&world, &ada);
    let World { issuer, proxy, .. } = world;
    drop(proxy);
    let world =
        World::unready(Issuer::start(), &format!("issuers: [{{issuer: '{}'}}]", issuer.url()));
    wait_until("the proxy is ready", || world.is_ready());
    is_unknown(&world, "POST", &ada, &held);
    world.upstream.saw_nothing();
    let held = begin(&world, &ada);
    goes_on(&world, "POST", &ada, &held);
}

#[test]
fn a_session_of_one_site_is_none_at_another() {
    let [main, other] = [(); 2].map(|()| Upstream::start());
    // Both sites take the same token, so that nothing but the seal keeps them apart.
    let settings = format!(
        "{SHARED_KEY}\nsites:\n\
         - {{resource: {{url: 'https://mcp.example/mcp'}}, upstream: {{address: '{}'}}}}\n\
         - {{resource: {{url: 'https://mcp.example/mcp/b'}}, upstream: {{address: '{}'}}}}\n",
        main.address(),
        other.address(),
    );
    let world = World::with(&settings);
    let both = ["https://mcp.example/mcp", "https://mcp.example/mcp/b"];
    let ada = world.issuer.key.sign(&world.issuer.claims().set("aud", both.to_vec()));
    let bearer = format!("Bearer {ada}");
    let begun = send(&world, "POST", &ada, &[("x-answer", BEGIN)]);
    main.next();
    let held = begun.header("mcp-session-id");
    let headers = [("Authorization", bearer.as_str()), ("Mcp-Session-Id", held)];
    assert_eq!(world.request("GET", "/mcp/b", &headers).status, 404);
    other.saw_nothing();
    assert_eq!(world.request("GET", "/mcp", &headers).status, 200);
    assert_eq!(main.next().values("mcp-session-id"), [BACKENDS]);
}

#[test]
fn in_the_era_without_sessions_what_poses_as_one_stays_here() {
    let world = World::start();
    let ada = world.issuer.token();
    for name in ["anything", BACKENDS, ""] {
        let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Session-Id", name)];
        assert_eq!(send(&world, "POST", &ada, &headers).status, 200, "it is to be ignored");
        let seen = world.upstream.next();
        assert_eq!(seen.values("mcp-session-id"), [""; 0]);
        assert_eq!(seen.values("mcp-protocol-version"), ["2026-07-28"]);
    }
    for version in ["2025-11-25", "2024-11-05", "9", ""] {
        let headers = [("MCP-Protocol-Version", version), ("Mcp-Session-Id", BACKENDS)];
        assert_eq!(send(&world, "POST", &ada, &headers).status, 404, "{version}");
    }
    world.upstream.saw_nothing();
}

#[test]
fn an_id_that_cannot_be_sealed_is_not_passed_on() {
    let world = World::start();
    let ada = world.issuer.token();
    let long = BEGIN.replace(BACKENDS, &"x".repeat(1025));
    let twice = BEGIN.replace("Content", "Mcp-Session-Id: b\\r\\nContent");
    for answer in [long, twice] {
        let response = send(&world, "POST", &ada, &[("x-answer", &answer)]);
        assert_eq!(response.status, 502, "{response:?}");
        assert!(response.headers("mcp-session-id").is_empty());
        world.upstream.next();
    }
    assert!(world.log_line("bad_gateway").contains("session id"));
}

#[test]
fn an_error_names_its_session_sealed_too() {
    let world = World::start();
    let ada = world.issuer.token();
    for status in ["202 Accepted", "400 Bad Request", "404 Not Found", "500 Oh"] {
        let answer = BEGIN.replace("200 OK", status);
        let response = send(&world, "POST", &ada, &[("x-answer", &answer)]);
        let held = response.header("mcp-session-id").to_owned();
        world.upstream.next();
        goes_on(&world, "GET", &ada, &held);
    }
}

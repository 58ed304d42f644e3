//! The document that tells clients where to get a token.

use serde_json::{Value, json};

use crate::harness::{H2, Identity, Response, World};

const PLACES: [&str; 2] =
    ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"];

const DESCRIBED: &str = "resource: {url: https://mcp.example/mcp, name: Example, \
     documentation: 'https://mcp.example/docs', scopes: [mcp:read, mcp:write]}";

#[track_caller]
fn is_readable_by_any_page(response: &Response) {
    assert_eq!(response.header("access-control-allow-origin"), "*");
    assert_eq!(response.headers("access-control-allow-credentials"), [""; 0]);
}

#[test]
fn it_says_what_is_protected_and_by_whom_at_both_places() {
    let world = World::with(DESCRIBED);
    let expected = json!({
        "resource": "https://mcp.example/mcp",
        "authorization_servers": [world.issuer.url()],
        "scopes_supported": ["mcp:read", "mcp:write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Example",
        "resource_documentation": "https://mcp.example/docs",
    });
    for place in PLACES {
        let response = world.request("GET", place, &[]);
        assert_eq!(response.status, 200);
        assert_eq!(serde_json::from_str::<Value>(&response.body).unwrap(), expected);
        assert_eq!(response.header("content-type"), "application/json");
        assert_eq!(response.header("content-length"), response.body.len().to_string());
        assert_eq!(response.header("cache-control"), "public, max-age=300");
        is_readable_by_any_page(&response);
    }
    world.upstream.saw_nothing();
}

#[test]
fn every_issuer_is_named_in_the_order_of_the_file() {
    let world = World::start();
    let second = "https://second.example";
    let settings =
        format!("issuers: [{{issuer: '{}'}}, {{issuer: '{second}'}}]", world.issuer.url());
    let world = World::unready(world.issuer, &settings);
    let document: Value = serde_json::from_str(&world.request("GET", PLACES[0], &[]).body).unwrap();
    assert_eq!(document["authorization_servers"], json!([world.issuer.url(), second]));
}

#[test]
fn what_is_not_configured_is_not_in_it() {
    let world = World::with("resource: {url: https://mcp.example/mcp}");
    let document: Value = serde_json::from_str(&world.request("GET", PLACES[0], &[]).body).unwrap();
    let names: Vec<_> = document.as_object().unwrap().keys().collect();
    assert_eq!(names, ["authorization_servers", "bearer_methods_supported", "resource"]);
}

#[test]
fn it_is_where_the_challenge_says() {
    let world = World::start();
    let response = world.request("POST", "/mcp", &[]);
    let challenge = response.header("www-authenticate");
    let place = challenge.split("resource_metadata=\"https://mcp.example").nth(1).unwrap();
    let place = place.split('"').next().unwrap();
    assert_eq!(world.request("GET", place, &[]).status, 200);
}

#[test]
fn a_resource_at_the_root_has_one_place() {
    let world = World::with("resource: {url: https://mcp.example}");
    let response = world.request("GET", PLACES[1], &[]);
    let document: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(document["resource"], "https://mcp.example");
    assert_eq!(world.request("GET", PLACES[0], &[]).status, 401, "everything else is protected");
    assert_eq!(world.request("GET", "/", &[]).status, 401);
    assert_eq!(world.request("GET", "/healthz", &[]).status, 401);
}

#[test]
fn head_tells_the_length_and_no_more() {
    let world = World::start();
    for place in PLACES {
        let whole = world.request("GET", place, &[]);
        let mut wire = world.connect();
        let response = wire.request("HEAD", place, &[], "");
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-length"), whole.body.len().to_string());
        assert_eq!(response.header("content-type"), "application/json");
        let next = wire.request("GET", place, &[], "");
        assert_eq!(next.body, whole.body, "nothing came between the two heads");
    }
}

#[test]
fn a_page_may_ask_first() {
    let world = World::start();
    let asks = [
        ("Origin", "https://client.example"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "mcp-protocol-version"),
    ];
    for place in PLACES {
        let response = world.request("OPTIONS", place, &asks);
        assert_eq!(response.status, 204);
        assert_eq!(response.header("access-control-allow-methods"), "GET, HEAD, OPTIONS");
        assert_eq!(response.header("access-control-allow-headers"), "mcp-protocol-version");
        assert_eq!(response.header("vary"), "Access-Control-Request-Headers");
        is_readable_by_any_page(&response);
    }
}

#[test]
fn it_can_only_be_read() {
    let world = World::start();
    for place in PLACES {
        for method in ["POST", "PUT", "DELETE", "PATCH", "QUERY"] {
            let response = world.request(method, place, &[]);
            assert_eq!(response.status, 405, "{method}");
            assert_eq!(response.header("allow"), "GET, HEAD, OPTIONS");
            is_readable_by_any_page(&response);
        }
    }
    world.upstream.saw_nothing();
}

#[test]
fn whatever_is_asked_beside_it_changes_nothing() {
    let world = World::start();
    let plain = world.request("GET", PLACES[0], &[]).body;
    for place in PLACES {
        for path in [format!("{place}?resource=x"), format!("{place}?"), format!("{place}/")] {
            let response = world.request("GET", &path, &[]);
            assert_eq!((response.status, &response.body), (200, &plain), "{path}");
        }
        let forged = [
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Proto", "http"),
            ("Forwarded", "host=evil.example"),
            ("X-Original-URL", "/mcp"),
            ("MCP-Protocol-Version", "1999-01-01"),
            ("Authorization", "Bearer nonsense"),
        ];
        let response = world.request("GET", place, &forged);
        assert_eq!((response.status, &response.body), (200, &plain));
    }
}

#[test]
fn the_host_that_a_client_names_is_never_told_on() {
    let settings = "resource: {url: https://mcp.example/mcp, scopes: [mcp:read], hosts: [inside]}";
    let world = World::with(settings);
    let plain = world.request("GET", PLACES[0], &[]).body;
    let asked = |host: &str| {
        let mut wire = world.connect();
        wire.send(format!(
            "GET {} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\n\r\n",
            PLACES[0]
        ));
        wire.response(false)
    };
    assert_eq!(asked("inside").body, plain);
    let foreign = asked("evil.example");
    assert_eq!(foreign.status, 421);
    assert!(!foreign.body.contains("evil"), "{}", foreign.body);
}

#[test]
fn nothing_beside_it_is_public() {
    let world = World::start();
    for (path, status) in [
        ("/.well-known/oauth-protected-resource/mcp/x", 404),
        ("/.well-known/oauth-protected-resource/other", 404),
        ("/.well-known/oauth-protected-resourcex", 404),
        ("/.well-known/oauth-authorization-server", 404),
        ("/.well-known/oauth-protected-resource//mcp", 400),
        ("/.well-known/oauth-protected-resource/../../mcp", 400),
        ("/mcp/.well-known/oauth-protected-resource", 401),
    ] {
        assert_eq!(world.request("GET", path, &[]).status, status, "{path}");
    }
    world.upstream.saw_nothing();
}

#[test]
fn it_is_the_same_over_http2_and_tls() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let first = identity.connect(world.gateway).request("GET", PLACES[0], &[], "");
    assert_eq!(first.status, 200);
    let mut client = H2::connect(world.gateway, &identity);
    for place in PLACES {
        let response = client.request("GET", place, &[], "");
        assert_eq!((response.status, &response.body), (200, &first.body));
        is_readable_by_any_page(&response);
        let head = client.request("HEAD", place, &[], "");
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.header("content-length"), first.body.len().to_string());
        assert_eq!(client.request("OPTIONS", place, &[], "").status, 204);
    }
}

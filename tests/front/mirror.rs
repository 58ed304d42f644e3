//! The issuer's metadata, where clients look for it that know only the resource.

use serde_json::{Value, json};

use crate::harness::{Issuer, World, wait_until};

const PLACES: [&str; 7] = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/mcp",
    "/.well-known/oauth-authorization-server/mcp/",
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/",
    "/.well-known/openid-configuration/mcp",
    "/mcp/.well-known/openid-configuration",
];

const ON: &str = "oauth: {mirror: {}}";

fn document(world: &World) -> Value {
    let response = world.request("GET", PLACES[0], &[]);
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_str(&response.body).unwrap()
}

#[test]
fn it_is_the_issuers_at_every_place_where_clients_look() {
    let world = World::with(ON);
    let place = |path: &str| format!("{}/{path}", world.issuer.url());
    let expected = json!({
        "issuer": world.issuer.url(), "jwks_uri": place("jwks"),
        "authorization_endpoint": place("authorize"), "token_endpoint": place("token"),
        "introspection_endpoint": place("introspect"),
    });
    for path in PLACES {
        let response = world.request("GET", path, &[("Origin", "https://page.example")]);
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(serde_json::from_str::<Value>(&response.body).unwrap(), expected);
        assert_eq!(response.header("content-type"), "application/json");
        assert_eq!(response.header("cache-control"), "public, max-age=300");
        assert_eq!(response.header("access-control-allow-origin"), "*");
        let head = world.connect().request("HEAD", path, &[], "");
        assert_eq!(head.header("content-length"), response.body.len().to_string());
    }
    let counted = "postern_requests_total{outcome=\"mirror\"}";
    wait_until("all are counted", || world.metric(counted) >= 14.0);
    world.upstream.saw_nothing();
}

#[test]
fn nothing_is_there_unless_it_was_turned_on_nor_anywhere_else() {
    let world = World::start();
    for path in PLACES {
        let status = world.request("GET", path, &[]).status;
        assert_eq!(status, if path.starts_with("/mcp/") { 401 } else { 404 }, "{path}");
    }
    let world = World::with(ON);
    for (path, status) in [
        ("/.well-known/oauth-authorization-server/other", 404),
        ("/.well-known/oauth-authorization-server/mcp/x", 404),
        ("/.well-known/oauth-authorization-serve", 404),
        ("/.well-known/openid-configuration//", 400),
        ("/mcp/.well-known/openid-configuration/x", 401),
        ("/mcp/.well-known/oauth-authorization-server", 401),
        ("/mcp/..%2f.well-known/openid-configuration", 400),
    ] {
        assert_eq!(world.request("GET", path, &[]).status, status, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "QUERY"] {
        let response = world.request(method, PLACES[0], &[]);
        assert_eq!(response.status, 405);
        assert_eq!(response.header("allow"), "GET, HEAD, OPTIONS");
    }
    let foreign = "GET /.well-known/openid-configuration HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    let mut wire = world.connect();
    wire.send(foreign);
    assert_eq!(wire.response(false).status, 421);
}

#[test]
fn a_page_may_ask_first() {
    let world = World::with(ON);
    let asks = [
        ("Origin", "https://client.example"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "mcp-protocol-version"),
    ];
    let response = world.request("OPTIONS", PLACES[1], &asks);
    assert_eq!(response.status, 204);
    assert_eq!(response.header("access-control-allow-origin"), "*");
    assert_eq!(response.header("access-control-allow-headers"), "mcp-protocol-version");
}

#[test]
fn only_what_clients_go_by_is_passed_on_and_as_the_operator_corrects_it() {
    let issuer = Issuer::start();
    issuer.describe(json!({
        "registration_endpoint": "javascript:alert(1)", "internal_admin": "http://10.0.0.1",
        "scopes_supported": ["a"], "response_types_supported": "code", "token_endpoint": 7,
        "code_challenge_methods_supported": ["plain"], "__proto__": {"x": 1},
    }));
    let overrides = "{scopes_supported: [mcp:read], code_challenge_methods_supported: [S256], \
         registration_endpoint: 'https://id.example/register', \
         authorization_response_iss_parameter_supported: true}";
    let world = World::unready(issuer, &format!("oauth: {{mirror: {{}}, overrides: {overrides}}}"));
    let place = |path: &str| format!("{}/{path}", world.issuer.url());
    assert_eq!(
        document(&world),
        json!({
            "issuer": world.issuer.url(), "jwks_uri": place("jwks"),
            "authorization_endpoint": place("authorize"),
            "introspection_endpoint": place("introspect"),
            "registration_endpoint": "https://id.example/register",
            "scopes_supported": ["mcp:read"], "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        })
    );
}

#[test]
fn what_was_known_is_served_while_the_issuer_is_down() {
    let world = World::with(ON);
    let before = document(&world);
    world.issuer.fail(500);
    let asked = world.issuer.asked();
    // Whoever changes the rules has it looked at again.
    world.configure("oauth: {mirror: {}, overrides: {scopes_supported: [x]}}");
    wait_until("it was asked in vain", || world.issuer.asked() > asked);
    let mut expected = before;
    expected["scopes_supported"] = json!(["x"]);
    wait_until("the new rules are in force", || document(&world) == expected);
    assert_eq!(document(&world), expected);
    world.issuer.recover();
    world.issuer.describe(json!({"claims_supported": ["sub"]}));
    expected["claims_supported"] = json!(["sub"]);
    wait_until("it is asked again", || document(&world) == expected);
}

#[track_caller]
fn is_unavailable(world: &World) {
    for path in PLACES {
        let response = world.request("GET", path, &[]);
        assert_eq!(response.status, 503, "{response:?}");
        assert_eq!(response.header("retry-after"), "5");
        assert_eq!(response.header("cache-control"), "no-store");
        let error: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(error["error"], "temporarily_unavailable");
        assert!(!response.body.contains("127.0.0.1"), "{response:?}");
    }
}

#[test]
fn where_there_is_nothing_to_serve_that_is_said_until_there_is() {
    let issuer = Issuer::start();
    issuer.fail(500);
    let world = World::unready(issuer, ON);
    is_unavailable(&world);
    let counted = "postern_requests_total{outcome=\"front_unavailable\"}";
    wait_until("all are counted", || world.metric(counted) >= 7.0);
    world.issuer.recover();
    wait_until("it is there", || world.request("GET", PLACES[0], &[]).status == 200);
}

#[test]
fn what_is_not_the_issuers_own_is_never_served() {
    let large = "x".repeat(2 << 20);
    for text in [
        r#"{"issuer":"https://evil.example","authorization_endpoint":"https://evil.example/a"}"#,
        r#"{"authorization_endpoint":"https://evil.example/a"}"#,
        "<!doctype html><h1>Welcome</h1>",
        "{}",
        "[]",
        &format!("\"{large}\""),
    ] {
        let issuer = Issuer::start();
        issuer.describe_as(text);
        let world = World::unready(issuer, ON);
        is_unavailable(&world);
    }
    let issuer = Issuer::start();
    let elsewhere = Issuer::start();
    issuer.move_to(&format!("{}/.well-known/openid-configuration", elsewhere.url()));
    let world = World::unready(issuer, ON);
    is_unavailable(&world);
    assert_eq!(elsewhere.asked(), 0, "redirects are not followed");
}

#[test]
fn an_issuer_that_never_answers_keeps_nobody_waiting_for_long() {
    let issuer = Issuer::start();
    issuer.fall_silent();
    let world = World::unready(issuer, ON);
    assert_eq!(world.request("GET", PLACES[0], &[]).status, 503);
}

#[test]
fn visitors_make_nobody_ask_nor_choose_what_is_asked() {
    let world = World::with(ON);
    document(&world);
    let asked = world.issuer.asked();
    for number in 0..50 {
        let path = format!("{}?x={number}&issuer=https://evil.example", PLACES[0]);
        let headers = [
            ("X-Forwarded-Host", "evil.example"),
            ("Forwarded", "host=evil.example"),
            ("X-Forwarded-Proto", "http"),
            ("Cookie", "a=b"),
        ];
        let response = world.request("GET", &path, &headers);
        assert_eq!(response.status, 200);
        assert!(!response.body.contains("evil") && !response.head.contains("evil"));
    }
    assert_eq!(world.issuer.asked(), asked);
}

#[test]
fn where_the_resource_is_the_root_the_mirror_is_public_and_nothing_else() {
    let world = World::with(&format!("resource: {{url: https://mcp.example}}\n{ON}"));
    assert_eq!(world.request("GET", PLACES[0], &[]).status, 200);
    assert_eq!(world.request("GET", PLACES[3], &[]).status, 200);
    assert_eq!(world.request("GET", PLACES[1], &[]).status, 401);
    assert_eq!(world.request("GET", PLACES[6], &[]).status, 401);
}

//! We stand in for an issuer that registers no clients.

mod attack;
mod documents;
mod program;
mod tokens;

use serde_json::{Value, json};
use url::Url;

use self::program::{Program, parameter};
use crate::harness::{Issuer, World, wait_until};

const KEY: &str = "0123456789abcdef0123456789abcdef";

const LISTED: &str =
    "['http://127.0.0.1/callback', 'https://app.example/cb?x=y', 'cursor://anysphere/cb']";

fn on() -> String {
    with("")
}

/// With further settings of the section.
fn with(settings: &str) -> String {
    format!(
        "oauth: {{keys: [{KEY}], facade: {{client_id: postern, client_secret: s3cret, \
         redirect_uris: {LISTED}}}{settings}}}"
    )
}

#[test]
fn a_program_that_the_issuer_never_heard_of_gets_a_token_and_it_opens_the_door() {
    let world = World::with(&on());
    let program = Program::register(&world, "http://127.0.0.1:53211/callback");
    let page = program.send_people(&world);
    assert_eq!(page.shown.status, 200, "{:?}", page.shown);
    for part in ["Test program", "https://mcp.example/mcp", "mcp:read", "http://127.0.0.1:53211/"] {
        assert!(page.shown.body.contains(part), "{part} in {}", page.shown.body);
    }
    let policy = page.shown.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert_eq!(page.shown.header("referrer-policy"), "same-origin");
    let cookie = page.shown.header("set-cookie");
    assert!(cookie.starts_with("__Host-postern-consent=") && cookie.contains("; Secure; HttpOnly"));

    let to_issuer = page.allow(&world);
    assert_eq!(to_issuer.origin().ascii_serialization(), world.issuer.url());
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "postern"),
        ("redirect_uri", "https://mcp.example/oauth/callback"),
        ("code_challenge_method", "S256"),
        ("scope", "mcp:read"),
        ("resource", "https://mcp.example/mcp"),
    ] {
        assert_eq!(parameter(&to_issuer, name), value, "{name}");
    }
    let challenge = parameter(&to_issuer, "code_challenge");
    assert_ne!(challenge, program::challenge(), "the issuer has one of our own");

    let token = world.issuer.token();
    world.issuer.tokens.gives_for_code(
        "c-1",
        &challenge,
        &json!({
            "access_token": token, "token_type": "bearer", "expires_in": 300, "scope": "mcp:read",
            "refresh_token": "r-1", "id_token": "e.y.J", "x_internal": 1,
        }),
    );
    let home =
        page.come_back(&world, &format!("code=c-1&state={}", parameter(&to_issuer, "state")));
    assert_eq!(home.as_str().split('?').next().unwrap(), "http://127.0.0.1:53211/callback");
    assert_eq!(parameter(&home, "state"), "the-state");
    assert_eq!(parameter(&home, "iss"), "https://mcp.example");
    let code = parameter(&home, "code");
    assert!(!code.contains("c-1"));

    let answer = program.redeem(&world, &code, &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let given: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(given["access_token"], token);
    assert_eq!((&given["token_type"], &given["expires_in"]), (&json!("Bearer"), &json!(300)));
    let names: Vec<_> = given.as_object().unwrap().keys().collect();
    assert_eq!(names, ["access_token", "expires_in", "refresh_token", "scope", "token_type"]);
    assert_ne!(given["refresh_token"], "r-1");
    let asked = world.issuer.tokens.asked();
    assert_eq!(asked[0].authorization, "Basic cG9zdGVybjpzM2NyZXQ=");
    assert_eq!(asked[0].form["redirect_uri"], "https://mcp.example/oauth/callback");
    assert_eq!(asked[0].form["resource"], "https://mcp.example/mcp");
    assert_eq!(world.call(given["access_token"].as_str().unwrap()).status, 200);
}

#[test]
fn metadata_leads_to_the_facade_and_to_nobody_else() {
    let world = World::with(&with(", overrides: {scopes_supported: [mcp:read, offline_access]}"));
    let read = |path: &str| -> Value {
        let response = world.request("GET", path, &[]);
        assert_eq!(response.status, 200, "{response:?}");
        serde_json::from_str(&response.body).unwrap()
    };
    let resource = read("/.well-known/oauth-protected-resource/mcp");
    assert_eq!(resource["authorization_servers"], json!(["https://mcp.example"]));
    let expected = json!({
        "issuer": "https://mcp.example",
        "authorization_endpoint": "https://mcp.example/authorize",
        "token_endpoint": "https://mcp.example/token",
        "registration_endpoint": "https://mcp.example/register",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
        "scopes_supported": ["mcp:read", "offline_access"],
    });
    assert_eq!(read("/.well-known/oauth-authorization-server"), expected);
    assert_eq!(read("/.well-known/openid-configuration/mcp"), expected);
}

#[test]
fn a_registration_is_what_was_asked_for_as_far_as_that_is_good() {
    let world = World::with(&on());
    let asked = json!({
        "client_name": "Editor", "redirect_uris": ["http://127.0.0.1:1/callback"],
        "grant_types": ["authorization_code", "refresh_token", "implicit"],
        "token_endpoint_auth_method": "client_secret_basic", "scope": "claudeai",
    });
    let response = program::register(&world, &asked.to_string());
    assert_eq!(response.status, 201, "{response:?}");
    assert_eq!(response.header("cache-control"), "no-store");
    let told: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(told["redirect_uris"], asked["redirect_uris"]);
    assert_eq!(told["token_endpoint_auth_method"], "none");
    assert_eq!(told["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert!(told.get("client_secret").is_none());
    for (wrong, error) in [
        (json!({"redirect_uris": ["https://evil.example/cb"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": []}), "invalid_redirect_uri"),
        (json!({"redirect_uris": "http://127.0.0.1/callback"}), "invalid_redirect_uri"),
        (json!({}), "invalid_redirect_uri"),
        (json!({"redirect_uris": vec!["http://127.0.0.1/callback"; 11]}), "invalid_redirect_uri"),
        (
            json!({"redirect_uris": ["http://127.0.0.1/callback", "https://evil.example/cb"]}),
            "invalid_redirect_uri",
        ),
        (
            json!({"redirect_uris": ["http://127.0.0.1/callback"], "grant_types": ["password"]}),
            "invalid_client_metadata",
        ),
        (json!("text"), "invalid_redirect_uri"),
    ] {
        let response = program::register(&world, &wrong.to_string());
        assert_eq!(response.status, 400, "{wrong}");
        let told: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(told["error"], error, "{wrong}");
        assert!(!response.body.contains("evil"), "{response:?}");
    }
    assert_eq!(program::register(&world, "{").status, 400);
    assert_eq!(program::register(&world, &"x".repeat(70_000)).status, 413);
}

#[test]
fn people_may_say_no() {
    let world = World::with(&on());
    let program = Program::register(&world, "https://app.example/cb?x=y");
    let page = program.send_people(&world);
    let home = page.deny(&world);
    assert!(home.as_str().starts_with("https://app.example/cb?x=y&"), "{home}");
    assert_eq!(parameter(&home, "error"), "access_denied");
    assert_eq!(parameter(&home, "state"), "the-state");
    assert_eq!(parameter(&home, "iss"), "https://mcp.example");
    let to_issuer = page.allow(&world);
    let state = parameter(&to_issuer, "state");
    let said = "error=login_required&error_description=%3Cscript%3E";
    let home = page.come_back(&world, &format!("{said}&state={state}"));
    assert_eq!(parameter(&home, "error"), "login_required");
    assert!(!home.as_str().contains("script"), "{home}");
}

#[test]
fn an_issuer_is_asked_in_its_own_words() {
    let world = World::with(&with(
        ", resource: drop, scopes: {mcp:read: 'api://7/mcp.read offline_access'}",
    ));
    let program = Program::register(&world, "cursor://anysphere/cb");
    let page = program.send_people(&world);
    let to_issuer = page.allow(&world);
    assert_eq!(parameter(&to_issuer, "scope"), "api://7/mcp.read offline_access");
    assert!(to_issuer.query_pairs().all(|(name, _)| name != "resource"));
    let challenge = parameter(&to_issuer, "code_challenge");
    let answer = json!({"access_token": "a", "token_type": "Bearer", "scope": "mcp.read"});
    world.issuer.tokens.gives_for_code("c", &challenge, &answer);
    let home = page.come_back(&world, &format!("code=c&state={}", parameter(&to_issuer, "state")));
    assert!(home.as_str().starts_with("cursor://anysphere/cb?code="), "{home}");
    let answer = program.redeem(&world, &parameter(&home, "code"), &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.body.contains("scope"), "{answer:?}");
    assert!(!world.issuer.tokens.asked()[0].form.contains_key("resource"));
}

#[test]
fn replicas_that_share_a_key_go_on_with_what_others_began() {
    let one = World::with(&on());
    let settings = format!("issuers: [{{issuer: '{}'}}]\n{}", one.issuer.url(), on());
    let other = World::unready(Issuer::start(), &settings);
    wait_until("the other is ready", || other.is_ready());
    let program = Program::register(&one, "http://127.0.0.1/callback");
    let page = program.send_people(&other);
    let to_issuer = page.allow(&one);
    let challenge = parameter(&to_issuer, "code_challenge");
    let answer = json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "r"});
    one.issuer.tokens.gives_for_code("c", &challenge, &answer);
    let home = page.come_back(&other, &format!("code=c&state={}", parameter(&to_issuer, "state")));
    let code = parameter(&home, "code");
    assert_eq!(program.redeem(&one, &code, &[]).status, 200);
    // The issuer, too, takes a code once.
    assert_eq!(program.redeem(&other, &code, &[]).status, 400);
}

#[test]
fn pages_of_listed_origins_may_register_and_fetch_tokens() {
    let origins = "resource: {url: https://mcp.example/mcp, origins: ['https://page.example']}";
    let world = World::with(&format!("{origins}\n{}", on()));
    let asks = |origin: &str, path: &str| {
        let headers = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
        world.request("OPTIONS", path, &headers)
    };
    for path in ["/register", "/token"] {
        let response = asks("https://page.example", path);
        assert_eq!(response.status, 204);
        assert_eq!(response.header("access-control-allow-origin"), "https://page.example");
        assert_eq!(asks("https://evil.example", path).status, 403);
    }
    let posted = |origin: &str| {
        let headers = [("Origin", origin), ("Content-Type", "application/json")];
        world.connect().request("POST", "/register", &headers, "{}")
    };
    assert_eq!(
        posted("https://page.example").header("access-control-allow-origin"),
        "https://page.example"
    );
    assert_eq!(posted("https://evil.example").status, 403);
}

#[test]
fn nothing_of_it_is_there_unless_it_is_turned_on() {
    let world = World::start();
    for path in ["/register", "/authorize", "/token", "/oauth/consent", "/oauth/callback"] {
        assert_eq!(world.request("GET", path, &[]).status, 404, "{path}");
    }
    let world = World::with(&on());
    for (method, path) in [
        ("GET", "/register"),
        ("HEAD", "/authorize"),
        ("POST", "/authorize"),
        ("GET", "/token"),
        ("GET", "/oauth/consent"),
        ("POST", "/oauth/callback"),
    ] {
        assert_eq!(world.request(method, path, &[]).status, 405, "{method} {path}");
    }
    for path in ["/register/", "/registers", "/token/x", "/Authorize", "/oauth"] {
        assert_eq!(world.request("GET", path, &[]).status, 404, "{path}");
    }
}

#[test]
fn whoever_comes_often_waits() {
    let world = World::with(&format!("limits: {{oauth_requests: 3/h}}\n{}", on()));
    for _ in 0..3 {
        assert_eq!(program::register(&world, "{}").status, 400);
    }
    let response = program::register(&world, "{}");
    assert_eq!(response.status, 429);
    assert!(response.header("ratelimit-policy").starts_with("\"oauth\";q=3"), "{response:?}");
    assert_eq!(world.request("GET", "/.well-known/oauth-authorization-server", &[]).status, 200);
    assert_eq!(world.call(&world.issuer.token()).status, 200);
}

#[track_caller]
fn is_a_page(response: &crate::harness::Response, status: u16, words: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(response.header("cache-control"), "no-store");
    assert!(response.headers("location").is_empty(), "{response:?}");
    assert!(response.body.contains(words), "{words} in {}", response.body);
}

#[track_caller]
fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

//! People log in with a browser, and somebody stands in their way.

mod answers;
mod attack;
mod broker;
mod browser;
mod refresh;
mod tabs;

use serde_json::{Value, json};

use self::browser::{Begun, Browser};
use crate::harness::{Issuer, Response, World};

/// What most tests are about.
const ON: &str = "oauth: {login: {client_id: postern, return_to: ['https://app.example/done']}}";

/// What an ID token says to a login that has begun; a test spoils one thing of it.
fn identity(world: &World, begun: &Begun) -> Value {
    let now = crate::harness::now();
    json!({
        "iss": world.issuer.url(), "sub": "ada", "aud": "postern", "iat": now, "exp": now + 60,
        "nonce": begun.parameter("nonce"),
    })
}

/// What the token endpoint gives, with such an ID token.
fn tokens(world: &World, identity: &Value) -> Value {
    let key = &world.issuer.key;
    let header = json!({ "alg": "ES256", "kid": key.id, "typ": "JWT" });
    json!({
        "access_token": world.issuer.token(), "token_type": "Bearer", "expires_in": 300,
        "refresh_token": "a-refresh-token", "scope": "openid mcp:read",
        "id_token": key.sign_text(&header.to_string(), &identity.to_string()),
    })
}

/// The issuer lets them in: `code` is good for this login, and tokens come of it.
fn lets_in(world: &World, begun: &Begun, code: &str) -> Value {
    let tokens = tokens(world, &identity(world, begun));
    world.issuer.tokens.gives_for_code(code, &begun.parameter("code_challenge"), &tokens);
    tokens
}

#[track_caller]
fn is_refused(response: &Response, status: u16, code: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("cache-control"), "no-store");
    if response.header("content-type") == "text/html; charset=utf-8" {
        assert!(response.body.contains(&format!("<code>{code}</code>")), "{}", response.body);
        assert!(response.body.contains("href=\"https://mcp.example/login\""));
    } else {
        let error: Value = serde_json::from_str(&response.body).unwrap();
        assert!(error["error_description"].is_string(), "{error}");
    }
    assert!(!response.body.contains("<script"), "{}", response.body);
}

#[test]
fn a_person_gets_a_token_and_it_opens_the_door() {
    let world = World::with(ON);
    let mut browser = Browser::of_a_person(&world);
    let begun = browser.begin("/login");
    assert_eq!(begun.to.path(), "/authorize");
    let landing: Value = serde_json::from_str(&world.request("GET", "/", &[]).body).unwrap();
    assert_eq!(landing["endpoints"]["login"], "https://mcp.example/login");
    let asked: Vec<(String, String)> = begun.to.query_pairs().into_owned().collect();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "postern"),
        ("redirect_uri", "https://mcp.example/callback"),
        ("code_challenge_method", "S256"),
        ("resource", "https://mcp.example/mcp"),
        ("scope", "openid mcp:read"),
    ] {
        assert_eq!(begun.parameter(name), value, "{name}");
    }
    assert_eq!(asked.len(), 9, "{asked:?}");
    for secret in ["state", "nonce", "code_challenge"] {
        assert_eq!(begun.parameter(secret).len(), 43, "{secret}");
    }

    let answer = lets_in(&world, &begun, "c-1");
    let page = browser.come_back(&format!("code=c-1&state={}", begun.parameter("state")));
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("x-frame-options"), "DENY");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let token = answer["access_token"].as_str().unwrap();
    assert!(page.body.contains(&format!("value=\"{token}\"")), "{}", page.body);
    assert!(!page.body.contains(answer["id_token"].as_str().unwrap()));
    for inline in [" onclick", " onload", " style=", "src=", "<form"] {
        assert!(!page.body.contains(inline), "{inline}");
    }
    assert!(browser.keeps_nothing(), "its cookie went with it");

    let request = &world.issuer.tokens.asked()[0];
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "c-1"),
        ("redirect_uri", "https://mcp.example/callback"),
        ("client_id", "postern"),
        ("resource", "https://mcp.example/mcp"),
    ] {
        assert_eq!(request.form[name], value, "{name}");
    }
    assert_eq!(request.form.len(), 6, "and the verifier: {request:?}");
    assert_eq!(request.authorization, "");
    assert_eq!(world.call(token).status, 200);
    assert!(world.metric("postern_requests_total{outcome=\"login_done\"}") > 0.0);
}

#[test]
fn a_program_gets_it_as_json_at_the_other_names_of_the_places() {
    let world = World::with(&ON.replace(
        "client_id: postern,",
        "client_id: postern, redirect_uri: 'https://mcp.example/auth/callback',",
    ));
    let mut browser = Browser::of_a_program(&world);
    let begun = browser.begin("/auth/start?return_to=https://app.example/done");
    assert_eq!(begun.parameter("redirect_uri"), "https://mcp.example/auth/callback");
    let answer = lets_in(&world, &begun, "c-1");
    let state = begun.parameter("state");
    let told = browser.get(&format!("/auth/callback?code=c-1&state={state}"));
    assert_eq!((told.status, told.header("content-type")), (200, "application/json"));
    assert_eq!(told.header("cache-control"), "no-store");
    let told: Value = serde_json::from_str(&told.body).unwrap();
    let expected = json!({
        "access_token": answer["access_token"], "token_type": "Bearer", "expires_in": 300,
        "refresh_token": "a-refresh-token", "scope": "openid mcp:read",
        "return_to": "https://app.example/done",
    });
    assert_eq!(told, expected);
}

#[test]
fn what_a_browser_keeps_is_this_hosts_alone_and_tells_nothing() {
    let world = World::with(ON);
    let begun = Browser::of_a_person(&world).begin("/login");
    assert_eq!(begun.response.status, 303);
    assert_eq!(begun.response.header("cache-control"), "no-store");
    let cookie = begun.response.header("set-cookie");
    assert!(cookie.starts_with("__Host-postern-login-"), "{cookie}");
    assert!(cookie.ends_with("; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
    for secret in ["state", "nonce"] {
        assert!(!cookie.contains(&begun.parameter(secret)), "{secret}");
    }
}

#[test]
fn nothing_of_it_is_there_unless_it_is_turned_on_nor_by_another_method() {
    let off = World::with("oauth: {mirror: {}}");
    for path in ["/login", "/auth/start", "/callback", "/auth/callback", "/auth/refresh"] {
        assert_eq!(off.request("GET", path, &[]).status, 404, "{path}");
    }
    let world = World::with(ON);
    for (method, path, allowed) in [
        ("POST", "/login", "GET"),
        ("HEAD", "/auth/start", "GET"),
        ("POST", "/callback", "GET"),
        ("HEAD", "/auth/callback", "GET"),
        ("GET", "/auth/refresh", "POST, OPTIONS"),
    ] {
        let response = world.request(method, path, &[]);
        assert_eq!(response.status, 405, "{method} {path}");
        assert_eq!(response.header("allow"), allowed);
    }
    for path in ["/login/", "/Login", "/callback/x", "/auth"] {
        assert_eq!(world.request("GET", path, &[]).status, 404, "{path}");
    }
}

#[test]
fn neither_log_nor_backend_learns_what_makes_a_login() {
    let world = World::with(ON);
    let mut browser = Browser::of_a_person(&world);
    let begun = browser.begin("/login");
    let state = begun.parameter("state");
    let answer = lets_in(&world, &begun, "a-code-to-remember");
    let cookie = browser.cookies();
    // While it goes on, the same browser may call the backend as well.
    let bearer = format!("Bearer {}", world.issuer.token());
    let line = format!("mine=1; {cookie}; other=2");
    world.request("GET", "/mcp", &[("Authorization", &bearer), ("Cookie", &line)]);
    assert_eq!(world.upstream.next().values("cookie"), ["mine=1; other=2"]);
    world.request("GET", "/mcp", &[("Authorization", &bearer), ("Cookie", &cookie)]);
    assert_eq!(world.upstream.next().values("cookie"), [""; 0]);
    world.request("GET", "/mcp", &[("Authorization", &bearer), ("Cookie", "mine=1;x= 2")]);
    assert_eq!(world.upstream.next().values("cookie"), ["mine=1;x= 2"], "nothing else changes");

    let page = browser.come_back(&format!("code=a-code-to-remember&state={state}"));
    assert_eq!(page.status, 200);
    browser.come_back(&format!("code=a-code-to-remember&state={state}"));
    world.issuer.tokens.answers(400, "{\"error\":\"a-code-to-remember\"}");
    let other = browser.begin("/login");
    browser.come_back(&format!("code=a-code-to-remember&state={}", other.parameter("state")));
    let verifier = &world.issuer.tokens.asked()[0].form["code_verifier"];
    world.signal("-TERM");
    let log: String = world.log.iter().collect();
    assert!(log.contains("login_begun") && log.contains("login_done"), "{log}");
    let sealed = cookie.split_once('=').unwrap().1;
    for secret in [
        "a-code-to-remember",
        &state,
        sealed,
        verifier,
        answer["access_token"].as_str().unwrap(),
        "a-refresh-token",
        answer["id_token"].as_str().unwrap(),
    ] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

/// A second gateway, which trusts the same issuer.
fn replica(issuer: &Issuer, settings: &str) -> World {
    let trusted = format!("issuers: [{{issuer: '{}'}}]\n{settings}", issuer.url());
    World::with(&trusted)
}

#[test]
fn what_one_replica_begins_another_finishes_if_they_share_a_key() {
    let key = "k".repeat(32);
    let shared = ON.replace("oauth: {", &format!("oauth: {{keys: [{key}], "));
    let one = World::with(&shared);
    let other = replica(&one.issuer, &shared);
    let stranger = replica(&one.issuer, ON);
    let mut browser = Browser::of_a_person(&one);
    let begun = browser.begin("/login");
    lets_in(&one, &begun, "c-1");
    let query = format!("code=c-1&state={}", begun.parameter("state"));
    is_refused(&browser.at(&stranger).come_back(&query), 400, "login_unknown");
    let mut copy = browser.clone();
    assert_eq!(browser.at(&other).come_back(&query).status, 200);
    // The one that it was begun at has not heard of it; the issuer has.
    is_refused(&copy.come_back(&query), 400, "login_code");
}

#[test]
fn an_issuer_that_is_not_there_is_nobodys_fault() {
    let issuer = Issuer::start();
    issuer.fail(500);
    let world = World::unready(issuer, ON);
    let page = Browser::of_a_person(&world).get("/login");
    is_refused(&page, 503, "front_unavailable");
    assert_eq!(page.header("retry-after"), "5");
    is_refused(&Browser::of_a_program(&world).get("/login"), 503, "front_unavailable");
}

#[test]
fn people_log_in_at_the_host_that_tokens_are_for() {
    let site = |host: &str| {
        format!(
            "- {{resource: {{url: 'https://{host}/mcp'}}, upstream: {{address: 'unix:/{host}'}}}}"
        )
    };
    let sites = format!("sites:\n{}\n{}\n", site("mcp.example"), site("other.example"));
    let login = "oauth: {login: {client_id: postern, resource: 'https://other.example/mcp'}}";
    let world = World::with(&format!("{sites}{login}"));
    let get = |host: &str, path: &str| {
        let mut wire = world.connect();
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        wire.response(false)
    };
    for path in ["/login", "/callback", "/auth/refresh"] {
        assert_eq!(get("mcp.example", path).status, 404, "{path}");
    }
    let begun = get("other.example", "/login");
    assert_eq!(begun.status, 303, "{begun:?}");
    let to = begun.header("location");
    assert!(to.contains("resource=https%3A%2F%2Fother.example%2Fmcp"), "{to}");
    assert!(to.contains("redirect_uri=https%3A%2F%2Fother.example%2Fcallback"), "{to}");
    assert_eq!(get("other.example", "/callback").status, 400);
}

#[test]
fn whoever_begins_again_and_again_has_to_wait() {
    let world = World::with(&format!("{ON}\nlimits: {{oauth_requests: 3/min}}"));
    let mut browser = Browser::of_a_person(&world);
    let begun = browser.begin("/login");
    browser.begin("/auth/start");
    // The end of a login, and a refresh, may make us ask as well.
    is_refused(&browser.come_back("code=x&state=y"), 400, "login_unknown");
    for path in ["/login", "/callback", "/auth/callback"] {
        let response = browser.get(path);
        assert_eq!(response.status, 429, "{response:?}");
        assert!(!response.header("retry-after").is_empty());
    }
    assert_eq!(world.request("POST", "/auth/refresh", &[("Content-Length", "0")]).status, 429);
    assert!(!begun.parameter("state").is_empty());
    assert_eq!(world.call(&world.issuer.token()).status, 200, "callers are not held up by it");
}

//! What people see of a gateway in a browser: a page, and the document that it shows.

use serde_json::Value;

use crate::harness::{Identity, World, wait_until};

fn document(world: &World) -> Value {
    let told = world.admin_as("127.0.0.1:9464", "/status.json");
    assert_eq!((told.status, told.header("content-type")), (200, "application/json"));
    serde_json::from_str(&told.body).unwrap()
}

#[test]
fn the_document_says_how_things_stand() {
    let identity = Identity::new();
    let world = World::with(&format!(
        "{}\nlimits: {{requests_per_principal: 600/min}}",
        identity.settings()
    ));
    let mut wire = identity.connect(world.gateway);
    assert_eq!(wire.call(&world.issuer.token()).status, 200);
    wait_until("it is counted", || document(&world)["requests"]["all"] == 1.0);
    let told = document(&world);
    assert_eq!((&told["ready"], &told["stopping"]), (&true.into(), &false.into()));
    assert!(told["now"].as_f64() > told["started"].as_f64());
    let issuer = &told["issuers"][0];
    assert_eq!(issuer["issuer"], world.issuer.url());
    assert_eq!((&issuer["usable"], &issuer["state"]), (&true.into(), &"in use".into()));
    let key = &issuer["keys"][0];
    assert_eq!(key["id"], world.issuer.key.header().kid.unwrap());
    assert_eq!(key["algorithm"], "ES256");
    assert!(issuer["next"].as_f64() > issuer["fetched"].as_f64(), "{issuer}");
    let certificate = &told["certificates"][0];
    assert!(certificate["expires"].as_f64() > told["now"].as_f64(), "{certificate}");
    assert_eq!(certificate["current"], true);
    let upstream = &told["upstreams"][0];
    assert_eq!(upstream["resource"], "https://mcp.example/mcp");
    assert_eq!(upstream["address"], world.upstream.address().to_string());
    let server = &told["servers"][0];
    assert_eq!(server["address"], world.upstream.address().to_string());
    assert_eq!((&server["state"], &server["open"]), (&"up".into(), &0.into()));
    let limits = told["limits"].as_array().unwrap();
    assert!(limits.contains(&serde_json::json!(["requests_per_principal", "600/min"])));
    assert_eq!(told["connections"]["most"], 4096.0);
    assert_eq!(told["config"]["generation"], 1);
    assert_eq!(told["refusals"], serde_json::json!([]));
}

/// Whatever is hostile in it stays text, and what is secret is not there.
#[test]
fn who_was_refused_and_why_is_told_without_tokens() {
    let world = World::with("resource: {url: https://mcp.example/mcp, scopes: [mcp:admin]}");
    let subject = "<img src=x onerror=alert(1)>\u{202e}\n\u{1b}[2J";
    let claims = world.issuer.claims().set("sub", subject).set("client_id", "</script>");
    let token = world.issuer.key.sign(&claims);
    assert_eq!(world.call(&token).status, 403);
    let remembered = || document(&world)["refusals"].as_array().unwrap().len();
    wait_until("it is remembered", || remembered() == 1);
    let opaque = "opaque-token-that-nobody-may-see";
    let path = format!("/mcp/\"onload=alert(1){}?access_token={opaque}", "x".repeat(400));
    let bearer = format!("Bearer {opaque}");
    let headers = [("Authorization", &*bearer), ("X-Request-Id", "seen-1")];
    assert_eq!(world.request("GET", &path, &headers).status, 401);
    wait_until("both are remembered", || remembered() == 2);
    let told = document(&world);
    let [last, first] = &**told["refusals"].as_array().unwrap() else { panic!("{told}") };
    assert_eq!((&first["reason"], &first["status"]), (&"insufficient_scope".into(), &403.into()));
    assert_eq!(first["subject"], "<img src=x onerror=alert(1)>\\u202e\\u000a\\u001b[2J");
    assert_eq!((&first["client"], &first["path"]), (&"</script>".into(), &"/mcp".into()));
    assert!(first["means"].as_str().unwrap().ends_with('.'));
    assert_eq!((&last["reason"], &last["subject"]), (&"token_not_a_jwt".into(), &Value::Null));
    assert_eq!((&last["address"], &last["request_id"]), (&"127.0.0.1".into(), &"seen-1".into()));
    let path = last["path"].as_str().unwrap();
    assert!(path.starts_with("/mcp/\"onload=alert(1)xxx") && path.chars().count() < 200, "{path}");
    let text = world.admin_as("localhost:1", "/status.json").body;
    for secret in [opaque, token.as_str(), token.split('.').nth(1).unwrap()] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn no_more_than_the_last_refusals_are_kept() {
    let world = World::start();
    // On one connection, where each is over before the next begins.
    let mut wire = world.connect();
    for number in 0..100 {
        assert_eq!(wire.request("GET", &format!("/none/{number}"), &[], "").status, 404);
    }
    let last = || document(&world)["refusals"][0]["path"].clone();
    wait_until("the last is there", || last() == "/none/99");
    assert_eq!(document(&world)["refusals"].as_array().unwrap().len(), 64);
}

#[test]
fn the_page_runs_nothing_but_its_own_script() {
    let world = World::start();
    let page = world.admin_as("[::1]:9464", "/status");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cache-control"), "no-store");
}

/// A page elsewhere may have its own name lead here.
#[test]
fn neither_is_told_under_a_name_that_anybody_can_have() {
    let world = World::start();
    for path in ["/status", "/status.json"] {
        for host in ["rebound.evil.example:9464", "127.0.0.1.evil.example"] {
            let refused = world.admin_as(host, path);
            assert_eq!(refused.status, 421, "{path} {host}");
            assert!(!refused.body.contains("issuer"), "{}", refused.body);
        }
        assert_eq!(world.admin_as("postern-0.postern.svc:9464", path).status, 200);
    }
}

#[test]
fn what_is_wrong_with_the_configuration_is_told() {
    let world = World::start();
    world.configure("nonsense: 1");
    wait_until("it is refused", || !document(&world)["config"]["refused"].is_null());
    let why = document(&world)["config"]["refused"]["why"].clone();
    assert!(why.as_str().unwrap().contains("there is no such setting"), "{why}");
}

//! Several resources behind one listener, each with its own tokens, metadata and backend.

use serde_json::{Value, json};

use crate::harness::{Issuer, Response, Upstream, World, wait_until};

/// Two paths of one host, and another host.
struct Sites {
    world: World,
    main: Upstream,
    admin: Upstream,
    weather: Upstream,
}

impl Sites {
    fn start() -> Self {
        let issuer = Issuer::start();
        let [main, admin, weather] = [(); 3].map(|()| Upstream::start());
        let settings = format!(
            "issuers: [{{issuer: '{}'}}]\nsites:\n\
             - {{resource: {{url: '{MAIN}', scopes: ['mcp:read']}}, upstream: {{address: '{}'}}}}\n\
             - {{resource: {{url: '{ADMIN}', scopes: [admin]}}, upstream: {{address: '{}'}}, \
                 forward: {{authorization: keep}}}}\n\
             - {{resource: {{url: '{WEATHER}', name: Weather}}, upstream: {{address: '{}'}}}}\n",
            issuer.url(),
            main.address(),
            admin.address(),
            weather.address(),
        );
        let world = World::unready(issuer, &settings);
        wait_until("the proxy is ready", || world.is_ready());
        Self { world, main, admin, weather }
    }
}

fn call(world: &World, host: &str, path: &str, audience: &str, scope: &str) -> Response {
    let claims = world.issuer.claims().set("aud", audience).set("scope", scope);
    let token = world.issuer.key.sign(&claims);
    let mut wire = world.connect();
    wire.send(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
    ));
    wire.response(false)
}

fn get(world: &World, host: &str, path: &str) -> Response {
    let mut wire = world.connect();
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    wire.response(false)
}

const MAIN: &str = "https://mcp.example/mcp";
const ADMIN: &str = "https://mcp.example/mcp/admin";
const WEATHER: &str = "https://weather.example/mcp";

#[test]
fn each_site_has_its_own_backend() {
    let Sites { world, main, admin, weather } = Sites::start();
    assert_eq!(call(&world, "mcp.example", "/mcp", MAIN, "mcp:read").status, 200);
    assert!(main.next().values("authorization").is_empty());
    assert_eq!(call(&world, "weather.example", "/mcp", WEATHER, "").status, 200);
    assert!(weather.next().head.starts_with("GET /mcp "));
    assert_eq!(call(&world, "mcp.example", "/mcp/admin/x", ADMIN, "admin").status, 200);
    assert_eq!(admin.next().values("authorization").len(), 1, "as that site says");
}

#[test]
fn a_token_for_one_site_is_good_at_no_other() {
    let Sites { world, main, admin, weather } = Sites::start();
    for (host, path, audience) in [
        ("mcp.example", "/mcp", ADMIN),
        ("mcp.example", "/mcp", WEATHER),
        ("mcp.example", "/mcp/admin", MAIN),
        ("mcp.example", "/mcp/admin/", MAIN),
        ("weather.example", "/mcp", MAIN),
    ] {
        let response = call(&world, host, path, audience, "mcp:read admin");
        assert_eq!(response.status, 401, "{host}{path} {audience}");
        assert!(response.header("www-authenticate").contains("for another audience"));
    }
    for upstream in [&main, &weather, &admin] {
        upstream.saw_nothing();
    }
    // What one site has come to believe is nothing to another.
    assert_eq!(call(&world, "mcp.example", "/mcp", MAIN, "mcp:read").status, 200);
    assert_eq!(call(&world, "weather.example", "/mcp", MAIN, "mcp:read").status, 401);
}

#[test]
fn each_site_has_its_own_metadata_and_challenge() {
    let Sites { world, .. } = Sites::start();
    for (host, path, resource) in [
        ("mcp.example", "/mcp", MAIN),
        ("mcp.example", "/mcp/admin", ADMIN),
        ("weather.example", "/mcp", WEATHER),
    ] {
        let place = format!("/.well-known/oauth-protected-resource{path}");
        let document: Value = serde_json::from_str(&get(&world, host, &place).body).unwrap();
        assert_eq!(document["resource"], json!(resource));
        let challenge = get(&world, host, path).header("www-authenticate").to_owned();
        let told = format!("resource_metadata=\"https://{host}{place}\"");
        assert!(challenge.contains(&told), "{challenge}");
    }
    // The root form says which resource it means only where there is but one.
    let root = "/.well-known/oauth-protected-resource";
    assert_eq!(get(&world, "mcp.example", root).status, 404);
    assert!(get(&world, "weather.example", root).body.contains(WEATHER));
    let elsewhere = format!("{root}/mcp/admin");
    assert_eq!(get(&world, "weather.example", &elsewhere).status, 404);
}

#[test]
fn what_no_site_has_is_not_there() {
    let Sites { world, .. } = Sites::start();
    assert_eq!(get(&world, "weather.example", "/mcp/admin").status, 401, "below its own endpoint");
    assert_eq!(get(&world, "weather.example", "/other").status, 404);
    assert_eq!(get(&world, "evil.example", "/mcp").status, 421);
}

//! Clients that come without TLS: led to https, and told when they have given a token away.

use std::net::SocketAddr;

use serde_json::Value;

use crate::harness::{Identity, Response, Wire, World};

struct Scene {
    world: World,
    address: SocketAddr,
}

const SITES: &str = "sites:
- {resource: {url: 'https://mcp.example/mcp', hosts: [mcp.internal]}, upstream: {address: 'unix:/none'}}
- {resource: {url: 'https://other.example:8443/mcp'}, upstream: {address: 'unix:/none'}}";

impl Scene {
    fn start(settings: &str) -> Self {
        let identity = Identity::new();
        let own = identity.settings();
        let world = World::with(&format!("{own}\nredirect: {{listen: '127.0.0.1:0'}}\n{settings}"));
        let line = world.log_line("leading plain HTTP to https");
        let line: Value = serde_json::from_str(&line).unwrap();
        let address = line["redirect"].as_str().unwrap().parse().unwrap();
        Self { world, address }
    }

    fn ask(&self, request: &str) -> Response {
        let mut wire = Wire::connect(self.address);
        wire.send(request.replace('\n', "\r\n") + "\r\n\r\n");
        let answer = wire.response(request.starts_with("HEAD"));
        assert!(wire.is_closed(), "one answer ends the connection");
        answer
    }

    fn count(&self, result: &str) -> f64 {
        self.world.metric(&format!("postern_plain_requests_total{{result=\"{result}\"}}"))
    }
}

#[test]
fn a_client_is_led_to_the_same_place_over_https() {
    let scene = Scene::start(SITES);
    for (host, origin) in [
        ("mcp.example", "https://mcp.example"),
        ("MCP.example:80", "https://mcp.example"),
        ("mcp.internal", "https://mcp.example"),
        ("other.example", "https://other.example:8443"),
        ("other.example:8080", "https://other.example:8443"),
    ] {
        for (method, target) in [
            ("GET", "/"),
            ("HEAD", "/mcp?a=b&c=%20"),
            ("GET", "//elsewhere.example/.."),
            ("GET", "/.well-known/oauth-protected-resource/mcp"),
        ] {
            let answer = scene.ask(&format!("{method} {target} HTTP/1.1\nHost: {host}"));
            assert_eq!(answer.status, 308, "{answer:?}");
            assert_eq!(answer.header("location"), format!("{origin}{target}"));
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
    assert!(scene.count("redirected") > 19.0);
}

#[test]
fn whoever_has_given_a_token_away_is_told_and_not_led_on() {
    let scene = Scene::start("");
    let token = scene.world.issuer.token();
    for request in [
        format!("GET /mcp HTTP/1.1\nHost: mcp.example\nAuthorization: Bearer {token}"),
        format!("HEAD /mcp HTTP/1.1\nHost: mcp.example\nauthorization: dpop {token}"),
        "GET /mcp HTTP/1.1\nHost: elsewhere.example\nAuthorization: ".to_owned(),
        "GET /mcp HTTP/1.1\nHost: mcp.example\nDPoP: a.b.c".to_owned(),
        format!("GET /mcp?access_token={token} HTTP/1.1\nHost: mcp.example"),
        format!("GET /mcp?a=b&%61ccess%5Ftoken={token} HTTP/1.1\nHost: mcp.example"),
        format!("POST /mcp HTTP/1.1\nHost: mcp.example\nAuthorization: Bearer {token}"),
    ] {
        let answer = scene.ask(&request);
        assert_eq!(answer.status, 403, "{request}\n{answer:?}");
        assert_eq!(answer.headers("location"), [""; 0]);
        let line = scene.world.log_line("a token was sent in the clear");
        assert!(line.contains("127.0.0.1") && !line.contains(&token), "{line}");
    }
    assert!((scene.count("token_exposed") - 7.0).abs() < 0.5);
    scene.world.upstream.saw_nothing();
}

#[test]
fn nothing_else_is_led_anywhere() {
    let scene = Scene::start("limits: {target_bytes: 512B, headers: 20}");
    let long = "a".repeat(600);
    for (request, status) in [
        ("GET /mcp HTTP/1.1\nHost: elsewhere.example".to_owned(), 421),
        ("GET /mcp HTTP/1.1\nHost: mcp.example.elsewhere.example".to_owned(), 421),
        ("GET http://elsewhere.example/mcp HTTP/1.1\nHost: elsewhere.example".to_owned(), 421),
        ("GET /mcp HTTP/1.1\nX: y".to_owned(), 400),
        ("GET /mcp HTTP/1.0\nHost: mcp.example".to_owned(), 400),
        (format!("GET /{long} HTTP/1.1\nHost: mcp.example"), 400),
        (format!("GET / HTTP/1.1\nHost: mcp.example{}", "\na: b".repeat(30)), 400),
        ("POST /mcp HTTP/1.1\nHost: mcp.example\nContent-Length: 0".to_owned(), 405),
        ("DELETE /mcp HTTP/1.1\nHost: mcp.example".to_owned(), 405),
        ("OPTIONS /mcp HTTP/1.1\nHost: mcp.example".to_owned(), 405),
    ] {
        let answer = scene.ask(&request);
        assert_eq!(answer.status, status, "{request}\n{answer:?}");
        assert_eq!(answer.headers("location"), [""; 0]);
    }
    for hosts in ["Host: a@mcp.example", "Host: mcp.example\r\nHost: mcp.example"] {
        let mut wire = Wire::connect(scene.address);
        wire.send(format!("GET /mcp HTTP/1.1\r\n{hosts}\r\n\r\n"));
        assert_eq!(wire.rest(), "", "nobody can say for whom it is");
    }
    scene.world.upstream.saw_nothing();
}

#[test]
fn a_client_that_is_slow_is_cut_and_a_change_of_names_is_followed() {
    let scene = Scene::start("limits: {header_timeout: 300ms}");
    let mut slow = Wire::connect(scene.address);
    slow.send("GET / HTTP/1.1\r\nHost: mcp.exam");
    assert!(slow.is_closed());
    let settings = std::fs::read_to_string(&scene.world.path).unwrap();
    let moved = settings.replace("https://mcp.example/mcp", "https://new.example/mcp");
    std::fs::write(&scene.world.path, moved).unwrap();
    scene.world.log_line("configuration taken over");
    let answer = scene.ask("GET /a HTTP/1.1\nHost: new.example");
    assert_eq!((answer.status, answer.header("location")), (308, "https://new.example/a"));
    assert_eq!(scene.ask("GET /a HTTP/1.1\nHost: mcp.example").status, 421);
}

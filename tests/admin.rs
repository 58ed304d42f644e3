//! What operators and probes see, and nobody else.

use crate::harness::{Response, Wire, World, wait_until};

/// The lines of the exposition that are about this metric, without their values.
fn series(text: &str, name: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(left, _)| left.to_owned()).collect()
}

#[track_caller]
fn is_text(response: &Response) {
    assert_eq!(response.status, 200);
    assert!(response.header("content-type").starts_with("text/plain"), "{}", response.head);
    assert_eq!(response.header("cache-control"), "no-store");
}

#[test]
fn metrics_count_what_happened() {
    let world = World::start();
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    assert_eq!(world.request("POST", "/mcp", &[]).status, 401);
    let response = world.admin("/metrics");
    is_text(&response);
    assert!(response.header("content-type").contains("version=0.0.4"), "{}", response.head);
    for (metric, value) in [
        ("postern_requests_total{outcome=\"forwarded\"}", 1.0),
        ("postern_requests_total{outcome=\"no_credentials\"}", 1.0),
        ("postern_tokens_accepted_total{verdict=\"verified\"}", 1.0),
        ("postern_request_seconds_count", 2.0),
        ("postern_build_info{version=\"0.1.0\"}", 1.0),
    ] {
        // A request is counted when it is over, which its client may see first.
        wait_until(metric, || (world.metric(metric) - value).abs() < f64::EPSILON);
    }
    let keys = format!("postern_keys{{issuer=\"{}\"}}", world.issuer.url());
    assert!((world.metric(&keys) - 1.0).abs() < f64::EPSILON);
    for line in response.body.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(response.body.contains(&format!("# HELP {name} ")), "{name} is explained");
    }
}

#[test]
fn strangers_cannot_add_series() {
    let world = World::start();
    assert_eq!(world.request("GET", "/nowhere", &[]).status, 404);
    wait_until("it is counted", || {
        world.metric("postern_requests_total{outcome=\"not_found\"}") >= 1.0
    });
    let before = series(&world.admin("/metrics").body, "postern_");
    for number in 0..20 {
        let name = format!("made-up-{number}");
        assert_eq!(world.request("GET", &format!("/{name}"), &[("X-A", &name)]).status, 404);
        assert_eq!(world.request(&name.to_uppercase(), "/elsewhere", &[]).status, 404);
        let claims = world.issuer.claims().set("iss", format!("https://{name}.example"));
        assert_eq!(world.call(&world.issuer.key.sign(&claims)).status, 401);
    }
    let refused = "postern_requests_total{outcome=\"token_issuer\"}";
    wait_until("all are counted", || world.metric(refused) >= 20.0);
    let after = series(&world.admin("/metrics").body, "postern_");
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(new, [refused]);
}

#[test]
fn what_is_remembered_of_tokens_is_counted() {
    let world = World::start();
    let token = world.issuer.token();
    for _ in 0..3 {
        assert_eq!(world.call(&token).status, 200);
    }
    let is = |name: &str, value: f64| (world.metric(name) - value).abs() < f64::EPSILON;
    assert!(is("postern_tokens_accepted_total{verdict=\"verified\"}", 1.0));
    assert!(is("postern_tokens_accepted_total{verdict=\"remembered\"}", 2.0));
    assert!(is("postern_verdicts_evicted_total", 0.0));
    assert!(is("postern_verdicts", 1.0));
}

#[test]
fn probes_tell_alive_and_ready() {
    let world = World::start();
    is_text(&world.admin("/livez"));
    let ready = world.admin("/readyz");
    assert_eq!(ready.status, 200);
    let told: serde_json::Value = serde_json::from_str(&ready.body).unwrap();
    assert_eq!(told["issuers"][0]["keys"], 1);
    assert_eq!(told["stopping"], false);
}

#[test]
fn there_is_nothing_else_and_nothing_to_change() {
    let world = World::start();
    for path in
        ["/", "/quit", "/config", "/metrics/", "/metrics/x", "/mcp", "/debug/pprof", "//metrics"]
    {
        assert_eq!(world.admin(path).status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        for path in ["/metrics", "/readyz", "/quit"] {
            let response = Wire::connect(world.admin).request(method, path, &[], "");
            assert_eq!(response.status, 405, "{method} {path}");
        }
    }
    assert!(world.is_ready(), "still");
    world.upstream.saw_nothing();
}

#[test]
fn head_is_get_without_the_body() {
    let world = World::start();
    let mut wire = Wire::connect(world.admin);
    let response = wire.request("HEAD", "/livez", &[], "");
    assert_eq!((response.status, response.header("content-length")), (200, "6"));
    assert_eq!(wire.request("GET", "/livez", &[], "").body, "alive\n");
}

#[test]
fn nothing_of_it_is_where_clients_connect() {
    let world = World::start();
    for path in ["/metrics", "/livez", "/readyz"] {
        let response = world.request("GET", path, &[]);
        assert_eq!(response.status, 404, "{path}");
        assert!(!response.body.contains("postern_"));
    }
}

#[test]
fn the_metrics_name_no_caller() {
    let world = World::start();
    let token = world.issuer.token();
    assert_eq!(world.call(&token).status, 200);
    let text = world.admin("/metrics").body;
    for private in ["ada", "test-client", "127.0.0.1:9", token.as_str()] {
        assert!(!text.contains(private), "{private}");
    }
}

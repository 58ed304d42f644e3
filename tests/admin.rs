//! What operators and probes see, and nobody else.

use std::time::Duration;

use crate::harness::{Response, Wire, World, now, wait_until};

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
        ("postern_requests_total{route=\"https://mcp.example/mcp\",status=\"2xx\"}", 1.0),
        ("postern_requests_total{route=\"https://mcp.example/mcp\",status=\"4xx\"}", 1.0),
        ("postern_added_seconds_count", 1.0),
        ("postern_connections_limit", 4096.0),
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
    assert_eq!(world.call("opaque").status, 401);
    wait_until("they are counted", || {
        world.metric("postern_requests_total{status=\"4xx\"}") >= 2.0
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
    let only = "postern_requests_total{outcome=\"token_issuer\",\
                route=\"https://mcp.example/mcp\",status=\"4xx\"}";
    assert_eq!(new, [only]);
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
fn requests_are_counted_by_where_they_went() {
    let world = World::with(
        "sites:\n- resource: {url: https://mcp.example/a}\n  upstream: {address: '127.0.0.1:1'}\n\
         - resource: {url: https://mcp.example/b}\n  upstream: {address: '127.0.0.1:1'}",
    );
    let claims = world.issuer.claims().set("aud", "https://mcp.example/a");
    let token = format!("Bearer {}", world.issuer.key.sign(&claims));
    assert_eq!(world.request("POST", "/a", &[("Authorization", &token)]).status, 502);
    assert_eq!(world.request("POST", "/b/c", &[("Authorization", &token)]).status, 401);
    assert_eq!(world.request("GET", "/healthz", &[]).status, 200);
    assert_eq!(world.request("GET", "/c", &[]).status, 404);
    let metadata = "/.well-known/oauth-protected-resource/a";
    assert_eq!(world.request("GET", metadata, &[]).status, 200);
    let mut torn = world.connect();
    torn.send("GET /a HTTP/1.1\r\n: x\r\n\r\n");
    torn.rest();
    for (route, status, outcome) in [
        ("https://mcp.example/a", "5xx", "bad_gateway"),
        ("https://mcp.example/b", "4xx", "token_audience"),
        ("health", "2xx", "health"),
        ("metadata", "2xx", "metadata"),
        ("none", "4xx", "not_found"),
        ("none", "4xx", "torn"),
    ] {
        let labels = format!("outcome=\"{outcome}\",route=\"{route}\",status=\"{status}\"");
        let metric = format!("postern_requests_total{{{labels}}}");
        wait_until(&metric, || (world.metric(&metric) - 1.0).abs() < f64::EPSILON);
    }
}

#[test]
fn accepted_tokens_are_counted_by_issuer_and_algorithm() {
    let world = World::start();
    let token = world.issuer.token();
    for _ in 0..3 {
        assert_eq!(world.call(&token).status, 200);
    }
    let issuer = format!("algorithm=\"ES256\",issuer=\"{}\"", world.issuer.url());
    for (verdict, count) in [("verified", 1.0), ("remembered", 2.0)] {
        let metric = format!("postern_tokens_accepted_total{{{issuer},verdict=\"{verdict}\"}}");
        assert!((world.metric(&metric) - count).abs() < f64::EPSILON, "{metric}");
    }
}

/// The decision is made twice where a body is read between, and the token is found remembered then.
#[test]
fn a_token_counts_as_verified_where_calls_are_read_too() {
    let world =
        World::with("resource: {url: https://mcp.example/mcp, policy: {allow: [{tools: [echo]}]}}");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
    let token = format!("Bearer {}", world.issuer.token());
    let headers = [("Authorization", &*token), ("Content-Type", "application/json")];
    for _ in 0..3 {
        assert_eq!(world.connect().request("POST", "/mcp", &headers, body).status, 200);
    }
    for (verdict, count) in [("verified", 1.0), ("remembered", 2.0)] {
        let metric = format!("postern_tokens_accepted_total{{verdict=\"{verdict}\"}}");
        assert!((world.metric(&metric) - count).abs() < f64::EPSILON, "{metric}");
    }
}

#[test]
fn when_keys_are_fetched_next_is_told() {
    let world = World::start();
    let at = |name: &str| world.metric(&format!("postern_keys_{name}_timestamp_seconds"));
    assert!(at("fetched") > 1.7e9);
    wait_until("the next look is due", || at("next_fetch") > at("fetched"));
    assert!(at("next_fetch") < at("fetched") + 4000.0);
}

/// A tool counts under its name only where a rule has that name.
#[test]
fn callers_cannot_make_up_names_of_tools() {
    let world = World::with(
        "resource: {url: https://mcp.example/mcp, policy: {\
         allow: [{tools: ['*_report', delete_report, echo]}, {tools: ['echo', other_*]}], \
         deny: [{tools: ['other_evil']}]}}",
    );
    let token = format!("Bearer {}", world.issuer.token());
    let call = |method: &str, name: &str| {
        let body = serde_json::json!({
            "jsonrpc": "2.0", "id": 1, "method": method, "params": { "name": name },
        });
        let headers = [("Authorization", &*token), ("Content-Type", "application/json")];
        world.connect().request("POST", "/mcp", &headers, &body.to_string()).status
    };
    for number in 0..20 {
        assert_eq!(call("tools/call", &format!("other_{number}")), 200);
        assert_eq!(call("tools/call", &format!("made-up-{number}")), 403);
        assert_eq!(call("prompts/get", &format!("prompt-{number}")), 403);
    }
    for name in ["echo", "delete_report", "yearly_report", "other_evil"] {
        let status = if name == "other_evil" { 403 } else { 200 };
        assert_eq!(call("tools/call", name), status);
    }
    let counted = |tool: &str, outcome: &str, count: f64| {
        let metric = format!("postern_tool_calls_total{{outcome=\"{outcome}\",tool=\"{tool}\"}}");
        wait_until(&metric, || (world.metric(&metric) - count).abs() < f64::EPSILON);
    };
    counted("other_*", "forwarded", 20.0);
    counted("other", "denied", 20.0);
    for name in ["echo", "delete_report", "*_report"] {
        counted(name, "forwarded", 1.0);
    }
    counted("other_evil", "denied", 1.0);
    let text = world.admin("/metrics").body;
    assert_eq!(series(&text, "postern_tool_calls_total").len(), 6, "{text}");
    let took = "postern_tool_call_seconds_count{route=\"https://mcp.example/mcp\",tool=\"echo\"}";
    assert!((world.metric(took) - 1.0).abs() < f64::EPSILON);
}

/// However long the backend takes its time is not ours.
#[test]
fn a_stream_is_counted_while_it_is_open_and_its_time_is_the_backends() {
    let world = World::start();
    let mut wire = world.connect();
    let token = format!("Bearer {}", world.issuer.token());
    let headers = [("Authorization", &*token), ("X-Answer", "stream")];
    let mut head = String::from("GET /mcp HTTP/1.1\r\nHost: mcp.example\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    wire.send(format!("{head}\r\n"));
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    let is = |metric: &str, value: f64| (world.metric(metric) - value).abs() < f64::EPSILON;
    assert!(is("postern_streams", 1.0));
    assert!(wire.is_silent_for(Duration::from_millis(400)));
    assert!(is("postern_request_seconds_count", 0.0));
    world.upstream.say("");
    assert!(wire.stream_ends());
    wait_until("it is over", || is("postern_added_seconds_count", 1.0));
    assert!(is("postern_streams", 0.0));
    let (whole, added) =
        (world.metric("postern_request_seconds_sum"), world.metric("postern_added_seconds_sum"));
    assert!(whole > 0.4 && added > 0.0 && added < whole - 0.4, "{added} of {whole}");
}

#[test]
fn open_metrics_show_which_trace_took_how_long() {
    let world = World::start();
    let ask = |accept: &str| {
        Wire::connect(world.admin).request("GET", "/metrics", &[("Accept", accept)], "")
    };
    let token = format!("Bearer {}", world.issuer.token());
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [("Authorization", &*token), ("traceparent", &parent)];
    assert_eq!(world.request("POST", "/mcp", &headers).status, 200);
    assert_eq!(world.request("POST", "/mcp", &headers[..1]).status, 200);
    wait_until("both are counted", || world.metric("postern_request_seconds_count") >= 2.0);
    let told = ask("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert_eq!(
        told.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(told.body.ends_with("\n# EOF\n"));
    for histogram in ["postern_request_seconds", "postern_added_seconds"] {
        let bucket = format!("{histogram}_bucket{{route=\"https://mcp.example/mcp\",le=");
        let exemplar = format!(" # {{trace_id=\"{trace}\"}} 0.");
        let lines = told.body.lines().filter(|line| line.starts_with(&bucket));
        assert_eq!(lines.filter(|line| line.contains(&exemplar)).count(), 1, "{}", told.body);
    }
    let plain = ask("text/plain").body;
    assert!(!plain.contains(trace) && !plain.contains("# EOF"));
}

#[test]
fn what_the_process_takes_is_told() {
    let world = World::start();
    let between = |name: &str, least: f64, most: f64| {
        let value = world.metric(name);
        assert!((least..most).contains(&value), "{name} {value}");
    };
    between("process_resident_memory_bytes", 1e6, 1e9);
    between("process_virtual_memory_bytes", 1e6, 1e13);
    between("process_open_fds", 5.0, 1000.0);
    between("process_max_fds", 1000.0, 1e10);
    between("process_threads", 1.0, 1000.0);
    between("process_cpu_seconds_total", 0.0, 100.0);
    let now = f64::from(u32::try_from(now()).unwrap());
    between("process_start_time_seconds", now - 100.0, now + 1.0);
    let before = world.metric("process_open_fds");
    let _open: Vec<_> = (0..20).map(|_| world.connect()).collect();
    wait_until("they are there", || world.metric("postern_connections") >= 20.0);
    assert!(world.metric("process_open_fds") >= before + 15.0);
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

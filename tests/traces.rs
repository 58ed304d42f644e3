//! Traces that go on through the gateway, and what a collector hears of them.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::e2e::counterpart;
use crate::harness::{Process, Wire, World, wait_until};

/// A collector in another language.
struct Collector {
    port: u16,
    exports: Receiver<Value>,
    _process: Process,
}

impl Collector {
    fn start(arguments: &[&str]) -> Self {
        let mut command = counterpart("python", "otlp.py");
        command.args(arguments).stdout(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let (tell, exports) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Nobody may be interested.
                drop(tell.send(serde_json::from_str(&line).unwrap()));
            }
        });
        Self { port, exports, _process: process }
    }

    fn settings(&self, further: &str) -> String {
        let endpoint = format!("http://127.0.0.1:{}/v1/traces", self.port);
        format!("traces: {{endpoint: '{endpoint}', headers: {{X-Api-Key: k}}{further}}}\n{POLICY}")
    }

    /// The spans of the next request whose trace this is.
    fn spans(&self, count: usize) -> Vec<Value> {
        let mut spans = Vec::new();
        while spans.len() < count {
            let export = self.exports.recv_timeout(Duration::from_secs(20)).expect("an export");
            assert_eq!((&export["path"], &export["key"]), (&"/v1/traces".into(), &"k".into()));
            assert_eq!(export["type"], "application/x-protobuf");
            assert_eq!(export["about"]["service.name"], "postern");
            spans.extend(export["spans"].as_array().unwrap().iter().cloned());
        }
        spans
    }
}

/// So that calls are read.
const POLICY: &str = "resource: {url: https://mcp.example/mcp, scopes: [mcp:read], policy: {allow: [{tools: ['*']}]}}";

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-00f067aa0ba902b7-{flags}")
}

/// A call of a tool with these further headers, and this in its `_meta`.
fn call(world: &World, headers: &[(&str, &str)], meta: &Value) -> u16 {
    let body = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": { "name": "echo", "arguments": {}, "_meta": meta },
    });
    let token = format!("Bearer {}", world.issuer.token());
    let usual = [("Authorization", &*token), ("Content-Type", "application/json")];
    let headers = [&usual[..], headers].concat();
    world.connect().request("POST", "/mcp", &headers, &body.to_string()).status
}

fn named<'s>(spans: &'s [Value], name: &str) -> &'s Value {
    let found = spans.iter().find(|span| span["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

#[test]
fn a_collector_hears_where_the_time_of_a_request_went() {
    let collector = Collector::start(&[]);
    let world = World::with(&collector.settings(""));
    let trace = parent("01");
    let headers =
        [("traceparent", &*trace), ("X-Request-Id", "r-1"), ("MCP-Protocol-Version", "2025-11-25")];
    assert_eq!(call(&world, &headers, &json!({})), 200);
    let spans = collector.spans(4);
    assert_eq!(spans.len(), 4, "{spans:#?}");
    let whole = named(&spans, "tools/call echo");
    assert_eq!(
        (&whole["kind"], &whole["parent"]),
        (&"SPAN_KIND_SERVER".into(), &"00f067aa0ba902b7".into())
    );
    for (name, value) in [
        ("mcp.method.name", json!("tools/call")),
        ("gen_ai.tool.name", json!("echo")),
        ("gen_ai.operation.name", json!("execute_tool")),
        ("jsonrpc.request.id", json!("7")),
        ("mcp.protocol.version", json!("2025-11-25")),
        ("http.request.method", json!("POST")),
        ("http.response.status_code", json!(200)),
        ("http.route", json!("/mcp")),
        ("postern.outcome", json!("forwarded")),
        ("postern.request_id", json!("r-1")),
    ] {
        assert_eq!(whole["attributes"][name], value, "{name} in {whole:#}");
    }
    let (verify, body, upstream) =
        (named(&spans, "verify"), named(&spans, "read body"), named(&spans, "upstream"));
    assert_eq!(verify["parent"], whole["id"]);
    assert_eq!(body["parent"], verify["id"]);
    assert_eq!(
        (&upstream["parent"], &upstream["kind"]),
        (&whole["id"], &"SPAN_KIND_CLIENT".into())
    );
    assert_eq!(verify["attributes"]["postern.verdict"], "verified");
    let seen = world.upstream.next();
    let heard = format!("00-{TRACE}-{}-01", upstream["id"].as_str().unwrap());
    assert_eq!(seen.values("traceparent"), [heard], "what the backend does is a part of that");
    for span in &spans {
        assert_eq!((&span["trace"], &span["failed"]), (&TRACE.into(), &false.into()));
        assert!(span["from"].as_u64() >= whole["from"].as_u64(), "{span}");
        assert!(
            span["to"].as_u64() <= whole["to"].as_u64()
                && span["to"].as_u64() >= span["from"].as_u64()
        );
    }
    let token = world.issuer.token();
    let text = Value::from(spans).to_string();
    for private in ["ada", token.as_str(), "Bearer"] {
        assert!(!text.contains(private), "{private} in {text}");
    }
}

#[test]
fn waiting_for_keys_is_a_part_of_its_own_and_a_refusal_is_told() {
    let collector = Collector::start(&[]);
    let world = World::with(&collector.settings(""));
    let unknown = crate::harness::Key::new("never-published").sign(&world.issuer.claims());
    let trace = parent("01");
    let headers = [("Authorization", &*format!("Bearer {unknown}")), ("traceparent", &trace)];
    assert_eq!(world.request("GET", "/mcp", &headers).status, 401);
    let spans = collector.spans(3);
    let whole = named(&spans, "GET /mcp");
    assert_eq!(whole["attributes"]["error.type"], "token_unknown_key");
    assert_eq!(whole["failed"], false, "it is the client's fault");
    let wait = named(&spans, "wait for keys");
    assert_eq!(wait["parent"], named(&spans, "verify")["id"]);
    assert!(wait["to"].as_u64() > wait["from"].as_u64());
}

#[test]
fn whoever_began_a_trace_says_whether_it_is_told_of() {
    let collector = Collector::start(&[]);
    let world = World::with(&collector.settings(", sample: 1"));
    assert_eq!(call(&world, &[("traceparent", &parent("00"))], &json!({})), 200);
    assert!(world.upstream.next().values("traceparent")[0].ends_with("-00"));
    // Without one, each is told of here.
    assert_eq!(call(&world, &[], &json!({})), 200);
    let begun = world.upstream.next();
    let begun = begun.values("traceparent")[0];
    assert!(begun.ends_with("-01") && !begun.contains(TRACE), "{begun}");
    let spans = collector.spans(4);
    assert_eq!(named(&spans, "tools/call echo")["parent"], "");
    assert!(spans.iter().all(|span| begun.contains(span["trace"].as_str().unwrap())), "{spans:#?}");
}

#[test]
fn where_none_are_wanted_none_is_begun() {
    let world = World::start();
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    assert!(world.upstream.next().values("traceparent").is_empty());
    let collector = Collector::start(&[]);
    let world = World::with(&collector.settings(", sample: 0"));
    assert_eq!(call(&world, &[], &json!({})), 200);
    assert!(world.upstream.next().values("traceparent")[0].ends_with("-00"));
    assert!((world.metric("postern_spans_total") - 0.0).abs() < f64::EPSILON);
}

/// As clients of 2026-07-28 name it; a header is nearer.
#[test]
fn a_trace_in_the_message_goes_on() {
    let collector = Collector::start(&[]);
    let world = World::with(&collector.settings(", sample: 0"));
    let meta = json!({ "traceparent": parent("01") });
    assert_eq!(call(&world, &[], &meta), 200);
    let heard = world.upstream.next();
    assert!(heard.values("traceparent")[0].starts_with(&format!("00-{TRACE}-")));
    assert!(heard.body.contains(&parent("01")), "the message is as it was");
    let spans = collector.spans(4);
    assert_eq!(named(&spans, "tools/call echo")["parent"], "00f067aa0ba902b7");
    let other = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00";
    assert_eq!(call(&world, &[("traceparent", other)], &meta), 200);
    assert!(world.upstream.next().values("traceparent")[0].starts_with("00-0123456789abcdef"));
    for none in [json!({ "traceparent": 1 }), json!({ "traceparent": "x" }), json!({})] {
        assert_eq!(call(&world, &[], &none), 200);
        assert!(!world.upstream.next().values("traceparent")[0].contains(TRACE));
    }
}

/// One that refuses, and one that never answers: what cannot be sent is counted, and no request knows of it.
#[test]
fn a_collector_that_fails_delays_nobody() {
    let collector = Collector::start(&["--refuse"]);
    let world = World::with(&collector.settings(""));
    assert_eq!(call(&world, &[], &json!({})), 200);
    wait_until("it is counted", || world.metric("postern_spans_total{result=\"failed\"}") >= 4.0);
    assert!(world.log_line("spans not sent").contains("503"));

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", silent.local_addr().unwrap());
    let world = World::with(&format!("traces: {{endpoint: '{endpoint}'}}"));
    let (token, mut wire) = (world.issuer.token(), Wire::connect(world.gateway));
    // More than wait.
    for _ in 0..6000 {
        assert_eq!(wire.call(&token).status, 200);
    }
    let dropped = || world.metric("postern_spans_total{result=\"dropped\"}");
    wait_until("some are dropped", || dropped() > 0.0);
    let added = world.metric("postern_added_seconds_sum") / 6000.0;
    assert!(added < 0.05, "{added} s each");
    let end = std::time::Instant::now();
    world.signal("-TERM");
    assert!(world.log.iter().any(|line| line.contains("stopped")), "it ends");
    assert!(end.elapsed() < Duration::from_secs(8), "{:?}", end.elapsed());
}

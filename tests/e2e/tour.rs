//! Official clients with everything that our backend offers: as its parents, and through the gateway.

mod rust;

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Ground, Stage, TOOLS, counterpart, otus, program, root};
use crate::harness::{Upstream, backend};

/// What a client prints.
#[track_caller]
fn told(client: &mut Command) -> Value {
    let output = client.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{client:?}: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn has_seen_everything(told: &Value, tools: &[&str]) {
    assert_eq!(told["tools"], json!(tools));
    assert_eq!((&told["echo"], &told["info"]), (&json!("hello"), &json!("mcp-backend")));
    assert_eq!(told["refused"], true);
    assert!(told["guide"].as_str().unwrap().contains("- message (required)"), "{told}");
}

const ERAS: [(&str, &str); 2] = [("legacy", "2025-11-25"), ("2026-07-28", "2026-07-28")];

fn on_stdio(interpreter: &str, script: &str) {
    let client = |arguments: &[&str], options: &[&str]| {
        let mut client = counterpart(interpreter, script);
        client.args(arguments).arg("--").arg(backend().get_program());
        client.args(["--log", "error"]).args(options);
        told(&mut client)
    };
    for (mode, version) in ERAS {
        let seen = client(&["--mode", mode], &[]);
        has_seen_everything(&seen, &TOOLS);
        assert_eq!(seen["protocol_version"], version);
        let act = ["--mode", mode, "--act", "progress", "--tool", "test_tool_with_progress"];
        let progress = json!([[0.0, 100.0], [50.0, 100.0], [100.0, 100.0]]);
        is_progress(&client(&act, &["--conformance"]), &progress);
    }
    // It asks in the middle of the call, and nobody says a word: only before 2026-07-28.
    let act = ["--mode", "legacy", "--act", "cancel", "--tool", "test_elicitation"];
    let seen = client(&act, &["--conformance"]);
    assert_eq!(seen, json!({ "answered": false, "goes_on": true }));
}

#[track_caller]
fn is_progress(told: &Value, progress: &Value) {
    let numbers = |told: &Value| -> Vec<Option<f64>> {
        let pairs = told.as_array().unwrap().iter();
        pairs.flat_map(|pair| pair.as_array().unwrap().iter().map(Value::as_f64)).collect()
    };
    assert_eq!(numbers(&told["progress"]), numbers(progress), "{told}");
    assert_eq!(told["refused"], false);
}

fn through_the_gateway(interpreter: &str, script: &str) {
    let otus = Upstream::start();
    let stage = otus::stage(Ground::new(), &otus);
    let client = |arguments: &[&str]| {
        let mut client = counterpart(interpreter, script);
        client.args(arguments).args(["--url", &stage.ground.resource()]);
        client.args(["--token", &stage.provider.token()]);
        client.arg("--ca").arg(&stage.ground.certificate.authority);
        client
    };
    for (mode, version) in ERAS {
        let seen = told(&mut client(&["--mode", mode]));
        has_seen_everything(&seen, &with_teams());
        assert_eq!(seen["protocol_version"], version);
        let act = |act| ["--mode", mode, "--act", act, "--tool", "otus_teams"];
        is_progress(&told(&mut client(&act("progress"))), &json!([[0.0, 1.0], [1.0, 1.0]]));
        otus.next();
        gives_up(client(&act("cancel")), &otus);
    }
}

fn with_teams() -> Vec<&'static str> {
    let mut tools = TOOLS.to_vec();
    tools.insert(4, "otus_teams");
    tools
}

/// What the client no longer wants nobody does any more, all the way down.
fn gives_up(mut client: Command, otus: &Upstream) {
    otus.keep_silent(true);
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    otus.next();
    client.stdin.as_mut().unwrap().write_all(b"enough\n").unwrap();
    assert!(otus.was_abandoned_within(super::PATIENCE), "Otus is still being asked");
    let output = client.wait_with_output().unwrap();
    otus.keep_silent(false);
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen, json!({ "answered": false, "goes_on": true }));
}

#[test]
fn the_python_client_sees_everything_on_stdio() {
    on_stdio("python", "tour.py");
}

#[test]
fn the_typescript_client_sees_everything_on_stdio() {
    on_stdio("node", "tour.mjs");
}

#[test]
fn the_python_client_sees_everything_through_the_gateway() {
    through_the_gateway("python", "tour.py");
}

#[test]
fn the_typescript_client_sees_everything_through_the_gateway() {
    through_the_gateway("node", "tour.mjs");
}

/// The Inspector's command line, which has no way to hear of progress, nor to cancel.
fn inspect(target: impl Fn(&mut Command), tools: &[&str]) {
    let asked = |arguments: &[&str]| {
        let mut inspector = Command::new(program("node"));
        let launcher = "target/e2e/node_modules/@modelcontextprotocol/inspector/clients/launcher";
        inspector.arg(root().join(launcher).join("build/index.js")).arg("--cli");
        inspector.args(["--quiet", "--method"]).args(arguments);
        target(inspector.stdin(Stdio::null()));
        told(&mut inspector)
    };
    for era in ["legacy", "modern"] {
        let asked = |arguments: &[&str]| asked(&[arguments, &["--protocol-era", era]].concat());
        // It fails if a schema has what some client stumbles over.
        let listed = asked(&["tools/list", "--strict"]);
        let names: Vec<&Value> =
            listed["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
        let echo = asked(&["tools/call", "--tool-name", "echo", "--tool-arg", "message=hello"]);
        let info = asked(&["resources/read", "--uri", "mcp://server/info"]);
        let info: Value =
            serde_json::from_str(info["contents"][0]["text"].as_str().unwrap()).unwrap();
        let guide = ["--prompt-name", "tool_usage_guide", "--prompt-args", "tool_name=echo"];
        let guide = asked(&[&["prompts/get"], &guide[..]].concat());
        let told = json!({
            "tools": names, "echo": echo["structuredContent"]["echo"], "info": info["name"],
            "refused": true, "guide": guide["messages"][0]["content"]["text"],
        });
        has_seen_everything(&told, tools);
    }
}

#[test]
fn the_inspector_sees_everything_on_stdio() {
    inspect(
        |inspector| {
            inspector.arg(backend().get_program()).args(["--log", "error"]);
        },
        &TOOLS,
    );
}

#[test]
fn the_inspector_sees_everything_through_the_gateway() {
    let stage = Stage::set();
    let authorization = format!("Authorization: Bearer {}", stage.provider.token());
    inspect(
        |inspector| {
            inspector.env("NODE_EXTRA_CA_CERTS", &stage.ground.certificate.authority);
            inspector.args(["--transport", "http", "--server-url", &stage.ground.resource()]);
            inspector.args(["--header", &authorization]);
        },
        &TOOLS,
    );
}

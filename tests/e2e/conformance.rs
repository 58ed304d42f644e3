//! The official conformance suite, straight at the backend and through the gateway.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{ChildStdout, Stdio};

use serde_json::{Value, json};

use super::counterpart;
use crate::harness::{Issuer, Process, World, backend, wait_until};

/// One run, against whatever it is pointed at.
struct Suite {
    authority: String,
    output: BufReader<ChildStdout>,
    process: Process,
}

impl Suite {
    fn start() -> Self {
        let mut command = counterpart("node", "conformance.mjs");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let output = BufReader::new(process.0.stdout.take().unwrap());
        let mut suite = Self { authority: String::new(), output, process };
        suite.line()["authority"].as_str().unwrap().clone_into(&mut suite.authority);
        suite
    }

    fn point(&mut self, to: SocketAddr, headers: &Value) {
        let task = json!({ "to": to, "headers": headers });
        writeln!(self.process.0.stdin.as_mut().unwrap(), "{task}").unwrap();
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("the suite says why on stderr")
    }
}

/// Our backend on a port of its own, with these options.
pub(super) fn listening_backend(options: &[&str]) -> (SocketAddr, Process) {
    let mut command = backend();
    command.args(options).args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
    let mut process = Process(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
    (address, process)
}

#[test]
fn the_conformance_suite_finds_the_same_with_and_without_the_gateway() {
    // What one run changes would be told to the other.
    let (alone, _first) = listening_backend(&["--conformance"]);
    let (server, _second) = listening_backend(&["--conformance"]);
    let (mut direct, mut through) = (Suite::start(), Suite::start());
    direct.point(
        alone,
        &json!({ "X-Postern-Subject": "ada", "X-Postern-Issuer": "https://id.example" }),
    );
    let resource = format!("http://{}/mcp", through.authority);
    let settings = format!(
        "resource: {{url: '{resource}', scopes: [mcp:read]}}\nupstream: {{address: '{server}'}}"
    );
    let world = World::unready(Issuer::start(), &settings);
    wait_until("the proxy is ready", || world.is_ready());
    let token = world.issuer.key.sign(&world.issuer.claims().set("aud", resource));
    through.point(world.gateway, &json!({ "Authorization": format!("Bearer {token}") }));
    let (direct, through) = (direct.line(), through.line());
    let (mut differences, mut failures) = (Vec::new(), Vec::new());
    for (revision, scenarios) in [("2025-11-25", 33), ("2026-07-28", 50)] {
        assert_eq!(
            (&direct[revision]["passed"], &through[revision]["passed"]),
            (&json!(true), &json!(true))
        );
        let (direct, through) = (&direct[revision]["scenarios"], &through[revision]["scenarios"]);
        let names: Vec<&String> = through.as_object().unwrap().keys().collect();
        assert_eq!(names, direct.as_object().unwrap().keys().collect::<Vec<_>>(), "{revision}");
        assert!(names.len() >= scenarios, "{revision}: only {}", names.len());
        for name in names {
            let failed = if optional(name) { Vec::new() } else { failed(&through[name]) };
            failures.extend(failed.iter().map(|check| format!("{revision} {name}: {check:#}")));
            differences.extend(
                differing(&direct[name], &through[name])
                    .into_iter()
                    .map(|pair| format!("{revision} {name}: {pair}")),
            );
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Of an extension that the backend does not have and does not say it has: the suite runs its
/// scenarios nevertheless, and counts them for nothing (`not_scored` in its requirements).
fn optional(scenario: &str) -> bool {
    scenario.starts_with("tasks-")
}

/// The checks of one scenario that did not come out well.
fn failed(checks: &Value) -> Vec<&Value> {
    let good = |check: &&Value| {
        ["SUCCESS", "INFO", "SKIPPED"].iter().any(|status| check["status"] == *status)
    };
    checks.as_array().unwrap().iter().filter(|check| !good(check)).collect()
}

/// The checks of one scenario that came out otherwise, as both runs tell of them.
fn differing(direct: &Value, through: &Value) -> Vec<String> {
    let (direct, through) = (direct.as_array().unwrap(), through.as_array().unwrap());
    let mut told = Vec::new();
    for index in 0..direct.len().max(through.len()) {
        let (without, with) = (direct.get(index), through.get(index));
        if without.map(judged) != with.map(judged) {
            told.push(format!("without the gateway {without:#?}\nwith it {with:#?}"));
        }
    }
    told
}

/// What must be the same of a check: all of it, but who turns a foreign host away may say 403 or 421.
fn judged(check: &Value) -> Value {
    let mut check = check.clone();
    if check["id"] == "localhost-host-rebinding-rejected" {
        check["details"].take();
    }
    check
}

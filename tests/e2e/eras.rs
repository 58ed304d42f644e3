//! MCP as it was: an official server with sessions, and official clients that do not know better.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};

use serde_json::{Value, json};

use super::conformance::listening_backend;
use super::counterpart;
use crate::harness::{Process, World};

/// The Python SDK's server behind the gateway.
struct Stage {
    world: World,
    journal: BufReader<ChildStdout>,
    _server: Process,
}

impl Stage {
    fn set() -> Self {
        let mut server = counterpart("python", "stateful.py");
        let mut server = Process(server.stdout(Stdio::piped()).spawn().unwrap());
        let mut journal = BufReader::new(server.0.stdout.take().unwrap());
        let address = line(&mut journal)["address"].as_str().unwrap().to_owned();
        let world = World::with(&format!("upstream: {{address: '{address}'}}"));
        Self { world, journal, _server: server }
    }

    fn client(&self, mode: &str) -> Value {
        let told = client(&self.world, mode);
        assert_eq!(told["echo"], "hello");
        told
    }
}

/// What came of a client's calls.
fn client(world: &World, mode: &str) -> Value {
    let mut client = counterpart("python", "old.py");
    client.arg("--url").arg(format!("http://{}/mcp", world.gateway));
    client.args(["--token", &world.issuer.token(), "--mode", mode]);
    let output = client.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{mode}: {complaint}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["protocol_version"], "2025-11-25");
    told
}

#[test]
fn an_official_server_keeps_its_sessions_and_its_clients_hold_others() {
    let mut stage = Stage::set();
    let told = stage.client("sessions");
    let steps = told["steps"].as_array().unwrap();
    let mut methods: Vec<&Value> = steps.iter().map(|step| &step[0]).collect();
    methods.sort_by_key(ToString::to_string);
    assert_eq!(json!(methods), json!(["DELETE", "GET", "POST", "POST", "POST", "POST"]));
    assert!(steps.iter().all(|step| step[1] == 200 || step[1] == 202), "{told}");
    let held = steps[1][2].as_str().unwrap();
    let asked: Vec<Value> = (0..steps.len()).map(|_| line(&mut stage.journal)).collect();
    let known = &asked[1]["session"];
    assert!(known[0].is_string() && *known != json!([held]), "{known} {held}");
    assert!(steps[1..].iter().all(|step| step[2] == held), "{told}");
    assert_eq!(asked[0]["session"], json!([]), "nobody begins with a session");
    assert!(asked[1..].iter().all(|call| call["session"] == *known), "{asked:?}");
}

#[test]
fn the_transport_of_two_endpoints_works_between_official_ends() {
    Stage::set().client("sse");
}

#[test]
fn our_backend_has_sessions_and_two_endpoints_for_official_clients_too() {
    let (address, _backend) = listening_backend(&[]);
    let world = World::with(&format!("upstream: {{address: '{address}'}}"));
    for mode in ["sessions", "sse"] {
        let told = client(&world, mode);
        assert!(told["echo"].as_str().unwrap().contains(r#""echo":"hello""#), "{told}");
    }
}

fn line(journal: &mut impl BufRead) -> Value {
    let mut line = String::new();
    journal.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("it said {line:?}"))
}

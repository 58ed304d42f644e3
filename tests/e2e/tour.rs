//! Official clients that start our backend as their child.

use serde_json::{Value, json};

use super::{TOOLS, counterpart};
use crate::harness::backend;

fn sees_everything(interpreter: &str, script: &str, version: &str) {
    let mut client = counterpart(interpreter, script);
    client.arg(backend().get_program()).args(["--log", "error"]);
    let output = client.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {complaint}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["protocol_version"], version);
    assert_eq!(told["tools"], json!(TOOLS));
    assert_eq!((&told["echo"], &told["info"]), (&json!("hello"), &json!("mcp-backend")));
    assert_eq!(told["refused"], true);
    assert!(told["guide"].as_str().unwrap().contains("- message (required)"), "{told}");
}

#[test]
fn the_python_client_sees_everything_on_stdio() {
    sees_everything("python", "tour.py", "2025-11-25");
}

#[test]
fn the_typescript_client_sees_everything_on_stdio() {
    sees_everything("node", "tour.mjs", "2026-07-28");
}

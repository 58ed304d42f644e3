//! Official clients at a gateway with rules: they begin, see what they may use, and come back with more scope.

use serde_json::{Value, json};

use super::provider::Provider;
use super::{Ground, Stage};

/// Only two tools may be called, and one of them needs more than clients are told at first.
fn stage() -> Stage {
    let ground = Ground::new();
    let provider = Provider::start(&ground.resource());
    let further = format!(
        "{}\nresource: {{url: '{}', scopes: ['mcp:read'], policy: {{\
         scopes: [{{tools: [echo], all: ['mcp:write']}}], allow: [{{tools: [echo, whoami]}}], \
         lists: obtainable}}}}",
        ground.certificate.setting(),
        ground.resource(),
    );
    Stage::on(ground, provider, &further, "")
}

#[track_caller]
fn steps_up(interpreter: &str, script: &str, mode: &str) {
    let stage = stage();
    let told = stage.dance(interpreter, script, &[mode]);
    assert_eq!(told["tools"], json!(["echo", "whoami"]));
    assert_eq!(told["whoami"]["scopes"], json!(["mcp:read"]));
    assert!(told["echo"].as_str().unwrap().contains("hello"), "{told:#}");
    let refused = |step: &&Value| **step == json!("POST /mcp 403");
    assert_eq!(told["steps"].as_array().unwrap().iter().filter(refused).count(), 1, "{told:#}");
}

#[test]
fn the_python_client_comes_back_with_the_scope_that_a_tool_needs() {
    steps_up("python", "client.py", "auto");
    steps_up("python", "client.py", "legacy");
}

#[test]
fn the_typescript_client_comes_back_with_the_scope_that_a_tool_needs() {
    steps_up("node", "client.mjs", "modern");
    steps_up("node", "client.mjs", "legacy");
}

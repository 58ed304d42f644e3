//! Official clients, which register wherever they come, and an issuer that registers nobody.

use serde_json::{Value, json};

use super::{Ground, Provider, Stage, TOOLS};

fn stage() -> Stage {
    let ground = Ground::new();
    let provider = Provider::closed(&ground.resource());
    let (id, secret) = &provider.facade;
    let further = format!(
        "{}\noauth: {{keys: [0123456789abcdef0123456789abcdef], facade: {{client_id: '{id}', \
         client_secret: '{secret}', redirect_uris: ['http://127.0.0.1/callback']}}}}",
        ground.certificate.setting()
    );
    Stage::on(ground, provider, &further, "")
}

#[track_caller]
fn completes(interpreter: &str, script: &str, mode: &str) {
    let stage = stage();
    let told = stage.dance(interpreter, script, &[mode]);
    assert_eq!(told["tools"], json!(TOOLS));
    let whoami = &told["whoami"];
    assert_eq!((&whoami["kind"], &whoami["subject"]), (&json!("verified"), &json!("alice")));
    assert_eq!(whoami["issuer"], stage.provider.issuer, "the tokens are the issuer's own");
    assert_eq!(whoami["client_id"], "e2e-facade");
    let steps: Vec<&str> =
        told["steps"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for step in ["POST /register 201", "POST /token 200"] {
        assert!(steps.contains(&step), "{step} in {steps:?}");
    }
}

#[test]
fn the_python_client_finishes() {
    completes("python", "client.py", "auto");
}

#[test]
fn the_python_client_finishes_in_the_legacy_era() {
    completes("python", "client.py", "legacy");
}

#[test]
fn the_typescript_client_finishes() {
    completes("node", "client.mjs", "modern");
}

#[test]
fn the_typescript_client_finishes_in_the_legacy_era() {
    completes("node", "client.mjs", "legacy");
}

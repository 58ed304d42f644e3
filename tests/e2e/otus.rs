//! Another API behind the backend, and the authorization server that gives tokens for it.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Ground, Provider, Stage};
use crate::harness::{Upstream, backend};

const OTUS: &str = "https://otus.example";

fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// The gateway hands tokens over, and the backend gets others for them.
fn stage(ground: Ground, otus: &Upstream) -> Stage {
    let provider = Provider::start(&ground.resource());
    provider.admin(&format!("/resource?url={OTUS}"));
    let (id, secret) = &provider.exchanger;
    let (settings, file) =
        (ground.directory.path().join("backend.yaml"), ground.directory.path().join("secret"));
    fs::write(&file, secret).unwrap();
    let text = format!(
        "otus:\n  base_url: http://{}\n  token_endpoint: {}/token\n  client_id: {id}\n  \
         client_secret_file: {}\n  resource: {OTUS}\n",
        otus.address(),
        provider.issuer,
        file.display(),
    );
    fs::write(&settings, text).unwrap();
    let mut backend = backend();
    backend.arg("--config").arg(&settings);
    let further = format!("{}\nforward: {{authorization: keep}}", ground.certificate.setting());
    Stage::before(backend, ground, provider, &further, "")
}

/// oidc-provider knows no token exchange by itself, but how to be taught one: see `exchange` there.
#[test]
fn the_backend_asks_another_api_with_a_token_that_was_exchanged_for_the_callers() {
    let otus = Upstream::start();
    let stage = stage(Ground::new(), &otus);
    let token = stage.provider.token();
    let answer = stage.call_tool("otus_teams", &token, None);
    let told: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
    assert_eq!(told["result"]["structuredContent"], json!({ "teams": {} }), "{told}");
    let asked = otus.next();
    let shown = asked.values("authorization")[0].strip_prefix("Bearer ").unwrap();
    let (theirs, exchanged) = (claims(&token), claims(shown));
    assert_eq!(exchanged["aud"], OTUS);
    assert_eq!(exchanged["sub"], theirs["sub"]);
    assert_ne!(exchanged["aud"], theirs["aud"]);
    assert!(!asked.head.contains(&token), "the caller's own token went on");
    // From here on the authorization server is not needed.
    drop(stage.call_tool("otus_teams", &token, None));
    assert_eq!(otus.next().values("authorization"), asked.values("authorization"));
}

/// The exchange is refused, which only the backend sees; the client signs in anew, by the gateway's challenge.
#[test]
fn the_python_client_signs_in_again_when_its_token_is_exchanged_no_more() {
    let otus = Upstream::start();
    let stage = stage(Ground::new(), &otus);
    let lever = stage.provider.lever("/withdraw");
    let told = stage.dance("python", "client.py", &["auto", "--teams", &lever]);
    assert_eq!(told["teams"], json!({ "teams": {} }), "{told:#}");
    let steps: Vec<&str> = steps(&told["steps"]);
    let [before, after] = steps.split(|step| *step == "POST /withdraw").collect::<Vec<_>>()[..]
    else {
        panic!("{steps:?}")
    };
    assert_eq!((before[0], after[0]), ("POST /mcp 401", "POST /mcp 401"), "{steps:?}");
    assert!(after.contains(&"POST /token 200"), "{steps:?}");
    assert!(!after.contains(&"POST /reg 201"), "it is still registered: {steps:?}");
    assert_eq!(after.last(), Some(&"POST /mcp 200"), "{steps:?}");
}

/// What no token mends does not become a loop.
#[test]
fn the_python_client_gives_up_when_no_token_is_exchanged() {
    let otus = Upstream::start();
    let stage = stage(Ground::new(), &otus);
    let lever = stage.provider.lever("/withdraw?for=ever");
    let complaint = stage.stumbles("python", "client.py", &["auto", "--teams", &lever]);
    let (_, after) =
        complaint.split_once("POST /withdraw").unwrap_or_else(|| panic!("{complaint}"));
    assert_eq!(after.matches("POST /mcp 401").count(), 2, "{complaint}");
}

fn steps(told: &Value) -> Vec<&str> {
    told.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

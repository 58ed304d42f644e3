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

/// oidc-provider knows no token exchange by itself, but how to be taught one: see `exchange` there.
#[test]
fn the_backend_asks_another_api_with_a_token_that_was_exchanged_for_the_callers() {
    let (ground, otus) = (Ground::new(), Upstream::start());
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
    let stage = Stage::before(backend, ground, provider, &further, "");
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

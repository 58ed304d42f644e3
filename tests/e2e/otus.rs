//! Another API behind the backend, and the authorization server that gives tokens for it.

use std::fs;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Ground, Provider, Stage};
use crate::harness::{Process, Response, Upstream, World, backend, request, wait_until};

const OTUS: &str = "https://otus.example";

fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// The gateway hands tokens over, and the backend gets others for them.
pub(super) fn stage(ground: Ground, otus: &Upstream) -> Stage {
    let provider = Provider::start(&ground.resource());
    provider.admin(&format!("/resource?url={OTUS}"));
    let (id, secret) = &provider.exchanger;
    let (settings, file) =
        (ground.directory.path().join("backend.yaml"), ground.directory.path().join("secret"));
    fs::write(&file, secret).unwrap();
    let text = format!(
        "otus:\n  base_url: http://{}\n  token_endpoint: {}/token\n  client_id: {id}\n  \
         client_secret_file: {}\n  resource: {OTUS}\n  timeout: 5m\n",
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

/// One id, two users, either era: Otus is asked for whoever sent the request.
#[test]
fn neither_of_two_users_has_the_others_teams_asked_for_by_a_session_id() {
    let (otus, directory) = (Upstream::start(), tempfile::tempdir().unwrap());
    let (settings, socket) =
        (directory.path().join("backend.yaml"), directory.path().join("backend.sock"));
    let text =
        format!("otus: {{base_url: 'http://{}', credential: passthrough_unsafe}}", otus.address());
    fs::write(&settings, text).unwrap();
    let mut backend = backend();
    backend.arg("--listen").arg(format!("unix:{}", socket.display())).stdout(Stdio::null());
    let _backend = Process(backend.arg("--config").arg(&settings).spawn().unwrap());
    wait_until("the backend listens", || socket.exists());
    let world = World::with(&format!(
        "upstream: {{address: 'unix:{}'}}\nforward: {{authorization: keep}}",
        socket.display()
    ));
    let [ada, bob] =
        ["ada", "bob"].map(|who| world.issuer.key.sign(&world.issuer.claims().set("sub", who)));
    let [hers, his] = [&ada, &bob].map(|token| begin(&world, token));
    for (token, own, others) in [(&ada, &hers, &his), (&bob, &his, &hers)] {
        let asked = || otus.next().values("authorization")[0].to_owned();
        for _ in 0..2 {
            assert_eq!(send(&world, token, BEFORE, Some(own), &teams(BEFORE)).status, 200);
            assert_eq!(asked(), format!("Bearer {token}"));
            assert_eq!(send(&world, token, BEFORE, Some(others), &teams(BEFORE)).status, 404);
            assert_eq!(send(&world, token, NOW, Some(others), &teams(NOW)).status, 200);
            assert_eq!(asked(), format!("Bearer {token}"));
        }
    }
    assert!(otus.poll().is_none(), "once for each call that was answered");
}

fn begin(world: &World, token: &str) -> String {
    let params = json!({
        "protocolVersion": BEFORE, "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    });
    let begun = request("initialize", &params);
    let begun = send(world, token, BEFORE, None, &begun);
    let session = begun.header("mcp-session-id").to_owned();
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(send(world, token, BEFORE, Some(&session), &ready).status, 202);
    session
}

fn teams(version: &str) -> Value {
    let mut params = json!({ "name": "otus_teams", "arguments": {} });
    if version == NOW {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    }
    request("tools/call", &params)
}

const BEFORE: &str = "2025-11-25";
const NOW: &str = "2026-07-28";

fn send(
    world: &World,
    token: &str,
    version: &str,
    session: Option<&str>,
    message: &Value,
) -> Response {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![
        ("Authorization", &*bearer),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ];
    if message["method"] != "initialize" {
        headers.push(("MCP-Protocol-Version", version));
    }
    if version == NOW {
        headers.extend([("Mcp-Method", "tools/call"), ("Mcp-Name", "otus_teams")]);
    }
    headers.extend(session.map(|id| ("Mcp-Session-Id", id)));
    world.connect().request("POST", "/mcp", &headers, &message.to_string())
}

fn steps(told: &Value) -> Vec<&str> {
    told.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

//! `/api/v1` of our backend through the gateway, and its document in the eyes of programs that know `OpenAPI`.

use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::counterpart;
use crate::harness::{Issuer, Process, Response, World, backend, wait_until};

const API: &str = "https://mcp.example/api/v1";

struct Stage {
    world: World,
    _backend: Process,
    _directory: TempDir,
}

impl Stage {
    /// The sites of the backend's guide.
    fn set() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("backend.sock");
        let mut command = backend();
        command.arg("--listen").arg(format!("unix:{}", socket.display())).stdout(Stdio::null());
        let backend = Process(command.args(["--log", "error"]).spawn().unwrap());
        let issuer = Issuer::start();
        let site = |url: &str| {
            format!(
                "- {{resource: {{url: '{url}', scopes: [mcp:read]}}, \
                 upstream: {{address: 'unix:{}'}}}}\n",
                socket.display()
            )
        };
        let settings = format!("sites:\n{}{}", site("https://mcp.example/mcp"), site(API));
        let world = World::unready(issuer, &settings);
        wait_until("the backend listens", || socket.exists());
        wait_until("the proxy is ready", || world.is_ready());
        Self { world, _backend: backend, _directory: directory }
    }

    fn token(&self, scopes: &str) -> String {
        let claims = self.world.issuer.claims().set("aud", API).set("scope", scopes);
        self.world.issuer.key.sign(&claims)
    }

    fn ask(&self, method: &str, path: &str, scopes: &str, body: &Value) -> Response {
        let bearer = format!("Bearer {}", self.token(scopes));
        let headers = [
            ("Authorization", &*bearer),
            ("Content-Type", "application/json"),
            ("X-Postern-Subject", "mallory"),
            ("X-Postern-Scopes", "mcp:write"),
        ];
        let body = if method == "GET" { String::new() } else { body.to_string() };
        self.world.connect().request(method, &format!("/api/v1/{path}"), &headers, &body)
    }
}

fn json(response: &Response) -> Value {
    serde_json::from_str(&response.body).unwrap_or_else(|_| panic!("{response:?}"))
}

#[test]
fn clients_that_speak_no_mcp_use_the_same_tools_through_the_gateway() {
    let stage = Stage::set();
    let get = |path, scopes| json(&stage.ask("GET", path, scopes, &json!(null)));
    let me = get("me", "mcp:read");
    assert_eq!((&me["sub"], &me["iss"]), (&json!("ada"), &json!(stage.world.issuer.url())));
    assert_eq!(me["scopes"], json!(["mcp:read"]), "as the token has it, whatever else was sent");
    let tools = get("tools", "mcp:read");
    assert_eq!((&tools["total"], &tools["available"]), (&json!(3), &json!(2)), "{tools:#}");
    let sum = json!({ "operation": "add", "operands": [2, 3] });
    let refused = stage.ask("POST", "tools/calculate", "mcp:read", &sum);
    assert_eq!(refused.status, 403);
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"mcp:write\"";
    assert_eq!(refused.header("www-authenticate"), challenge);
    let answer = json(&stage.ask("POST", "tools/calculate", "mcp:read mcp:write", &sum));
    assert_eq!(answer["result"]["result"], 5.0);
    let hello = json!({ "message": "hello" });
    let echo = json(&stage.ask("POST", "tools/echo", "mcp:read", &hello));
    assert_eq!(echo["result"]["echo"], "hello");
}

#[test]
fn nobody_uses_them_without_a_token_for_them() {
    let stage = Stage::set();
    let mut wire = stage.world.connect();
    let refused = wire.request("GET", "/api/v1/me", &[], "");
    let metadata = "https://mcp.example/.well-known/oauth-protected-resource/api/v1";
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").contains(metadata), "{refused:?}");
    let other = format!("Bearer {}", stage.world.issuer.token());
    let refused = wire.request("GET", "/api/v1/me", &[("Authorization", &other)], "");
    assert_eq!(refused.status, 401, "a token for /mcp is none for here");
}

/// openapi-spec-validator reads the document; schemathesis makes requests of it, good ones and bad ones, and
/// compares the answers with what it promises.
#[test]
fn the_api_is_what_its_document_says() {
    let stage = Stage::set();
    let mut judge = counterpart("python", "api.py");
    judge.arg("--url").arg(format!("http://{}", stage.world.gateway));
    judge.args(["--host", "mcp.example", "--token", &stage.token("mcp:read mcp:write")]);
    let output = judge.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
}

//! Python's WebSocket library on both sides.

use std::process::Stdio;

use serde_json::{Value, json};

use super::{counterpart, told};
use crate::harness::{Certificate, Process, World};

#[test]
fn the_usual_client_and_server_go_on_as_a_websocket() {
    let mut server = counterpart("python", "websocket.py");
    let mut server =
        Process(server.arg("serve").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let port = told(&mut server)["port"].as_u64().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::write_for(directory.path(), &["mcp.example"]);
    let world = World::with(&format!(
        "{}\nresource: {{url: https://mcp.example/mcp, scopes: [mcp:read], websocket: true}}\n\
         upstream: {{address: '127.0.0.1:{port}'}}",
        certificate.setting()
    ));
    let call = |token: &str| -> Value {
        let mut client = counterpart("python", "websocket.py");
        client.args(["call", "--token", token, "--port", &world.gateway.port().to_string()]);
        let output = client.arg("--ca").arg(&certificate.authority).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let refused = call("");
    assert_eq!(refused, json!({ "status": 401, "challenge": World::PLAIN_CHALLENGE }));
    let told = call(&world.issuer.token());
    assert_eq!((&told["length"], &told["echoed"]), (&json!(500_000), &json!(true)), "{told}");
    assert_eq!((&told["ponged"], &told["closed"]), (&json!(true), &json!(1000)), "{told}");
    assert_eq!(told["subprotocol"], "mcp");
    assert_eq!(told["headers"]["x-postern-subject"], "ada");
    assert_eq!(told["headers"]["authorization"], Value::Null);
    assert!(told["headers"]["sec-websocket-extensions"].as_str().unwrap().contains("deflate"));
}

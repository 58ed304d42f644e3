//! The whole dance with parts that nobody here wrote: a certified authorization server, the official
//! MCP clients, Prometheus' own parser. `tests/e2e/prepare.sh` brings them.

mod issuers;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use crate::harness::{Certificate, Process, Response, Wire, World, backend, postern, wait_until};

/// oidc-provider, the gateway over TLS, and our backend on a unix socket.
struct Stage {
    provider: Provider,
    gateway: SocketAddr,
    certificate: Certificate,
    _directory: TempDir,
    _running: [Process; 2],
    _seat: Socket,
}

impl Stage {
    fn set() -> Self {
        Self::with("", |_| String::new())
    }

    /// With further settings for the gateway, and for the issuer's entry.
    fn with(further: &str, settings: impl Fn(&Provider) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let certificate = Certificate::write(directory.path());
        // The port is part of the resource's name, so it must be known before the start. A socket that
        // does not listen keeps it from everybody but who asks for it by number.
        let seat = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        seat.set_reuse_address(true).unwrap();
        seat.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let gateway = seat.local_addr().unwrap().as_socket().unwrap();
        let provider = Provider::start(&format!("https://{gateway}/mcp"));
        let socket = directory.path().join("backend.sock");
        let mut mcp = backend();
        mcp.arg("--listen").arg(format!("unix:{}", socket.display())).stdout(Stdio::null());
        let mcp = Process(mcp.spawn().unwrap());
        let config = directory.path().join("postern.yaml");
        let settings = format!(
            "listen: {gateway}\n{}\nadmin: {{listen: '127.0.0.1:0'}}\n\
             resource: {{url: 'https://{gateway}/mcp', scopes: ['mcp:read']}}\n\
             issuers: [{{issuer: '{}'{}}}]\nupstream: {{address: 'unix:{}'}}\nlog: {{level: error}}\n\
             {further}\n",
            certificate.setting(),
            provider.issuer,
            settings(&provider),
            socket.display(),
        );
        fs::write(&config, settings).unwrap();
        let proxy = Process(postern().args(["run", "--config"]).arg(&config).spawn().unwrap());
        let stage = Self {
            provider,
            gateway,
            certificate,
            _directory: directory,
            _running: [mcp, proxy],
            _seat: seat,
        };
        wait_until("the backend listens", || socket.exists());
        let token = stage.provider.token();
        wait_until("the gateway has keys", || stage.whoami(&token) == "200");
        stage
    }

    /// The status that a call with `token` gets, as a client with TLS of its own sees it.
    fn whoami(&self, token: &str) -> String {
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "whoami", "arguments": {}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            }},
        });
        let mut script = counterpart("python", "call.py");
        script
            .arg(format!("https://{}/mcp", self.gateway))
            .arg(&self.certificate.authority)
            .arg(token);
        script.arg(call.to_string());
        String::from_utf8(script.output().unwrap().stdout).unwrap().trim().to_owned()
    }

    /// One client's whole way from knowing nothing but the URL.
    fn dance(&self, interpreter: &str, script: &str, mode: &[&str]) -> Value {
        let mut client = counterpart(interpreter, script);
        client.arg("--url").arg(format!("https://{}/mcp", self.gateway));
        client.arg("--ca").arg(&self.certificate.authority).arg("--mode").args(mode);
        let output = client.output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script} {mode:?}: {complaint}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[track_caller]
fn completes(interpreter: &str, script: &str, mode: &str, version: &str) {
    let stage = Stage::set();
    let told = stage.dance(interpreter, script, &[mode]);
    assert_eq!(told["protocol_version"], version);
    assert_eq!(told["tools"], json!(["echo", "whoami"]));
    assert_eq!(told["echo"], r#"{"message":"hello"}"#);
    let whoami = &told["whoami"];
    assert_eq!((&whoami["kind"], &whoami["subject"]), (&json!("verified"), &json!("alice")));
    assert_eq!(whoami["issuer"], stage.provider.issuer);
    assert_eq!(whoami["scopes"], json!(["mcp:read"]));
    assert!(whoami["client_id"].is_string(), "{whoami}");
    assert_eq!(told["steps"][0], "POST /mcp 401");
    let challenge = World::PLAIN_CHALLENGE.replace("mcp.example", &stage.gateway.to_string());
    assert_eq!(told["challenge"], challenge);
}

#[test]
fn the_python_client_completes_in_the_modern_era() {
    completes("python", "client.py", "auto", "2026-07-28");
}

#[test]
fn the_python_client_completes_in_the_legacy_era() {
    completes("python", "client.py", "legacy", "2025-11-25");
}

#[test]
fn the_typescript_client_completes_in_the_modern_era() {
    completes("node", "client.mjs", "modern", "2026-07-28");
}

#[test]
fn the_typescript_client_completes_in_the_legacy_era() {
    completes("node", "client.mjs", "legacy", "2025-11-25");
}

/// Its token is bound to its key, at an authorization server that has never heard of us.
#[test]
fn the_typescript_client_proves_its_key_with_every_request() {
    for settings in ["", "dpop: {nonce: true}"] {
        let stage = Stage::with(settings, |_| String::new());
        let told = stage.dance("node", "client.mjs", &["modern", "--dpop"]);
        assert_eq!(told["token_type"], "DPoP");
        assert_eq!(told["whoami"]["subject"], "alice");
        let refused = |step: &&Value| **step == json!("POST /mcp 401");
        let refused = told["steps"].as_array().unwrap().iter().filter(refused).count();
        // One without a token; and one without a nonce, where one is needed.
        assert_eq!(refused, if settings.is_empty() { 1 } else { 2 }, "{told}");
    }
}

#[test]
fn keys_rotate_at_a_real_authorization_server() {
    let stage = Stage::set();
    let first = stage.provider.token();
    assert_eq!(stage.whoami(&first), "200");
    stage.provider.admin("/rotate");
    assert_eq!(stage.whoami(&stage.provider.token()), "200", "the new key, within one request");
    assert_eq!(stage.whoami(&first), "200", "the old key is still published");
    stage.provider.admin("/rotate-hard");
    assert_eq!(stage.whoami(&stage.provider.token()), "200");
    assert_eq!(
        stage.whoami(&first),
        "401",
        "its key is gone, though the token was accepted before"
    );
}

#[test]
fn every_default_algorithm_of_a_real_authorization_server_is_accepted() {
    let stage = Stage::set();
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        stage.provider.admin(&format!("/alg?alg={algorithm}"));
        assert_eq!(stage.whoami(&stage.provider.token()), "200", "{algorithm}");
    }
}

#[test]
fn the_metrics_are_what_prometheus_reads() {
    let world = World::start();
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    assert_eq!(world.call("opaque").status, 401);
    let mut parser = counterpart("python", "metrics.py");
    let mut parser = parser.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    parser.stdin.take().unwrap().write_all(world.admin("/metrics").body.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    let families: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (name, kind) in [
        ("postern_requests", "counter"),
        ("postern_request_seconds", "histogram"),
        ("postern_tokens_accepted", "counter"),
        ("postern_connections", "gauge"),
        ("postern_keys", "gauge"),
        ("postern_build_info", "gauge"),
    ] {
        assert_eq!(families[name], kind, "{name} in {families}");
    }
}

/// npm's oidc-provider, with a few levers of ours.
struct Provider {
    issuer: String,
    admin: SocketAddr,
    client: (String, String),
    /// What the gateway asks as.
    gateway: (String, String),
    resource: String,
    _process: Process,
}

impl Provider {
    fn start(resource: &str) -> Self {
        let mut command = counterpart("node", "oidc-provider.mjs");
        command.args(["--resource", resource]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let told = told(&mut process);
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        let admin = text("admin").strip_prefix("http://").unwrap().parse().unwrap();
        Self {
            issuer: text("issuer"),
            admin,
            client: (text("client_id"), text("client_secret")),
            gateway: (text("gateway_id"), text("gateway_secret")),
            resource: resource.to_owned(),
            _process: process,
        }
    }

    fn admin(&self, path: &str) {
        let response =
            Wire::connect(self.admin).request("POST", path, &[("Content-Length", "0")], "");
        assert_eq!(response.status, 200, "{response:?}");
    }

    /// By client credentials.
    fn token(&self) -> String {
        let resource = self.resource.replace(':', "%3A").replace('/', "%2F");
        let wanted = format!("grant_type=client_credentials&scope=mcp%3Aread&resource={resource}");
        let response = self.post("/token", &wanted);
        let answer: Value =
            serde_json::from_str(&response.body).unwrap_or_else(|_| panic!("{response:?}"));
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{response:?}")).to_owned()
    }

    /// As the machine client.
    fn post(&self, path: &str, form: &str) -> Response {
        let (id, secret) = &self.client;
        let address = self.issuer.strip_prefix("http://").unwrap().parse().unwrap();
        post(address, path, &format!("{form}&client_id={id}&client_secret={secret}"))
    }
}

fn post(address: SocketAddr, path: &str, form: &str) -> Response {
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    Wire::connect(address).request("POST", path, &headers, form)
}

/// The one line that a server prints when it is there.
fn told(process: &mut Process) -> Value {
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("it said {line:?}"))
}

/// A script in another language, with what it needs.
pub(crate) fn counterpart(interpreter: &str, script: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let env = fs::read_to_string(root.join("target/e2e/env"))
        .expect("the counterparts are not there: `make test` brings them, or tests/e2e/prepare.sh");
    let name = format!("{}=", interpreter.to_uppercase());
    let path: PathBuf = env.lines().find_map(|line| line.strip_prefix(&name)).unwrap().into();
    let mut command = Command::new(path);
    command.arg(root.join("tests/e2e").join(script)).stdin(Stdio::null());
    command
}

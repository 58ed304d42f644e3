//! The whole dance with parts that nobody here wrote: a certified authorization server, the official
//! MCP clients, Prometheus' own parser. `tests/e2e/prepare.sh` brings them.

mod api;
mod certificates;
mod conformance;
mod eras;
mod facade;
mod issuers;
mod login;
mod otus;
mod page;
mod policy;
mod post;
mod provider;
mod register;
mod rust;
mod shell;
mod status;
mod tour;
mod websocket;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use self::post::Post;
use self::provider::Provider;
use crate::harness::{Certificate, Process, Response, Wire, World, backend, postern, wait_until};

/// What must be known before anything starts.
struct Ground {
    directory: TempDir,
    certificate: Certificate,
    gateway: SocketAddr,
    _seat: Socket,
}

impl Ground {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let certificate = Certificate::write(directory.path());
        // The port is part of the resource's name. A socket that does not listen keeps it from
        // everybody but who asks for it by number.
        let seat = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        seat.set_reuse_address(true).unwrap();
        seat.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let gateway = seat.local_addr().unwrap().as_socket().unwrap();
        Self { directory, certificate, gateway, _seat: seat }
    }

    fn resource(&self) -> String {
        format!("https://{}/mcp", self.gateway)
    }

    /// Where the backend listens.
    fn socket(&self) -> PathBuf {
        self.directory.path().join("backend.sock")
    }
}

/// What our backend offers, by name.
const TOOLS: [&str; 6] = ["calculate", "echo", "get_timestamp", "hello_world", "ping", "whoami"];

/// oidc-provider, the gateway over TLS, and our backend on a unix socket.
struct Stage {
    provider: Provider,
    ground: Ground,
    backend: Process,
    _gateway: Process,
}

impl Stage {
    fn set() -> Self {
        Self::with("", |_| String::new())
    }

    /// With further settings for the gateway, and for the issuer's entry.
    fn with(further: &str, settings: impl Fn(&Provider) -> String) -> Self {
        let ground = Ground::new();
        let provider = Provider::start(&ground.resource());
        let further = format!("{}\n{further}", ground.certificate.setting());
        let settings = settings(&provider);
        Self::on(ground, provider, &further, &settings)
    }

    /// With all but the usual settings, and those in the issuer's entry.
    fn on(ground: Ground, provider: Provider, further: &str, settings: &str) -> Self {
        Self::before(backend(), ground, provider, further, settings)
    }

    /// With the backend's own options too.
    fn before(
        mut backend: Command,
        ground: Ground,
        provider: Provider,
        further: &str,
        settings: &str,
    ) -> Self {
        let socket = ground.socket();
        backend.arg("--listen").arg(format!("unix:{}", socket.display())).stdout(Stdio::null());
        let backend = Process(backend.spawn().unwrap());
        let config = ground.directory.path().join("postern.yaml");
        let usual = format!("resource: {{url: '{}', scopes: ['mcp:read']}}", ground.resource());
        let told = further.lines().any(|line| line.starts_with("resource:"));
        let resource = if told { "" } else { &usual };
        let settings = format!(
            "listen: {}\nadmin: {{listen: '127.0.0.1:0'}}\n\
             {resource}\nissuers: [{{issuer: '{}'{settings}}}]\nupstream: {{address: 'unix:{}'}}\n\
             log: {{level: error}}\n{further}\n",
            ground.gateway,
            provider.issuer,
            socket.display(),
        );
        fs::write(&config, settings).unwrap();
        let gateway = Process(postern().args(["run", "--config"]).arg(&config).spawn().unwrap());
        let stage = Self { provider, ground, backend, _gateway: gateway };
        wait_until("the backend listens", || socket.exists());
        let token = stage.provider.token();
        wait_until("the gateway has keys", || stage.whoami(&token) == "200");
        stage
    }

    /// The status that a call with `token` gets, or why it got none.
    fn whoami(&self, token: &str) -> String {
        let response = self.call(token, None);
        if response.status == 0 { response.body } else { response.status.to_string() }
    }

    /// A call with `token`, as a client with TLS of its own sees it.
    fn call(&self, token: &str, own: Option<&Certificate>) -> Response {
        self.call_tool("whoami", token, own)
    }

    fn call_tool(&self, tool: &str, token: &str, own: Option<&Certificate>) -> Response {
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "arguments": {}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            }},
        });
        let headers = [
            ("Authorization", &*format!("Bearer {token}")),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", tool),
        ];
        let url = self.ground.resource();
        let post = Post { url: &url, authority: &self.ground.certificate.authority, own };
        post.send(&headers, &call.to_string())
    }

    /// What is told of a bound token that is refused.
    fn challenge(&self, error: &str, description: &str) -> String {
        let address = self.ground.gateway.to_string();
        World::dpop_challenge(error, description).replace("mcp.example", &address)
    }

    fn client(&self, interpreter: &str, script: &str, mode: &[&str]) -> Output {
        let mut client = counterpart(interpreter, script);
        client.arg("--url").arg(self.ground.resource());
        client.arg("--ca").arg(&self.ground.certificate.authority).arg("--mode").args(mode);
        client.output().unwrap()
    }

    /// What a client complains of that gets nowhere.
    fn stumbles(&self, interpreter: &str, script: &str, mode: &[&str]) -> String {
        let output = self.client(interpreter, script, mode);
        assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    /// One client's whole way from knowing nothing but the URL.
    fn dance(&self, interpreter: &str, script: &str, mode: &[&str]) -> Value {
        let output = self.client(interpreter, script, mode);
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
    assert_eq!(told["tools"], json!(TOOLS));
    assert!(told["echo"].as_str().unwrap().contains(r#""echo":"hello""#), "{told:#}");
    let whoami = &told["whoami"];
    assert_eq!((&whoami["kind"], &whoami["subject"]), (&json!("verified"), &json!("alice")));
    assert_eq!(whoami["issuer"], stage.provider.issuer);
    assert_eq!(whoami["scopes"], json!(["mcp:read"]));
    assert!(whoami["client_id"].is_string(), "{whoami}");
    assert_eq!(told["steps"][0], "POST /mcp 401");
    let challenge =
        World::PLAIN_CHALLENGE.replace("mcp.example", &stage.ground.gateway.to_string());
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
    // Ed25519 is what RFC 9864 calls the only EdDSA that there is here.
    for algorithm in ["PS256", "ES256", "ES384", "EdDSA", "Ed25519", "RS256"] {
        stage.provider.admin(&format!("/alg?alg={algorithm}"));
        let token = stage.provider.token();
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(header["alg"], algorithm);
        assert_eq!(stage.whoami(&token), "200", "{algorithm}");
    }
}

#[test]
fn the_metrics_are_what_prometheus_reads() {
    let world = World::with(
        "resource: {url: https://mcp.example/mcp, policy: {allow: [{tools: [echo]}], \
         deny: [{name: odd.name, tools: [x], shadow: true}]}}",
    );
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for name in ["echo", "x"] {
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": name },
        });
        let headers = [
            ("Authorization", &*format!("Bearer {}", world.issuer.token())),
            ("Content-Type", "application/json"),
            ("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")),
        ];
        world.connect().request("POST", "/mcp", &headers, &body.to_string());
    }
    assert_eq!(world.call("opaque").status, 401);
    for (format, accept) in
        [("text", "text/plain"), ("openmetrics", "application/openmetrics-text; version=1.0.0")]
    {
        let accept = [("Accept", accept)];
        let text = Wire::connect(world.admin).request("GET", "/metrics", &accept, "").body;
        let mut parser = counterpart("python", "metrics.py");
        parser.arg(format).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut parser = parser.spawn().unwrap();
        parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = parser.wait_with_output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).expect(&text);
        for (name, kind) in [
            ("postern_requests", "counter"),
            ("postern_request_seconds", "histogram"),
            ("postern_added_seconds", "histogram"),
            ("postern_tool_calls", "counter"),
            ("postern_tokens_accepted", "counter"),
            ("postern_connections", "gauge"),
            ("postern_keys", "gauge"),
            ("postern_build_info", "gauge"),
            ("process_cpu_seconds", "counter"),
        ] {
            assert_eq!(told["families"][name], kind, "{name} in {told}");
        }
        let traces = told["traces"].as_array().unwrap();
        assert_eq!(traces.is_empty(), format == "text");
        assert!(traces.iter().all(|told| told == trace), "{told}");
    }
}

/// The one line that a server prints when it is there.
fn told(process: &mut Process) -> Value {
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("it said {line:?}"))
}

/// A script in another language, with what it needs.
pub(crate) fn counterpart(interpreter: &str, script: &str) -> Command {
    let mut command = Command::new(program(interpreter));
    command.arg(root().join("tests/e2e").join(script)).stdin(Stdio::null());
    command
}

/// Where that one is.
fn program(name: &str) -> PathBuf {
    let env = fs::read_to_string(root().join("target/e2e/env"))
        .expect("the counterparts are not there: `make test` brings them, or tests/e2e/prepare.sh");
    let name = format!("{}=", name.to_uppercase());
    env.lines().find_map(|line| line.strip_prefix(&name)).unwrap().into()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Longer than anything takes that is going to happen.
const PATIENCE: Duration = Duration::from_secs(20);

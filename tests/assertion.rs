//! What a backend can check for itself: who calls, signed for it.

use std::fs;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use crate::harness::{Issuer, Process, Response, Seen, Upstream, World, backend, now, wait_until};

const AUDIENCE: &str = "https://backend.example";
const ASSERTED: &str = "forward: {assertion: 'https://backend.example', claims: {team: X-User-Team, email: X-User-Email}}";
const KEY: &str = "assertions: {key: '0123456789abcdef0123456789abcdef'}";

fn keys(world: &World) -> JwkSet {
    serde_json::from_str(&world.admin("/assertion-keys").body).unwrap()
}

/// What a backend that checks reads.
fn read(world: &World, seen: &Seen) -> Value {
    read_as(world, seen, "https://mcp.example", AUDIENCE)
}

fn read_as(world: &World, seen: &Seen, issuer: &str, audience: &str) -> Value {
    let assertions = seen.values("x-postern-assertion");
    let [assertion] = assertions.as_slice() else { panic!("{}", seen.head) };
    let header = decode_header(assertion).unwrap();
    assert_eq!(header.typ.as_deref(), Some("postern-assertion+jwt"));
    let set = keys(world);
    let key = set.find(&header.kid.unwrap()).expect("its key is published");
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["aud", "exp", "iss", "sub"]);
    let key = DecodingKey::from_jwk(key).unwrap();
    decode::<Value>(assertion, &key, &validation).unwrap().claims
}

#[test]
fn a_backend_can_check_who_calls() {
    let world = World::with(ASSERTED);
    let claims = world.issuer.claims().set("email", "zoë@example.com").set("client_id", "editor");
    let token = world.issuer.key.sign(&claims);
    let sent = [
        ("Authorization", &*format!("Bearer {token}")),
        ("X-Postern-Assertion", "forged"),
        ("X_Postern_Assertion", "forged"),
        ("X-Request-Id", "request-1"),
    ];
    let before = now();
    assert_eq!(world.connect().request("POST", "/mcp", &sent, "{}").status, 200);
    let told = read(&world, &world.upstream.next());
    assert_eq!((&told["sub"], &told["sub_iss"]), (&json!("ada"), &json!(world.issuer.url())));
    assert_eq!(
        (&told["client_id"], &told["scope"]),
        (&json!("editor"), &json!("mcp:read mcp:write"))
    );
    assert_eq!(told["claims"], json!({ "email": "zoë@example.com" }));
    let (made, ends) = (told["iat"].as_i64().unwrap(), told["exp"].as_i64().unwrap());
    assert!(made >= before && ends - made == 30, "{told}");
}

#[test]
fn each_request_has_an_assertion_of_its_own() {
    let world = World::with(ASSERTED);
    let token = world.issuer.token();
    let ids = [(); 2].map(|()| {
        assert_eq!(world.call(&token).status, 200);
        let seen = world.upstream.next();
        let id = read(&world, &seen)["request_id"].clone();
        assert_eq!(json!(seen.values("x-request-id")), json!([id]));
        id
    });
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn each_backend_is_told_what_is_for_it_alone() {
    let issuer = Issuer::start();
    let [mcp, plain, weather] = [(); 3].map(|()| Upstream::start());
    let site = |url: &str, upstream: &Upstream, forward: &str| {
        let address = upstream.address();
        format!("- {{resource: {{url: '{url}'}}, upstream: {{address: '{address}'}}{forward}}}\n")
    };
    let settings = format!(
        "issuers: [{{issuer: '{}'}}]\nsites:\n{}{}{}",
        issuer.url(),
        site("https://mcp.example/mcp", &mcp, &format!(", {ASSERTED}")),
        site("https://mcp.example/plain", &plain, ""),
        site("https://weather.example/mcp", &weather, ", forward: {assertion: 'urn:weather'}"),
    );
    let world = World::unready(issuer, &settings);
    wait_until("the proxy is ready", || world.is_ready());
    let call = |host: &str, path: &str| {
        let resource = format!("https://{host}{path}");
        let token = world.issuer.key.sign(&world.issuer.claims().set("aud", resource));
        let mut wire = world.connect();
        wire.send(format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        ));
        assert_eq!(wire.response(false).status, 200);
    };
    call("mcp.example", "/mcp");
    assert_eq!(read(&world, &mcp.next())["sub"], "ada");
    call("mcp.example", "/plain");
    assert!(plain.next().values("x-postern-assertion").is_empty());
    call("weather.example", "/mcp");
    let told = read_as(&world, &weather.next(), "https://weather.example", "urn:weather");
    assert_eq!((&told["sub"], told.get("claims")), (&json!("ada"), None));
}

#[test]
fn a_backend_that_wants_none_gets_none() {
    let world = World::start();
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    assert!(world.upstream.next().values("x-postern-assertion").is_empty());
    assert_eq!(world.admin("/assertion-keys").status, 404);
}

#[test]
fn replicas_that_share_a_secret_sign_with_the_same_keys_and_others_do_not() {
    let published = |settings: &str| world_keys(&World::with(&format!("{ASSERTED}\n{settings}")));
    let shared = published(KEY);
    assert_eq!(shared.len(), 3, "yesterday, today and tomorrow");
    assert_eq!(shared, published(KEY));
    let own = published("");
    assert!(own.iter().all(|key| !shared.contains(key)));
    assert!(own.iter().all(|key| !published("").contains(key)));
}

fn world_keys(world: &World) -> Vec<Value> {
    let text = world.admin("/assertion-keys").body;
    assert!(!text.contains("\"d\""), "{text}");
    let set: Value = serde_json::from_str(&text).unwrap();
    set["keys"].as_array().unwrap().clone()
}

/// The backend of this repository, on a socket that it does not trust, before a real proxy.
#[test]
fn our_backend_believes_the_assertion_and_nobody_who_comes_without() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("backend.sock");
    let settings = format!("upstream: {{address: 'unix:{}'}}\n{ASSERTED}", socket.display());
    let world = World::with(&settings);
    let config = directory.path().join("backend.yaml");
    let text = format!(
        "assertion: {{keys: 'http://{}/assertion-keys', issuer: 'https://mcp.example', \
         audience: '{AUDIENCE}'}}",
        world.admin
    );
    fs::write(&config, text).unwrap();
    let mut backend = backend();
    backend.arg("--listen").arg(format!("unix:{}", socket.display()));
    backend.arg("--require-assertion").arg("--config").arg(&config).stdout(Stdio::null());
    let _backend = Process(backend.spawn().unwrap());
    wait_until("the backend listens", || whoami(&world).status != 502);
    let answer = whoami(&world);
    let told: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
    let whoami = &told["result"]["structuredContent"];
    assert_eq!(
        (&whoami["subject"], &whoami["kind"]),
        (&json!("ada"), &json!("verified")),
        "{told}"
    );
    // The gateway running or not, nobody else is believed.
    for world in [Some(world), None] {
        let forged = direct(&socket);
        assert!(forged.starts_with("HTTP/1.1 403"), "{forged}");
        drop(world);
    }
}

fn whoami(world: &World) -> Response {
    let bearer = format!("Bearer {}", world.issuer.token());
    let headers = [
        ("Authorization", &*bearer),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "whoami"),
    ];
    world.connect().request("POST", "/mcp", &headers, &call())
}

/// Past the gateway, with all that it could have said.
fn direct(socket: &std::path::Path) -> String {
    use std::io::{Read as _, Write as _};
    let payload = URL_SAFE_NO_PAD.encode(r#"{"sub":"ada","sub_iss":"https://id.example"}"#);
    let body = call();
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    // In one piece: it may hang up before it has read the last of several.
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
         Mcp-Method: tools/call\r\nMcp-Name: whoami\r\nX-Postern-Subject: ada\r\n\
         X-Postern-Issuer: https://id.example\r\nX-Validated-Jwt: {payload}\r\n\
         X-Postern-Assertion: e30.{payload}.\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn call() -> String {
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "whoami", "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }},
    })
    .to_string()
}

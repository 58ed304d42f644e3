//! `postern explain`: the cause of a refusal, as whoever is refused would look for it.

mod broken;
mod connection;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use jsonwebtoken::Header;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Claims, Issuer, Key, ProofKey, now, postern};

/// An issuer, and a configuration that trusts it. Nothing runs.
struct Desk {
    issuer: Issuer,
    directory: TempDir,
    lines: Vec<(&'static str, String)>,
}

/// What was said, and how it ended.
struct Said {
    code: i32,
    text: String,
}

impl Desk {
    fn new() -> Self {
        let issuer = Issuer::start();
        let lines = vec![
            ("listen", "127.0.0.1:0".to_owned()),
            ("tls", "off".to_owned()),
            ("resource", "{url: 'https://mcp.example/mcp', scopes: [mcp:read]}".to_owned()),
            ("issuers", format!("[{{issuer: '{}'}}]", issuer.url())),
            ("upstream", "{address: '127.0.0.1:9'}".to_owned()),
        ];
        Self { issuer, directory: tempfile::tempdir().unwrap(), lines }
    }

    fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.lines.retain(|(name, _)| *name != key);
        self.lines.push((key, value.into()));
        self
    }

    fn command(&self) -> Command {
        let path = self.directory.path().join("postern.yaml");
        let lines = self.lines.iter().map(|(key, value)| format!("{key}: {value}\n"));
        fs::write(&path, lines.collect::<String>()).unwrap();
        let mut command = postern();
        command.args(["explain", "--config"]).arg(path);
        command
    }

    /// With this token on stdin.
    fn explain(&self, token: &str, arguments: &[&str]) -> Said {
        said(self.command().args(["--token", "-"]).args(arguments), token)
    }

    /// The code, and what else is in the document.
    fn judged(&self, token: &str, arguments: &[&str]) -> Value {
        let said = self.explain(token, &[arguments, &["--json"]].concat());
        serde_json::from_str(&said.text).unwrap_or_else(|_| panic!("{}", said.text))
    }

    fn sign(&self, change: impl FnOnce(Claims) -> Claims) -> String {
        self.issuer.key.sign(&change(self.issuer.claims()))
    }
}

fn said(command: &mut Command, input: &str) -> Said {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have said all it has to say without it.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    Said { code: output.status.code().unwrap(), text: String::from_utf8(text).unwrap() }
}

#[test]
fn a_good_token_would_pass_each_step() {
    let desk = Desk::new();
    let said = desk.explain(&desk.issuer.token(), &[]);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(said.text.starts_with("would pass\n"), "{}", said.text);
    for shown in ["127.0.0.1:9", "ada, client test-client", "in 4m", "first (ES256)", "mcp:read"] {
        assert!(said.text.contains(shown), "{shown} in\n{}", said.text);
    }
    let document = desk.judged(&desk.issuer.token(), &[]);
    assert_eq!((&document["verdict"], &document["code"]), (&"passes".into(), &"forwarded".into()));
    let steps = document["steps"].as_array().unwrap();
    let judged = steps.iter().filter(|step| step["result"] == "ok").count();
    let idle = steps.iter().filter(|step| step["result"] == "nothing to judge").count();
    assert!(judged > 12 && judged + idle == steps.len(), "{steps:?}");
}

/// Where refusals were so far: each must come later than the one before.
struct Walk<'d> {
    desk: &'d Desk,
    reached: Option<usize>,
}

impl Walk<'_> {
    /// No step is said to be good that has not been reached, and none that has is said not to be.
    #[track_caller]
    fn refused(&mut self, token: &str, arguments: &[&str], code: &str) {
        let document = self.desk.judged(token, arguments);
        assert_eq!(document["code"], code, "{document}");
        let steps = document["steps"].as_array().unwrap();
        let at = steps.iter().position(|step| step["result"] == "refused").unwrap();
        let good = |step: &Value| step["result"] == "ok" || step["result"] == "nothing to judge";
        assert!(steps[..at].iter().all(good), "{document}");
        assert!(steps[at + 1..].iter().all(|step| step["result"] == "not reached"), "{document}");
        assert!(self.reached.is_none_or(|last| last < at), "{code} comes too early: {document}");
        self.reached = Some(at);
    }
}

const TWICE: [&str; 4] = ["--header", "Mcp-Name: a", "--header", "Mcp-Name: b"];
const SESSION: [&str; 2] = ["--header", "Mcp-Session-Id: mine"];

/// Everything is wrong at first, and mended from the first step to the last: each time the refusal
/// has moved on.
#[test]
fn steps_before_the_token_are_told_in_the_order_in_which_they_are_asked() {
    let desk = Desk::new();
    let mut walk = Walk { desk: &desk, reached: None };
    let page = ["--header", "Origin: https://evil.example"];
    let place = ["--request", "POST /nowhere"];
    let length = ["--header", "Transfer-Encoding: gzip"];
    walk.refused("x", &[&place[..], &length, &page, &TWICE].concat(), "bad_length");
    walk.refused("x", &[&place[..], &page, &TWICE].concat(), "not_found");
    walk.refused("x", &[&page[..], &TWICE].concat(), "foreign_origin");
    walk.refused("x", &TWICE, "token_not_a_jwt");
}

#[test]
fn steps_of_the_token_are_told_in_the_order_in_which_they_are_asked() {
    let desk = Desk::new();
    let revoked = desk.directory.path().join("revoked.yaml");
    fs::write(&revoked, "tokens: [gone]").unwrap();
    let desk = desk.with("revocations", format!("{{file: '{}'}}", revoked.display()));
    let mut walk = Walk { desk: &desk, reached: None };
    let mut refused = |key: &Key, header: &Header, claims: &Claims, code| {
        walk.refused(&key.sign_as(header, claims), &[&TWICE[..], &SESSION].concat(), code);
    };
    let (other, key) = (Key::new("other"), &desk.issuer.key);
    let mut header = other.header();
    header.typ = Some("JWT".into());
    let claims = desk.issuer.claims().set("iss", "https://other.example").set("aud", "other");
    let claims = claims.set("exp", 1).set("cnf", json!({ "kid": "x" }));
    let claims = claims.set("sub", 7).set("jti", "gone").set("scope", "none");
    refused(&other, &header, &claims, "token_issuer");
    let claims = claims.set("iss", desk.issuer.url());
    desk.issuer.fail(500);
    refused(&other, &header, &claims, "no_keys");
    desk.issuer.recover();
    refused(&other, &header, &claims, "token_type");
    refused(&other, &other.header(), &claims, "token_audience");
    let claims = claims.set("aud", "https://mcp.example/mcp");
    refused(&other, &other.header(), &claims, "token_expired");
    let claims = claims.set("exp", now() + 300);
    refused(&other, &other.header(), &claims, "token_unknown_key");
    refused(key, &key.header(), &claims, "token_bound");
    let claims = claims.set("cnf", json!({ "jkt": ProofKey::new().thumbprint() }));
    refused(key, &key.header(), &claims, "token_claim");
    let claims = claims.set("sub", "ada");
    refused(key, &key.header(), &claims, "token_revoked");
    let claims = claims.set("jti", "kept");
    refused(key, &key.header(), &claims, "token_sent_as_bearer");
    let claims = claims.without("cnf");
    refused(key, &key.header(), &claims, "repeated_header");
    walk.refused(&key.sign(&claims), &SESSION, "insufficient_scope");
    let claims = claims.set("scope", "mcp:read");
    walk.refused(&key.sign(&claims), &SESSION, "unknown_session");
}

#[test]
fn a_proof_that_holds_is_believed() {
    let desk = Desk::new();
    let key = ProofKey::new();
    let token = desk.sign(|claims| claims.set("cnf", json!({ "jkt": key.thumbprint() })));
    let proof =
        format!("DPoP: {}", key.sign(&key.proof("POST", "https://mcp.example/mcp", &token)));
    let document = desk.judged(&token, &["--header", &proof]);
    assert_eq!(document["code"], "forwarded", "{document}");
    let document = desk.judged(&token, &["--request", "GET", "--header", &proof]);
    assert_eq!((&document["code"], &document["status"]), (&"proof_method".into(), &401.into()));
}

const POLICY: &str = "{url: 'https://mcp.example/mcp', scopes: [mcp:read], policy: {\
    scopes: [{name: writers, tools: [write], all: [files:write]}], allow: [{tools: ['*']}], \
    deny: [{name: frozen, tools: [delete]}, {name: soon, tools: [old], shadow: true}]}}";

#[test]
fn a_call_is_judged_by_the_policy() {
    let desk = Desk::new().with("resource", POLICY);
    let call = |name: &str| {
        let params = json!({ "name": name, "arguments": {} });
        let message =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        desk.explain(&desk.issuer.token(), &["--body", &message.to_string()])
    };
    for (name, code, parts) in [
        ("read", 0, &["would pass", "call        tools/call read"][..]),
        ("old", 0, &["the rule soon would refuse it"]),
        ("write", 1, &["403 insufficient_scope", "writers", "missing: files:write"]),
        ("delete", 1, &["403 denied", "tools/call delete: the rule frozen denies it"]),
    ] {
        let said = call(name);
        assert_eq!(said.code, code, "{name}: {}", said.text);
        for part in parts {
            assert!(said.text.contains(part), "{part} in\n{}", said.text);
        }
    }
    let prompt =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "prompts/get", "params": { "name": "a" } });
    let said = desk.explain(&desk.issuer.token(), &["--body", &prompt.to_string()]);
    assert!(said.text.contains("no rule under policy.allow names it"), "{}", said.text);
}

/// Who asks about a token alone need not make up a call.
#[test]
fn without_a_body_the_policy_is_no_obstacle() {
    let desk = Desk::new().with("resource", POLICY);
    let said = desk.explain(&desk.issuer.token(), &[]);
    assert!(said.code == 0 && said.text.contains("call        ping"), "{}", said.text);
}

#[test]
fn headers_and_body_that_disagree_are_put_side_by_side() {
    let desk = Desk::new().with("resource", POLICY);
    let file = desk.directory.path().join("call.json");
    let params = json!({ "name": "read", "arguments": {} });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    fs::write(&file, message.to_string()).unwrap();
    let body = format!("@{}", file.display());
    let headers = ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: other"];
    let headers = headers.iter().flat_map(|header| ["--header", header]);
    let arguments: Vec<&str> = headers.chain(["--body", &body]).collect();
    let said = desk.explain(&desk.issuer.token(), &arguments);
    assert_eq!(said.code, 1, "{}", said.text);
    for part in ["400 header_mismatch", "tools/call, other", "tools/call, read"] {
        assert!(said.text.contains(part), "{part} in\n{}", said.text);
    }
}

#[test]
fn keys_may_be_in_a_file_and_then_nobody_is_asked() {
    let desk = Desk::new();
    let file = desk.directory.path().join("jwks.json");
    fs::write(&file, json!({ "keys": [desk.issuer.key.published()] }).to_string()).unwrap();
    let keys = ["--keys", file.to_str().unwrap(), "--offline"];
    let said = desk.explain(&desk.issuer.token(), &keys);
    assert_eq!((said.code, desk.issuer.asked()), (0, 0), "{}", said.text);
    let said = desk.explain(&desk.issuer.token(), &["--offline"]);
    assert_eq!((said.code, desk.issuer.asked()), (69, 0), "{}", said.text);
    assert!(said.text.contains("--offline"), "{}", said.text);
}

#[test]
fn an_issuer_of_opaque_tokens_is_asked() {
    let desk = Desk::new();
    let entry = format!(
        "[{{issuer: '{}', introspection: {{client_id: gateway, client_secret: s3cret}}}}]",
        desk.issuer.url()
    );
    let desk = desk.with("issuers", entry);
    desk.issuer.vouch("opaque-one", &desk.issuer.claims());
    let said = desk.explain("opaque-one", &[]);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(said.text.contains("was asked, and says that the token is active"), "{}", said.text);
    let document = desk.judged("opaque-two", &[]);
    assert_eq!((&document["code"], &document["status"]), (&"token_inactive".into(), &401.into()));
    let said = desk.explain("opaque-one", &["--offline"]);
    assert_eq!(said.code, 69, "{}", said.text);
}

#[test]
fn the_exit_code_says_whose_trouble_it_is() {
    let desk = Desk::new();
    let token = desk.issuer.token();
    assert_eq!(desk.explain(&token, &[]).code, 0);
    assert_eq!(desk.explain(&token, &["--request", "GET /healthz"]).code, 0);
    assert_eq!(desk.explain("none", &[]).code, 1);
    assert_eq!(desk.explain("a\nb", &[]).code, 2);
    assert_eq!(desk.explain(&token, &["--header", "no colon"]).code, 2);
    desk.issuer.fail(500);
    let said = desk.explain(&token, &[]);
    assert_eq!(said.code, 69, "{}", said.text);
    assert!(said.text.contains("it answered 500"), "{}", said.text);
    let desk = desk.with("listen", "nowhere");
    let said = desk.explain(&token, &[]);
    assert_eq!(said.code, 78, "{}", said.text);
    assert!(said.text.contains("line 5: listen"), "{}", said.text);
}

#[test]
fn a_code_is_described_and_a_slip_is_recognised() {
    let describe = |code: &str| said(postern().args(["explain", "--code", code]), "");
    let known = describe("token_audience");
    assert_eq!(known.code, 0);
    for part in ["token_audience", "expected", "causes", "cure"] {
        assert!(known.text.contains(part), "{part} in\n{}", known.text);
    }
    let slip = describe("token_audiense");
    assert_eq!(slip.code, 2);
    assert!(slip.text.contains("did you mean token_audience?"), "{}", slip.text);
    assert!(slip.text.contains("\nproof_replayed\n"), "all are listed: {}", slip.text);
    assert!(!describe("xyz").text.contains("did you mean"));
}

//! `postern validate`: what a start would say, and whether what it needs is there.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Certificate, Issuer, Key, Upstream, now, postern};

/// A configuration, an issuer and a backend; no proxy.
struct Desk {
    issuer: Issuer,
    _upstream: Upstream,
    lines: Vec<(&'static str, String)>,
    directory: TempDir,
}

struct Said {
    code: i32,
    told: String,
}

impl Desk {
    fn new() -> Self {
        let (issuer, upstream) = (Issuer::start(), Upstream::start());
        let lines = vec![
            ("tls", "off".to_owned()),
            ("resource", "{url: 'https://mcp.example/mcp', scopes: [mcp:read]}".to_owned()),
            ("issuers", format!("[{{issuer: '{}'}}]", issuer.url())),
            ("upstream", format!("{{address: '{}'}}", upstream.address())),
        ];
        Self { issuer, _upstream: upstream, lines, directory: tempfile::tempdir().unwrap() }
    }

    fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.lines.retain(|(name, _)| *name != key);
        self.lines.push((key, value.into()));
        self
    }

    fn showing(self, certificate: &Certificate) -> Self {
        let setting = certificate.setting();
        self.with("tls", setting.strip_prefix("tls: ").unwrap())
    }

    fn file(&self) -> PathBuf {
        let path = self.directory.path().join("postern.yaml");
        let lines = self.lines.iter().map(|(key, value)| format!("{key}: {value}\n"));
        fs::write(&path, lines.collect::<String>()).unwrap();
        path
    }

    fn says(&self, verb: &str, arguments: &[&str]) -> Said {
        said(postern().args([verb, "--config"]).arg(self.file()).args(arguments))
    }

    fn online(&self) -> Said {
        self.says("validate", &["--online"])
    }
}

fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    Said { code: output.status.code().unwrap(), told }
}

#[track_caller]
fn is(said: &Said, code: i32, parts: &[&str]) {
    assert_eq!(said.code, code, "{}", said.told);
    for part in parts {
        assert!(said.told.contains(part), "{part:?} is not in\n{}", said.told);
    }
}

#[test]
fn a_good_configuration_is_summed_up_and_nobody_is_asked() {
    let desk = Desk::new();
    let issuer = format!("issuer    {}, keys are discovered", desk.issuer.url());
    let parts = ["ok: ", "listen    127.0.0.1:8443, plain HTTP", "needs mcp:read", &issuer];
    is(&desk.says("validate", &[]), 0, &parts);
    assert_eq!(desk.issuer.asked(), 0);
}

/// The proxy may be running: it is the running one's configuration that is changed.
#[test]
fn an_address_that_is_in_use_is_no_obstacle() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    is(&Desk::new().with("listen", address.to_string()).says("validate", &[]), 0, &["ok: "]);
}

#[test]
fn what_would_not_start_is_told_as_the_start_tells_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let text = Desk::new().with("listen", "nowhere").with("colour", "red");
    let files = Desk::new()
        // Should the start not see the obstacles, this ends it.
        .with("listen", taken)
        .with("tls", "{certificate: /no/such.crt, key: /no/such.key}")
        .with("revocations", "{file: /no/such.yaml}")
        .with("outbound", "{ca_file: /no/such.pem}");
    for (desk, parts) in [
        (text, &["2 problems", "listen", "colour"][..]),
        (files, &["3 obstacles", "/no/such.crt", "/no/such.yaml", "/no/such.pem"]),
    ] {
        let validated = desk.says("validate", &["--online"]);
        is(&validated, 78, parts);
        let started = desk.says("run", &[]);
        assert_eq!((started.code, started.told), (78, validated.told));
    }
}

#[test]
fn all_is_well_online() {
    let directory = tempfile::tempdir().unwrap();
    let desk = Desk::new().showing(&Certificate::write(directory.path()));
    let said = desk.online();
    is(&said, 0, &["1 usable keys: first (ES256); no key for RS256 PS256 ES384 EdDSA"]);
    is(&said, 0, &["clock and ours agree", "it can be connected to", "for 36", "0 failed, 0 warn"]);
}

#[test]
fn keys_that_cannot_be_used_are_told_with_their_reason() {
    let desk = Desk::new();
    let mut encryption = Key::new("enc").published();
    encryption["use"] = json!("enc");
    let secret = json!({ "kty": "oct", "kid": "shared", "k": "c2VjcmV0" });
    let keys = json!({ "keys": [desk.issuer.key.published(), encryption, secret] });
    desk.issuer.publish_text(&keys.to_string());
    let parts = [
        "ok    issuer",
        "key \"enc\" is skipped: it is not for verifying signatures",
        "WARN  issuer",
        "key \"shared\" is skipped: it is symmetric",
        "0 failed, 1 warnings",
    ];
    is(&desk.online(), 0, &parts);
    let entry = format!("[{{issuer: '{}', algorithms: [RS256]}}]", desk.issuer.url());
    let none =
        "no key to verify with: of the first, its algorithm is not among the issuer's algorithms";
    is(&desk.with("issuers", entry).online(), 69, &["FAIL  issuer", none, "1 failed"]);
}

#[test]
fn an_issuer_that_is_another_or_none_fails() {
    let desk = Desk::new();
    let slash = format!("[{{issuer: '{}/'}}]", desk.issuer.url());
    let desk = desk.with("issuers", slash);
    is(&desk.online(), 69, &["which is not the configured one to the letter"]);
    desk.issuer.fail(503);
    is(&desk.online(), 69, &["it answered 503"]);
}

#[test]
fn a_clock_that_is_wrong_is_told() {
    let desk = Desk::new();
    let date = chrono::DateTime::from_timestamp(now() + 90, 0).unwrap();
    desk.issuer.says_it_is(&date.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    is(&desk.online(), 0, &["WARN  issuer", "s ahead of ours"]);
    desk.issuer.says_it_is("Tue, 15 Nov 1994 08:12:31 GMT");
    is(&desk.online(), 0, &["s behind ours"]);
}

#[test]
fn an_issuer_that_is_asked_must_let_us_ask() {
    let desk = Desk::new();
    let entry = |secret: &str| {
        let client = format!("client_id: gateway, client_secret: {secret}");
        format!("[{{issuer: '{}', introspection: {{{client}}}}}]", desk.issuer.url())
    };
    let (good, bad) = (entry("s3cret"), entry("other"));
    let desk = desk.with("issuers", good);
    is(&desk.online(), 0, &["it answers when it is asked about a token"]);
    let said = desk.with("issuers", bad).online();
    is(&said, 69, &["does not accept our own credentials"]);
    assert!(!said.told.contains("other"), "{}", said.told);
}

#[test]
fn a_backend_that_is_not_there_fails() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let desk = Desk::new().with("upstream", format!("{{address: '{free}'}}"));
    is(&desk.online(), 69, &[&format!("FAIL  upstream {free}: "), "refused"]);
    let desk = desk.with("upstream", "{address: 'unix:/no/such.sock'}");
    is(&desk.online(), 69, &["FAIL  upstream unix:/no/such.sock: "]);
}

#[test]
fn certificates_are_told_before_clients_tell() {
    for (days, names, code, part) in [
        (10, "mcp.example", 0, "WARN  tls.certificate"),
        (10, "mcp.example", 0, "expires soon, in "),
        (-30, "mcp.example", 69, "expired "),
        (200, "*.example", 0, "0 failed, 0 warnings"),
        (200, "other.example", 0, "none is for mcp.example, but for other.example"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let certificate = Certificate::write_until(directory.path(), &[names], days);
        is(&Desk::new().showing(&certificate).online(), code, &[part]);
    }
}

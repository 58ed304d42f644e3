//! What others' scanners say of the listener.

use std::fs;

use serde_json::Value;

use super::{passes, tool};
use crate::harness::{Identity, World};

#[test]
fn sslyze_finds_what_mozilla_calls_intermediate() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let mut sslyze = tool("sslyze");
    sslyze.arg("--mozilla_config=intermediate");
    sslyze.arg("--certinfo_ca_file").arg(&identity.certificate.authority);
    sslyze.arg(format!("mcp.example:{}{{127.0.0.1}}", world.gateway.port()));
    let told = passes(&mut sslyze);
    assert!(told.contains("OK - Compliant"), "{told}");
}

/// What testssl holds against us, and why that is as it should be.
const KNOWN: &[(&str, &str)] = &[
    ("cipher_order", "the client chooses, as Mozilla wants it: all that we speak is good"),
    ("cert_revocation", "an authority for tests says nowhere what it has revoked"),
    ("engine_problem", "about its own openssl"),
];

#[test]
fn testssl_finds_nothing_to_mend() {
    let identity = Identity::new();
    let world = World::with(&identity.settings());
    let directory = tempfile::tempdir().unwrap();
    let findings = directory.path().join("findings.json");
    let mut testssl = tool("testssl");
    testssl.args(["--quiet", "--color", "0", "--warnings", "off", "--nodns", "none"]);
    testssl.args(["--openssl-timeout", "10", "--connect-timeout", "10", "--ip", "127.0.0.1"]);
    testssl.args(["--protocols", "--standard", "--fs", "--server-defaults", "--vulnerable"]);
    testssl.args(["--server-preference", "--headers"]);
    testssl.arg("--add-ca").arg(&identity.certificate.authority).arg("--jsonfile").arg(&findings);
    testssl.arg(format!("https://mcp.example:{}", world.gateway.port()));
    let told = passes(&mut testssl);
    let findings: Value = serde_json::from_str(&fs::read_to_string(findings).unwrap()).unwrap();
    let findings = findings.as_array().unwrap();
    assert!(findings.len() > 50, "{told}");
    let is_bad = |finding: &&Value| {
        let id = finding["id"].as_str().unwrap();
        !matches!(finding["severity"].as_str(), Some("OK" | "INFO"))
            && !KNOWN.iter().any(|(known, _)| *known == id)
    };
    let bad: Vec<&Value> = findings.iter().filter(is_bad).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

//! What depends on who is at the other end of the connection can be said, and is judged.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Desk;
use crate::harness::ClientCertificate;

fn write(certificate: &ClientCertificate, directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    let der = STANDARD.encode(&certificate.chain[0]);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
    fs::write(&path, pem).unwrap();
    path
}

#[test]
fn a_bound_token_is_judged_with_the_certificate_that_is_named() {
    let desk = Desk::new();
    let (own, other) = (ClientCertificate::new(), ClientCertificate::new());
    let directory = desk.directory.path().to_owned();
    let paths = [write(&own, &directory, "own.pem"), write(&other, &directory, "other.pem")];
    let [own_path, other_path] = paths.each_ref().map(|path| path.to_str().unwrap());
    let token = desk.sign(|all| all.set("cnf", json!({ "x5t#S256": own.thumbprint() })));
    let code = |arguments: &[&str]| desk.judged(&token, arguments)["code"].clone();
    assert_eq!(code(&[]), "certificate_missing");
    assert_eq!(code(&["--certificate", other_path]), "certificate_other");
    assert_eq!(code(&["--certificate", own_path]), "forwarded");

    let key = directory.join("postern.yaml");
    let said = desk.explain(&token, &["--certificate", key.to_str().unwrap()]);
    assert_eq!(said.code, 2, "{}", said.text);
    assert!(said.text.contains("--certificate: it is no certificate in PEM"), "{}", said.text);
    let said = desk.explain(&token, &["--certificate", "/nowhere.pem"]);
    assert!(said.text.contains("--certificate: it cannot be read: No such file"), "{}", said.text);
}

#[test]
fn a_condition_is_asked_about_the_address_that_is_named() {
    let desk = Desk::new().with(
        "resource",
        "{url: 'https://mcp.example/mcp', \
         policy: {deny: [{name: abroad, when: 'request.address != \"192.0.2.7\"'}]}}",
    );
    let token = desk.issuer.token();
    let code = |arguments: &[&str]| desk.judged(&token, arguments)["code"].clone();
    assert_eq!(code(&["--from", "192.0.2.7"]), "forwarded");
    assert_eq!(code(&["--from", "192.0.2.8"]), "denied");
    assert_eq!(code(&[]), "denied");
}

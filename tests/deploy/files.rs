//! Container, Compose, systemd, alerts, scripts: each by its own program.

use std::fs;

use serde_json::{Value, json};

use super::{Started, all, fails, passes, read, root, tool};
use crate::harness::postern;

#[test]
fn the_dockerfile_is_clean() {
    passes(tool("hadolint").args(["--failure-threshold", "style", "deploy/Dockerfile"]));
}

#[test]
fn the_scripts_are_clean() {
    let scripts = [all("clients", ".sh"), all("compose", ".sh")].concat();
    passes(tool("shellcheck").args(["-x", "-P", "deploy/clients"]).args(scripts));
}

#[test]
fn compose_reads_its_files_alone_and_with_the_override() {
    let compose = |files: &[&str]| {
        let mut command = tool("compose-spec");
        command.current_dir(root().join("deploy/compose")).args(["-format", "json"]).args(files);
        command
    };
    let whole: Value = serde_json::from_str(&passes(&mut compose(&["compose.yaml"]))).unwrap();
    let services = whole["services"].as_object().unwrap();
    for (name, service) in services {
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        let ports = service["ports"].as_array().into_iter().flatten();
        for port in ports {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name} is for this machine alone");
        }
    }
    assert_eq!(services["backend"]["network_mode"], "none");
    for name in ["keycloak", "postgres"] {
        assert!(services[name]["healthcheck"]["test"].is_array(), "{name}");
    }
    passes(&mut compose(&["compose.yaml", "compose.dev.yaml"]));
    let directory = tempfile::tempdir().unwrap();
    let spoilt = directory.path().join("spoilt.yaml");
    fs::write(&spoilt, read("compose/compose.yaml").replace("healthcheck:", "helthcheck:"))
        .unwrap();
    fails(&mut compose(&[spoilt.to_str().unwrap()]));
}

#[test]
fn the_settings_of_compose_start_a_gateway_that_takes_the_realms_tokens() {
    let realm: Value = serde_json::from_str(&read("compose/keycloak/realm.json")).unwrap();
    let scopes = realm["clientScopes"].as_array().unwrap();
    let scope = scopes.iter().find(|scope| scope["name"] == "mcp").unwrap();
    let audience = &scope["protocolMappers"][0]["config"]["included.custom.audience"];
    let settings = read("compose/postern.yaml");
    let written: Value = serde_yaml::from_str(&settings).unwrap();
    assert_eq!(written["resource"]["url"], *audience, "tokens are for this server");
    let started = Started::with(&settings.replace("localhost:8443", "mcp.example"));
    let claims = json!({
        "iss": "http://localhost:8080/realms/mcp", "aud": "https://mcp.example/mcp", "sub": "ada",
        "azp": "mcp-machine", "scope": "mcp:read",
    });
    assert_eq!(started.call(Some("at+jwt"), claims), 200);
}

#[test]
fn the_realm_holds_no_secret_and_no_shortcut() {
    let text = read("compose/keycloak/realm.json");
    let realm: Value = serde_json::from_str(&text).unwrap();
    for client in realm["clients"].as_array().unwrap() {
        let id = &client["clientId"];
        assert_ne!(client["directAccessGrantsEnabled"], true, "{id}");
        assert_ne!(client["implicitFlowEnabled"], true, "{id}");
        if client["publicClient"] == true {
            assert_eq!(client["attributes"]["pkce.code.challenge.method"], "S256", "{id}");
        }
        if let Some(secret) = client["secret"].as_str() {
            assert_eq!(secret, "${MCP_MACHINE_SECRET}", "{id}");
        }
        if client["bearerOnly"] != true {
            assert_eq!(client["attributes"]["access.token.header.type.rfc9068"], "true", "{id}");
        }
    }
    assert!(realm["users"].is_null(), "people have passwords");
}

#[test]
fn the_alerts_go_off_when_they_should() {
    passes(tool("promtool").args(["check", "rules", "deploy/helm/postern/files/rules.yaml"]));
    passes(tool("promtool").args(["test", "rules", "tests/deploy/rules.test.yaml"]));
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("prometheus.yaml");
    let rules = root().join("deploy/helm/postern/files/rules.yaml");
    let text = read("compose/prometheus.yaml");
    fs::write(&config, text.replace("/etc/prometheus/rules.yaml", rules.to_str().unwrap()))
        .unwrap();
    passes(tool("promtool").args(["check", "config"]).arg(&config));
}

/// Every metric that an alert is about is one that a gateway can have.
#[test]
fn the_alerts_are_about_metrics_that_there_are() {
    let sources = root().join("proxy/src/record");
    let mut known = String::new();
    for name in ["metrics.rs", "metrics/keys.rs", "metrics/tokens.rs", "metrics/traffic.rs"] {
        known += &fs::read_to_string(sources.join(name)).unwrap();
    }
    let rules = read("helm/postern/files/rules.yaml");
    let words = rules.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    for metric in words.filter(|word| word.starts_with("postern_")) {
        assert!(known.contains(&format!("\"{metric}\"")), "{metric}");
    }
}

#[test]
fn systemd_understands_the_unit_and_finds_little_exposed() {
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("postern.service");
    let program = postern().get_program().to_str().unwrap().to_owned();
    fs::write(&unit, read("systemd/postern.service").replace("/usr/bin/postern", &program))
        .unwrap();
    passes(tool("systemd-analyze").args(["verify", "--man=no"]).arg(&unit));
    let mut security = tool("systemd-analyze");
    passes(security.args(["security", "--offline=true", "--threshold=20"]).arg(&unit));
}

#[test]
fn settings_of_clients_are_json_that_names_the_endpoint() {
    for path in all("clients", ".json") {
        let text = fs::read_to_string(&path).unwrap();
        let settings: Value = serde_json::from_str(&text).unwrap();
        let is_local = path.to_str().unwrap().contains("stdio");
        assert_ne!(text.contains("https://mcp.example.com/mcp"), is_local, "{settings}");
    }
}

//! Container, Compose, systemd, alerts, scripts: each by its own program.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Started, all, fails, passes, read, root, tool};
use crate::harness::{Identity, Process, Wire, World, follow, postern, wait_until};

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

/// Each says what to do, and is held to going off by `rules.test.yaml`.
#[test]
fn every_alert_is_tested_and_says_what_to_do() {
    let rules: Value = serde_yaml::from_str(&read("helm/postern/files/rules.yaml")).unwrap();
    let tests = fs::read_to_string(root().join("tests/deploy/rules.test.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let mut alerts = 0;
    for rule in groups.flat_map(|group| group["rules"].as_array().unwrap()) {
        if let Some(record) = rule["record"].as_str() {
            assert!(tests.contains(&format!("- expr: {record}\n")), "{record}");
            continue;
        }
        alerts += 1;
        let name = rule["alert"].as_str().unwrap();
        for annotation in ["summary", "description", "runbook"] {
            assert!(rule["annotations"][annotation].is_string(), "{name} has no {annotation}");
        }
        let of_it = format!("alertname: {name}\n        exp_alerts:\n");
        assert!(tests.contains(&of_it), "{name} never goes off");
        assert!(tests.contains(&format!("alertname: {name}, exp_alerts: []")), "{name} always");
    }
    assert!(alerts > 10);
}

/// Everything that rules and dashboard ask about is there in a gateway at work.
#[test]
fn rules_and_dashboard_are_about_metrics_that_there_are() {
    let world = at_work();
    let metrics = world.admin("/metrics").body;
    let there = |name: &str| {
        let kinds = ["", "_bucket", "_sum", "_count"];
        let family = kinds.iter().find_map(|kind| {
            let family = name.strip_suffix(kind).unwrap_or(name);
            metrics.contains(&format!("# TYPE {family} ")).then_some(family)
        });
        // The webhook's own; where an issuer is asked; where a backend fails.
        let elsewhere = [
            "postern_injections_total",
            "postern_introspections_total",
            "postern_upstream_failures_total",
        ];
        family.is_some() || elsewhere.contains(&name)
    };
    let rules = read("helm/postern/files/rules.yaml");
    let dashboard = read("helm/postern/files/dashboard.json");
    let mut asked = 0;
    for text in [&rules, &dashboard] {
        let words = text
            .split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c)));
        for name in
            words.filter(|word| word.starts_with("postern_") || word.starts_with("process_"))
        {
            assert!(there(name), "{name} is in no exposition:\n{metrics}");
            asked += 1;
        }
    }
    assert!(asked > 80, "{asked}");
    let records = rules.split_whitespace().filter(|word| word.starts_with("postern:"));
    for record in records {
        assert!(rules.contains(&format!("record: {record}\n")), "{record} is recorded by nobody");
    }
}

/// Every family that is told in ordinary life is not empty.
fn at_work() -> World {
    let identity = Identity::new();
    let world = World::with(&format!(
        "{}\nresource: {{url: https://mcp.example/mcp, scopes: [mcp:read], policy: {{\
         allow: [{{tools: [echo]}}, {{tools: [x], when: claims.absent}}], \
         deny: [{{tools: [echo], shadow: true}}]}}}}",
        identity.settings()
    ));
    let token = format!("Bearer {}", world.issuer.token());
    let headers = [("Authorization", &*token), ("Content-Type", "application/json")];
    for tool in ["echo", "x"] {
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool },
        });
        identity.connect(world.gateway).request("POST", "/mcp", &headers, &body.to_string());
    }
    world.connect().send("this is not TLS\r\n\r\n");
    for metric in ["postern_policy_condition_errors_total", "postern_handshakes_failed_total"] {
        wait_until(metric, || world.metric(metric) >= 1.0);
    }
    world
}

#[test]
fn grafana_finds_in_the_dashboard_what_it_needs() {
    let text = read("helm/postern/files/dashboard.json");
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&dashboard["uid"], &dashboard["title"]), (&"postern".into(), &"Postern".into()));
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = Vec::new();
    let directory = tempfile::tempdir().unwrap();
    let mut rules = Vec::new();
    for panel in panels {
        let at = &panel["gridPos"];
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| at[side].as_i64().unwrap());
        assert!(x + w <= 24, "{panel}");
        let overlaps = |(a, b, c, d): &(i64, i64, i64, i64)| {
            x < a + c && *a < x + w && y < b + d && *b < y + h
        };
        assert!(!taken.iter().any(overlaps), "{} lies over another", panel["title"]);
        taken.push((x, y, w, h));
        for target in panel["targets"].as_array().into_iter().flatten() {
            // As Grafana fills it in; promtool reads each as a rule.
            let query = target["expr"].as_str().unwrap();
            let query = query.replace("$__rate_interval", "5m");
            rules.push(json!({ "record": format!("panel:{}", rules.len()), "expr": query }));
        }
    }
    assert!(rules.len() > 30);
    let file = directory.path().join("queries.yaml");
    let all = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(&file, all.to_string()).unwrap();
    passes(tool("promtool").args(["check", "rules"]).arg(file));
}

#[test]
fn promtool_finds_nothing_to_say_about_the_metrics() {
    let world = at_work();
    let mut promtool = tool("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut promtool = promtool.stderr(Stdio::piped()).spawn().unwrap();
    let metrics = world.admin("/metrics").body;
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
    assert!(told.is_empty(), "{}", String::from_utf8_lossy(&told));
}

/// A real Prometheus asks for the format that it likes best, and keeps the exemplars.
#[test]
fn a_real_prometheus_scrapes_a_gateway() {
    let world = World::start();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let headers = [
        ("Authorization", &*format!("Bearer {}", world.issuer.token())),
        ("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")),
    ];
    assert_eq!(world.request("POST", "/mcp", &headers).status, 200);
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("prometheus.yaml");
    let scrape = json!({
        "global": { "scrape_interval": "200ms" },
        "rule_files": [root().join("deploy/helm/postern/files/rules.yaml")],
        "scrape_configs": [{
            "job_name": "postern",
            "static_configs": [{ "targets": [world.admin.to_string()] }],
        }],
    });
    fs::write(&config, scrape.to_string()).unwrap();
    let mut prometheus = tool("prometheus");
    prometheus.arg(format!("--config.file={}", config.display()));
    prometheus.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
    prometheus.args(["--web.listen-address=127.0.0.1:0", "--enable-feature=exemplar-storage"]);
    let mut prometheus = Process(prometheus.stderr(Stdio::piped()).spawn().unwrap());
    let log = follow(&mut prometheus.0);
    let address: SocketAddr = loop {
        let line = log.recv_timeout(Duration::from_secs(20)).expect("it never listened");
        if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
            break address.trim().parse().unwrap();
        }
    };
    let ask = |path: &str| -> Value {
        let mut wire = Wire::connect(address);
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n"));
        let text = wire.rest();
        let (_, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        serde_json::from_str(body).unwrap_or_default()
    };
    let query = "/api/v1/query?query=postern_requests_total";
    let found = || ask(query)["data"]["result"][0]["metric"]["outcome"] == "forwarded";
    wait_until("it has scraped", found);
    let exemplars = || {
        ask("/api/v1/query_exemplars?query=postern_request_seconds_bucket&start=1&end=9999999999")
    };
    wait_until("it has the trace", || {
        exemplars()["data"][0]["exemplars"][0]["labels"]["trace_id"] == trace
    });
    let targets = ask("/api/v1/targets");
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
}

#[test]
fn systemd_understands_the_unit_and_finds_little_exposed() {
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("postern.service");
    let program = postern().get_program().to_str().unwrap().to_owned();
    fs::write(&unit, read("systemd/postern.service").replace("/usr/bin/postern", &program))
        .unwrap();
    let socket = directory.path().join("postern.socket");
    fs::write(&socket, read("systemd/postern.socket")).unwrap();
    passes(tool("systemd-analyze").args(["verify", "--man=no"]).args([&unit, &socket]));
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

//! The status page as a browser shows it, at a desk and on a phone.

use std::fs;

use serde_json::Value;

use super::{counterpart, program, root};
use crate::harness::{Identity, World, wait_until};

#[test]
fn the_status_page_is_readable_and_what_is_hostile_in_it_stays_text() {
    let identity = Identity::new();
    let world = World::with(&format!(
        "{}\nresource: {{url: https://mcp.example/mcp, scopes: [mcp:read], policy: {{\
         allow: [{{tools: [echo]}}], deny: [{{name: frozen, tools: [delete]}}]}}}}\n\
         limits: {{requests_per_principal: 600/min}}",
        identity.settings()
    ));
    let hostile = "<img src=x onerror=alert(1)>\u{202e}evil";
    let claims = world.issuer.claims().set("sub", hostile);
    let token = format!("Bearer {}", world.issuer.key.sign(&claims));
    let headers = [("Authorization", &*token), ("Content-Type", "application/json")];
    for tool in ["echo", "delete"] {
        let body = serde_json::json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool },
        });
        identity.connect(world.gateway).request("POST", "/mcp", &headers, &body.to_string());
    }
    let long = format!("/mcp/{}", "x".repeat(300));
    for (path, token) in [("/mcp", "opaque"), (&*long, "opaque"), ("/elsewhere", "opaque")] {
        let headers = [("Authorization", &*format!("Bearer {token}"))];
        identity.connect(world.gateway).request("GET", path, &headers, "");
    }
    wait_until("all are counted", || world.metric("postern_requests_total{status=\"4xx\"}") >= 4.0);
    let folder = root().join("target/e2e/status");
    fs::create_dir_all(&folder).unwrap();
    let mut browser = counterpart("node", "status.mjs");
    browser.arg(program("chromium")).arg(format!("http://{}/status", world.admin)).arg(&folder);
    let output = browser.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    let seen: Vec<Value> = serde_json::from_slice(&output.stdout).expect(&complaint);
    assert_eq!(seen.len(), 4);
    for page in &seen {
        assert_eq!(page["trouble"], serde_json::json!([]), "{page:#}");
        assert_eq!((&page["state"], &page["images"]), (&"ready".into(), &0.into()));
        assert_eq!(page["overflow"], 0, "nothing is wider than the screen: {page:#}");
        let text = page["text"].as_str().unwrap();
        for shown in [
            &*world.issuer.url(),
            "ES256",
            "denied",
            "rule frozen",
            "token_not_a_jwt",
            "<img src=x onerror=alert(1)>\\u202eevil",
            "600/min",
            "https://mcp.example/mcp",
        ] {
            assert!(text.contains(shown), "{shown} in {text}");
        }
        assert!(!text.contains("opaque"), "{text}");
    }
    assert_ne!(seen[0]["ground"], seen[1]["ground"], "light and dark");
}

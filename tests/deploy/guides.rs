//! Settings for identity providers, with tokens as those write them.

use serde_json::{Value, json};

use super::{Started, all, read};

/// A token of this kind passes; for another audience, and as an ID token, it does not.
#[track_caller]
fn takes(guide: &str, typ: Option<&str>, claims: &Value) {
    let started = Started::with(&read(&format!("guides/{guide}.yaml")));
    assert_eq!(started.call(typ, claims.clone()), 200, "{guide}");
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    assert_eq!(started.call(typ, with("aud", json!("https://other.example"))), 401, "{guide}");
    assert_eq!(started.call(typ, with("nonce", json!("n"))), id_token(typ), "{guide}");
}

/// A strict `typ` has told it from an ID token already.
fn id_token(typ: Option<&str>) -> u16 {
    if typ == Some("at+jwt") { 200 } else { 401 }
}

#[test]
fn keycloak() {
    takes(
        "keycloak",
        Some("at+jwt"),
        &json!({
            "iss": "https://keycloak.example.com/realms/mcp", "aud": "https://mcp.example/mcp",
            "sub": "c4c5e2b6-1764-4a97-ac53-c3283fc2f49d", "typ": "Bearer", "azp": "mcp-client",
            "scope": "mcp:read", "resource_access": { "mcp-server": { "roles": ["tool:user"] } },
        }),
    );
}

#[test]
fn auth0() {
    takes(
        "auth0",
        Some("at+jwt"),
        &json!({
            "iss": "https://example.eu.auth0.com/", "sub": "auth0|6553da60a54af58e29493993",
            "aud": ["https://mcp.example/mcp", "https://example.eu.auth0.com/userinfo"],
            "client_id": "abc", "scope": "openid mcp:read", "permissions": ["mcp:read"],
        }),
    );
}

#[test]
fn entra() {
    takes(
        "entra",
        Some("JWT"),
        &json!({
            "iss": "https://login.microsoftonline.com/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/v2.0",
            "aud": "11111111-2222-3333-4444-555555555555", "sub": "pairwise",
            "oid": "99999999-8888-7777-6666-555555555555", "azp": "client", "scp": "mcp.read", "ver": "2.0",
        }),
    );
}

#[test]
fn okta() {
    takes(
        "okta",
        None,
        &json!({
            "iss": "https://example.okta.com/oauth2/aus1a2b3c4d5e6f7g8h9", "aud": "https://mcp.example/mcp",
            "sub": "ada@example.com", "cid": "0oa1", "uid": "00u1", "scp": ["mcp:read"], "ver": 1,
        }),
    );
}

#[test]
fn every_link_leads_somewhere() {
    for page in all("", ".md") {
        let text = std::fs::read_to_string(&page).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("https://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = page.parent().unwrap().join(file);
            assert!(path.exists(), "{}: {target}", page.display());
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&path).unwrap().to_lowercase();
                let heading = format!("\n## {}\n", heading.replace('-', " "));
                assert!(text.contains(&heading), "{target}");
            }
        }
    }
}

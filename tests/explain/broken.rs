//! What new users send by mistake: the cause of each refusal is on the first screen.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::Desk;
use crate::harness::{Issuer, Key, World, now};

/// One mistake.
struct Broken {
    token: String,
    headers: Vec<&'static str>,
    /// The code, and what else must be read of it.
    code: &'static str,
    shown: Vec<String>,
}

fn broken(token: String, code: &'static str, shown: &[&str]) -> Broken {
    let shown = shown.iter().map(|text| (*text).to_owned()).collect();
    Broken { token, headers: Vec::new(), code, shown }
}

fn mistakes(issuer: &Issuer) -> Vec<Broken> {
    let mut all = of_claims(issuer);
    all.extend(of_keys(issuer));
    all.extend(of_copying(issuer));
    let mut other_host =
        broken(issuer.token(), "foreign_host", &["mcp.example", "Host: localhost:8443"]);
    other_host.headers.push("Host: localhost:8443");
    all.push(other_host);
    all
}

fn of_claims(issuer: &Issuer) -> Vec<Broken> {
    let said = |name: &str, value: Value, code, shown: &[&str]| {
        broken(issuer.key.sign(&issuer.claims().set(name, value)), code, shown)
    };
    let (now, slash) = (now(), format!("{}/", issuer.url()));
    let other = "https://other.example";
    let mut jwt = issuer.key.header();
    jwt.typ = Some("JWT".into());
    let id = issuer.claims().set("aud", "test-client").set("nonce", "n").without("scope");
    let id = issuer.key.sign_as(&jwt, &id);
    vec![
        said("exp", json!(now - 7380), "token_expired", &["exp", "2h 3m ago"]),
        said("iat", json!(now + 3600), "token_not_yet_valid", &["clock", "iat", "in 59m"]),
        said("aud", json!("https://mcp.example/mcp/"), "token_audience", &["a slash at the end"]),
        said("aud", json!([other]), "token_audience", &[other, "https://mcp.example/mcp"]),
        said("iss", json!(slash), "token_issuer", &[&slash, "a slash at the end"]),
        said("scope", json!("mcp:write"), "insufficient_scope", &["missing: mcp:read"]),
        said("sub", json!(null), "token_claim", &["sub: null"]),
        broken(id, "token_type", &["typ JWT", "ID token", "nonce"]),
    ]
}

fn of_keys(issuer: &Issuer) -> Vec<Broken> {
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some("at+jwt".into());
    let shared = EncodingKey::from_secret(b"secret");
    let shared = jsonwebtoken::encode(&header, &issuer.claims().0, &shared).unwrap();
    let signed_by = |id| Key::new(id).sign(&issuer.claims());
    vec![
        broken(shared, "token_algorithm", &["alg HS256", "asymmetric"]),
        broken(signed_by("first"), "token_signature", &["key first", "not that key's"]),
        broken(signed_by("second"), "token_unknown_key", &["kid second", "first (ES256)"]),
    ]
}

fn of_copying(issuer: &Issuer) -> Vec<Broken> {
    let good = issuer.token();
    let opaque = "gho_16C7e42F292c6912E7710c838347Ae178B4a".to_owned();
    let unsigned = good[..good.rfind('.').unwrap()].to_owned();
    let cut = good[..good.len() - 40].to_owned();
    vec![
        broken(opaque, "token_not_a_jwt", &["opaque", "introspection"]),
        broken(cut, "token_signature", &["34 bytes where 64", "cut"]),
        broken(unsigned, "token_not_a_jwt", &["the signature is gone"]),
        broken(format!("Bearer {good}"), "bad_credentials", &["Bearer twice"]),
        broken(format!("\"{good}\""), "bad_credentials", &["quotes around the token"]),
    ]
}

#[test]
fn the_first_screen_names_the_cause_and_never_the_token() {
    let desk = Desk::new();
    for mistake in mistakes(&desk.issuer) {
        let headers = mistake.headers.iter().flat_map(|header| ["--header", header]);
        let arguments: Vec<&str> = headers.collect();
        let said = desk.explain(&mistake.token, &arguments);
        assert_eq!(said.code, 1, "{}", said.text);
        let screen: Vec<&str> = said.text.lines().take(24).collect();
        assert_eq!(screen.len(), said.text.lines().count(), "it all fits:\n{}", said.text);
        assert!(screen.iter().all(|line| line.chars().count() <= 100), "{}", said.text);
        let screen = screen.join("\n");
        for shown in
            [mistake.code.to_owned(), "cure".into(), "found".into()].iter().chain(&mistake.shown)
        {
            assert!(screen.contains(shown), "{}: {shown} in\n{screen}", mistake.code);
        }
        let document = desk.judged(&mistake.token, &arguments);
        assert_eq!(document["code"], mistake.code);
        for text in [said.text, document.to_string()] {
            let secret = mistake.token.trim_start_matches("Bearer ").trim_matches('"');
            for part in secret.split('.').filter(|part| part.len() > 20) {
                assert!(!text.contains(part), "{part} in\n{text}");
            }
        }
    }
}

/// The same request through the running gateway ends with the same word, status and challenge.
#[test]
fn the_gateway_says_the_same() {
    let world = World::start();
    let desk = Desk::new().with("issuers", format!("[{{issuer: '{}'}}]", world.issuer.url()));
    for mistake in mistakes(&world.issuer).into_iter().filter(|mistake| mistake.headers.is_empty())
    {
        let credentials = format!("Bearer {}", mistake.token);
        let headers = [("Authorization", credentials.as_str())];
        let answer = world.connect().request("POST", "/mcp", &headers, "{}");
        let logged = world.log_line("\"message\":\"request\"");
        let document = desk.judged(&mistake.token, &["--body", "{}"]);
        assert_eq!(document["status"], answer.status, "{}", mistake.code);
        assert_eq!(document["challenge"], answer.header("www-authenticate"), "{}", mistake.code);
        assert!(logged.contains(&format!("\"outcome\":\"{}\"", mistake.code)), "{logged}");
    }
}

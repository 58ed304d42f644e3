//! Any header and any claims, properly signed: what passes says what it must, by a second reading.

use std::fmt;
use std::sync::LazyLock;

use http::HeaderValue;
use proxy::pipeline::token::Principal;
use serde::Deserialize;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::desk::{Desk, ISSUER, KEY_ID, NOW, RESOURCE, SCOPE};

/// The header, a NUL (which no JSON holds), and the claims; without a NUL, only the claims.
pub fn holds(bytes: &[u8]) {
    static DESK: LazyLock<Desk> = LazyLock::new(Desk::new);
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (header, payload) = match (parts.next(), parts.next()) {
        (Some(header), Some(payload)) => (header, payload),
        _ => (USUAL, bytes),
    };
    let value = HeaderValue::from_str(&format!("Bearer {}", DESK.sign(header, payload)));
    if let Some(principal) = DESK.admits(value.unwrap()) {
        judge_header(header);
        judge_claims(payload, &principal);
    }
}

const USUAL: &[u8] = br#"{"alg":"EdDSA","typ":"at+jwt","kid":"one"}"#;

fn judge_header(json: &[u8]) {
    let header = read(json);
    assert!(["EdDSA", "Ed25519"].contains(&header["alg"].as_str().unwrap()), "{header}");
    let kind = header["typ"].as_str().unwrap().to_ascii_lowercase();
    assert!(["at+jwt", "application/at+jwt"].contains(&kind.as_str()), "{header}");
    assert!(header.get("kid").is_none_or(|id| id == KEY_ID), "{header}");
    assert!(header.get("crit").is_none() && header.get("b64").is_none(), "{header}");
}

#[expect(clippy::cast_precision_loss, reason = "the test's own time is small")]
fn judge_claims(json: &[u8], principal: &Principal) {
    let claims = read(json);
    assert_eq!(claims["iss"], ISSUER);
    assert!(claims["sub"] == *principal.subject && claims["sub"] != "", "{claims}");
    assert!(texts(&claims["aud"]).contains(&RESOURCE), "{claims}");
    let time = |name: &str| claims.get(name).map(|time| time.as_f64().unwrap());
    assert!(time("exp").unwrap() + 30.0 > NOW as f64, "{claims}");
    for begins in [time("nbf"), time("iat")].into_iter().flatten() {
        assert!(begins <= NOW as f64 + 30.0, "{claims}");
    }
    assert!(claims.get("cnf").is_none(), "{claims}");
    // What may be revoked by its id must have one that can be listed.
    assert!(claims.get("jti").is_none_or(Value::is_string), "{claims}");
    let mut scopes = texts(&claims["scope"]);
    scopes.extend(texts(&claims["scp"]));
    let scopes: Vec<&str> =
        scopes.iter().flat_map(|text| text.split(' ')).filter(|scope| !scope.is_empty()).collect();
    assert!(scopes.contains(&SCOPE), "{claims}");
    assert_eq!(*principal.scopes, *scopes.join(" "));
}

fn read(json: &[u8]) -> Value {
    let value: Value = serde_json::from_slice(json).unwrap();
    let Names(written) = serde_json::from_slice(json).unwrap();
    assert_eq!(written, value.as_object().unwrap().len(), "a name occurs twice in {value}");
    value
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text],
        Value::Array(all) => all.iter().map(|one| one.as_str().unwrap()).collect(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            panic!("{value} is neither text nor texts")
        }
    }
}

/// How many members an object was written with.
struct Names(usize);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Count)
    }
}

struct Count;

impl<'de> Visitor<'de> for Count {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Names, A::Error> {
        let mut written = 0;
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            written += 1;
        }
        Ok(Names(written))
    }
}

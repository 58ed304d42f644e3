//! Any value of `Authorization`: nobody passes but with a token that was really signed.

use std::sync::LazyLock;

use http::HeaderValue;
use serde_json::json;

use super::desk::{Desk, ISSUER, KEY_ID, NOW, RESOURCE, SCOPE};

struct Signed {
    desk: Desk,
    good: [String; 2],
}

pub fn holds(bytes: &[u8]) {
    static SIGNED: LazyLock<Signed> = LazyLock::new(Signed::new);
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let Some(principal) = SIGNED.desk.admits(value) else { return };
    let (scheme, token) = bytes.split_at("bearer".len());
    assert!(scheme.eq_ignore_ascii_case(b"bearer"), "only bearer tokens are known here");
    let token = token.trim_ascii_start();
    let signed = SIGNED.good.iter().any(|good| good.as_bytes() == token);
    assert!(signed, "nobody signed this for {principal:?}");
    assert_eq!(&*principal.subject, "ada");
}

impl Signed {
    fn new() -> Self {
        let desk = Desk::new();
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": KEY_ID }).to_string();
        let short = json!({ "alg": "Ed25519", "typ": "application/at+jwt" }).to_string();
        let claims = json!({
            "iss": ISSUER, "sub": "ada", "aud": RESOURCE, "scope": SCOPE, "client_id": "c",
            "iat": NOW, "exp": NOW + 300,
        });
        let claims = claims.to_string();
        let good = [header, short].map(|header| desk.sign(header.as_bytes(), claims.as_bytes()));
        for token in &good {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            assert!(desk.admits(value).is_some(), "a good token does not pass");
        }
        Self { desk, good }
    }
}

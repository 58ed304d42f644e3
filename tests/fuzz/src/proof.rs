//! Any DPoP proof, properly signed: it passes once, and only if it is about this very request.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use serde_json::{Value, json};

use super::desk::{self, Desk, ISSUER, KEY_ID, NOW, RESOURCE, SCOPE};

/// A client with a key, and a token that is bound to it.
struct Client {
    key: Ed25519KeyPair,
    jwk: Value,
    token: String,
    header: String,
}

/// The proof's header, a NUL and its claims; or only the claims; or after a byte of one, the whole proof.
pub fn holds(bytes: &[u8]) {
    static CLIENT: LazyLock<Client> = LazyLock::new(Client::new);
    // A new one each time: it remembers proofs.
    let desk = Desk::new();
    if let Some(raw) = bytes.strip_prefix(&[1]) {
        let Ok(raw) = HeaderValue::from_bytes(raw) else { return };
        assert!(desk.admits_proven(&CLIENT.token, raw).is_none(), "nobody signed this");
        return;
    }
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (header, claims) = match (parts.next(), parts.next()) {
        (Some(header), Some(claims)) => (header, claims),
        _ => (CLIENT.header.as_bytes(), bytes),
    };
    let proof = HeaderValue::from_str(&desk::sign(&CLIENT.key, header, claims)).unwrap();
    if desk.admits_proven(&CLIENT.token, proof.clone()).is_some() {
        CLIENT.judge(header, claims);
        assert!(desk.admits_proven(&CLIENT.token, proof).is_none(), "it passes twice");
    }
}

impl Client {
    fn new() -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        let public: Jwk = serde_json::from_value(jwk.clone()).unwrap();
        let thumbprint = public.thumbprint(ThumbprintHash::SHA256).unwrap();
        let claims = json!({
            "iss": ISSUER, "sub": "ada", "aud": RESOURCE, "scope": SCOPE, "iat": NOW,
            "exp": NOW + 300, "cnf": { "jkt": thumbprint },
        });
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": KEY_ID }).to_string();
        let token = Desk::new().sign(header.as_bytes(), claims.to_string().as_bytes());
        let header = json!({ "alg": "EdDSA", "typ": "dpop+jwt", "jwk": jwk }).to_string();
        let client = Self { key, jwk, token, header };
        client.passes_when_good();
        client
    }

    fn passes_when_good(&self) {
        let claims = json!({
            "jti": "1", "htm": "POST", "htu": RESOURCE, "iat": NOW, "ath": self.hash(),
        });
        let proof = desk::sign(&self.key, self.header.as_bytes(), claims.to_string().as_bytes());
        let proof = HeaderValue::from_str(&proof).unwrap();
        assert!(Desk::new().admits_proven(&self.token, proof).is_some(), "a good proof: {claims}");
    }

    fn hash(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.token.as_bytes()))
    }

    #[expect(clippy::cast_precision_loss, reason = "the test's own time is small")]
    fn judge(&self, header: &[u8], claims: &[u8]) {
        let header: Value = serde_json::from_slice(header).unwrap();
        assert!(["EdDSA", "Ed25519"].contains(&header["alg"].as_str().unwrap()), "{header}");
        let kind = header["typ"].as_str().unwrap().to_ascii_lowercase();
        assert!(["dpop+jwt", "application/dpop+jwt"].contains(&kind.as_str()), "{header}");
        assert!(header.get("crit").is_none() && header.get("b64").is_none(), "{header}");
        let shown = &header["jwk"];
        for member in ["kty", "crv", "x"] {
            assert_eq!(shown[member], self.jwk[member], "another key signs");
        }
        assert!(shown.get("d").is_none(), "{header}");
        let claims: Value = serde_json::from_slice(claims).unwrap();
        assert!(claims["jti"].as_str().is_some_and(|id| !id.is_empty()), "{claims}");
        assert_eq!(claims["htm"], "POST");
        let target = claims["htu"].as_str().unwrap().to_ascii_lowercase();
        assert!(target.starts_with("https://mcp.example"), "{claims}");
        let made = claims["iat"].as_f64().unwrap();
        assert!((made - NOW as f64).abs() <= 60.0, "{claims}");
        let hash = URL_SAFE_NO_PAD.decode(claims["ath"].as_str().unwrap()).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(hash), self.hash(), "{claims}");
    }
}

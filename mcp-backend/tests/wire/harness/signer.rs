use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The proxy's pen: no JWT library, which would not write what it should not.
pub(crate) struct Signer(Ed25519KeyPair);

impl Signer {
    pub(crate) fn new() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    /// Where a backend finds what to check with.
    pub(crate) fn publish(&self, path: &Path) {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key());
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "one", "x": x });
        std::fs::write(path, json!({ "keys": [key] }).to_string()).unwrap();
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", encode(header), encode(claims));
        let signature = self.0.sign(text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub(crate) fn header() -> Value {
        json!({ "alg": "EdDSA", "typ": "postern-assertion+jwt", "kid": "one" })
    }

    /// As the proxy says it, now.
    pub(crate) fn claims() -> Value {
        let now = chrono::Utc::now().timestamp();
        json!({
            "iss": "https://mcp.example", "aud": "https://backend.example",
            "iat": now, "exp": now + 30, "request_id": "1",
            "sub": "ada", "sub_iss": "https://id.example", "client_id": "editor",
            "scope": "mcp:read mcp:write", "claims": { "email": "ada@example.com" },
        })
    }
}

fn encode(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

//! A client that holds a key, and the proofs that it signs with it (RFC 9449 section 4.2).

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use super::now;

/// The client's key.
pub(crate) struct ProofKey {
    signing: EncodingKey,
    proofs: AtomicUsize,
}

/// What a proof says. Starts valid; a test spoils the one thing it is about.
#[derive(Clone)]
pub(crate) struct Proof {
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

impl ProofKey {
    pub(crate) fn new() -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        let signing = EncodingKey::from_ec_der(&pair.serialize_der());
        Self { signing, proofs: AtomicUsize::new(0) }
    }

    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(self.public()).unwrap();
        jwk.as_object_mut().unwrap().remove("alg");
        jwk
    }

    /// As tokens name it (RFC 9449 section 6.1).
    pub(crate) fn thumbprint(&self) -> String {
        self.public().thumbprint(ThumbprintHash::SHA256).unwrap()
    }

    /// A good proof for this request.
    pub(crate) fn proof(&self, method: &str, url: &str, token: &str) -> Proof {
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        let id = self.proofs.fetch_add(1, Ordering::Relaxed);
        Proof {
            header: json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() }),
            claims: json!({
                "jti": id.to_string(), "htm": method, "htu": url, "iat": now(),
                "ath": URL_SAFE_NO_PAD.encode(hash),
            }),
        }
    }

    pub(crate) fn sign(&self, proof: &Proof) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&proof.header), encode(&proof.claims));
        let signature = crypto::sign(signed.as_bytes(), &self.signing, Algorithm::ES256).unwrap();
        format!("{signed}.{signature}")
    }

    fn public(&self) -> Jwk {
        Jwk::from_encoding_key(&self.signing, Algorithm::ES256).unwrap()
    }
}

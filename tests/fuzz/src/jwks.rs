//! Any JWK set: what is taken for a key is public, asymmetric, and its owner's alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use proxy::keys::jwks;
use serde_json::{Value, json};

pub fn holds(bytes: &[u8]) {
    let parsed = jwks::parse(bytes, &ALL);
    let Ok(set) = serde_json::from_slice::<Value>(bytes) else {
        assert!(parsed.is_err(), "it is not even JSON");
        return;
    };
    let none = Vec::new();
    let entries = set.get("keys").and_then(Value::as_array).unwrap_or(&none);
    let alone =
        |entry: &Value| jwks::parse(json!({ "keys": [entry] }).to_string().as_bytes(), &ALL);
    let good: Vec<&Value> =
        entries.iter().take(MOST).filter(|entry| alone(entry).is_ok()).collect();
    match parsed {
        Ok(parsed) => {
            assert_eq!(parsed.keys.len(), good.len(), "each key is judged by itself");
            assert_eq!(parsed.keys.len() + parsed.skipped.len(), entries.len());
        }
        // A set with two members `keys` is refused whatever they hold.
        Err(jwks::Unusable::NotASet) => (),
        Err(jwks::Unusable::NoKey(_)) => assert!(good.is_empty(), "a good key was passed over"),
    }
    for key in good {
        judge(key);
    }
}

/// No set is read further.
const MOST: usize = 100;

const ALL: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

fn judge(key: &Value) {
    for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        assert!(key.get(private).is_none() || private == "k", "{key}");
    }
    assert!(key.get("use").is_none_or(|purpose| purpose == "sig" || purpose.is_null()), "{key}");
    let algorithm = key["alg"].as_str();
    match key["kty"].as_str().unwrap() {
        "RSA" => {
            let (n, e) = (number(&key["n"]), number(&key["e"]));
            assert!(n.len() >= 256 && n[0] != 0, "{key}");
            assert!(n.len() > 256 || n[0] >= 0x80, "{key}");
            assert!(n[n.len() - 1] % 2 == 1 && e[e.len() - 1] % 2 == 1 && e != [1], "{key}");
            let known = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
            assert!(algorithm.is_none_or(|name| known.contains(&name)), "{key}");
        }
        "EC" => {
            let (bytes, name) = match key["crv"].as_str().unwrap() {
                "P-256" => (32, "ES256"),
                "P-384" => (48, "ES384"),
                curve => panic!("{curve} is not a curve of ours"),
            };
            for coordinate in ["x", "y"] {
                let text = key[coordinate].as_str().unwrap();
                assert_eq!(URL_SAFE_NO_PAD.decode(text).unwrap().len(), bytes, "{key}");
            }
            assert!(algorithm.is_none_or(|given| given == name), "{key}");
        }
        "OKP" => {
            assert_eq!(key["crv"], "Ed25519");
            assert!(algorithm.is_none_or(|given| ["EdDSA", "Ed25519"].contains(&given)), "{key}");
            no_stranger_signs(key);
        }
        kind => panic!("{kind} is not asymmetric"),
    }
}

/// An unsigned number, without the zeros before it.
fn number(text: &Value) -> Vec<u8> {
    let bytes = URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap();
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

/// Under a key of small order, a point of small order and a zero are a signature of many a text.
fn no_stranger_signs(key: &Value) {
    let jwk: Jwk = serde_json::from_value(key.clone()).unwrap();
    let decoding = DecodingKey::from_jwk(&jwk).unwrap();
    let mut identity = [0; 64];
    identity[0] = 1;
    for forged in [[0; 64], identity] {
        let forged = URL_SAFE_NO_PAD.encode(forged);
        for text in 0..16_u8 {
            let fits = crypto::verify(&forged, &[text], &decoding, Algorithm::EdDSA);
            assert!(!fits.unwrap_or(false), "anybody can sign under {key}");
        }
    }
}

//! A signature checked with nothing between us and the library: what no verifier can be below.

use std::error::Error;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde_json::Value;

/// A public key, taken apart beforehand.
pub(crate) struct Raw(ParsedPublicKey);

impl Raw {
    pub(crate) fn new(published: &Value) -> Result<Self, Box<dyn Error>> {
        let member = |name: &str| -> Result<Vec<u8>, Box<dyn Error>> {
            let text = published.get(name).and_then(Value::as_str).ok_or("a member is missing")?;
            Ok(URL_SAFE_NO_PAD.decode(text)?)
        };
        let key = match published.get("kty").and_then(Value::as_str) {
            Some("RSA") => RsaPublicKeyComponents { n: member("n")?, e: member("e")? }
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)?,
            Some("EC") => {
                let point = [&[4][..], &member("x")?, &member("y")?].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)?
            }
            _ => ParsedPublicKey::new(&ED25519, member("x")?)?,
        };
        Ok(Self(key))
    }

    pub(crate) fn verify(&self, signed: &Signed) -> Result<(), Unspecified> {
        self.0.verify_sig(&signed.text, &signed.signature)
    }
}

/// What was signed, and the signature.
pub(crate) struct Signed {
    text: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    /// The token of a call.
    pub(crate) fn of(call: &Parts) -> Option<Self> {
        let token = call.headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let (text, signature) = token.rsplit_once('.')?;
        Some(Self { text: text.into(), signature: URL_SAFE_NO_PAD.decode(signature).ok()? })
    }
}

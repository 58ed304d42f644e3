//! An issuer of our own: a key of each kind, and as many distinct access tokens as a bench wants.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The keys that tokens are signed with.
pub(crate) struct Issuer {
    pub(crate) rsa: Key,
    pub(crate) p256: Key,
    pub(crate) ed25519: Key,
}

impl Issuer {
    pub(crate) fn new() -> Result<Self, Unspecified> {
        Ok(Self { rsa: rsa()?, p256: p256()?, ed25519: ed25519()? })
    }

    /// What the issuer publishes.
    pub(crate) fn jwks(&self) -> String {
        let keys = [&self.rsa, &self.p256, &self.ed25519].map(|key| &key.published);
        json!({ "keys": keys }).to_string()
    }
}

/// One signing key.
pub(crate) struct Key {
    algorithm: &'static str,
    pub(crate) published: Value,
    sign: Sign,
}

type Sign = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, Unspecified>>;

impl Key {
    /// `count` valid tokens, each for a caller of its own.
    pub(crate) fn tokens(
        &self,
        count: u32,
        now: SystemTime,
    ) -> Result<Vec<String>, Box<dyn Error>> {
        (0..count).map(|number| self.token(number, now)).collect()
    }

    /// RFC 9068, with about as many claims as common issuers put into theirs.
    fn token(&self, number: u32, now: SystemTime) -> Result<String, Box<dyn Error>> {
        let issued = now.duration_since(UNIX_EPOCH)?;
        let header = json!({ "typ": "at+jwt", "alg": self.algorithm, "kid": self.algorithm });
        let claims = json!({
            "iss": ISSUER,
            "aud": RESOURCE,
            "sub": format!("1c7e9a52-0f3d-4c0b-9b8e-{number:012}"),
            "client_id": "7d1f0a7e-agent",
            "scope": "mcp:read mcp:write",
            "email": format!("caller-{number}@example.com"),
            "groups": ["dev", "editor"],
            "iat": issued.as_secs(),
            "exp": (issued + LIFETIME).as_secs(),
            "jti": format!("5b0c2f61-{number:012}"),
        });
        let mut token =
            [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = (self.sign)(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

fn rsa() -> Result<Key, Unspecified> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    Ok(Key {
        algorithm: "RS256",
        published: json!({
            "kty": "RSA", "kid": "RS256", "alg": "RS256", "use": "sig",
            "n": URL_SAFE_NO_PAD.encode(public.n), "e": URL_SAFE_NO_PAD.encode(public.e),
        }),
        sign: Box::new(move |text| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)?;
            Ok(signature)
        }),
    })
}

fn p256() -> Result<Key, Unspecified> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    // SEC 1 section 2.3.3: a mark for "not compressed", then the two coordinates.
    let (_mark, point) = pair.public_key().as_ref().split_at_checked(1).ok_or(Unspecified)?;
    let (x, y) = point.split_at_checked(32).ok_or(Unspecified)?;
    Ok(Key {
        algorithm: "ES256",
        published: json!({
            "kty": "EC", "crv": "P-256", "kid": "ES256", "alg": "ES256", "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }),
        sign: Box::new(move |text| Ok(pair.sign(&SystemRandom::new(), text)?.as_ref().to_vec())),
    })
}

fn ed25519() -> Result<Key, Unspecified> {
    let pair = Ed25519KeyPair::generate()?;
    Ok(Key {
        algorithm: "EdDSA",
        published: json!({
            "kty": "OKP", "crv": "Ed25519", "kid": "EdDSA", "alg": "EdDSA", "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(pair.public_key()),
        }),
        sign: Box::new(move |text| Ok(pair.sign(text).as_ref().to_vec())),
    })
}

pub(crate) const ISSUER: &str = "https://auth.example.com";
pub(crate) const RESOURCE: &str = "https://mcp.example.com/mcp";

/// Longer than any bench.
const LIFETIME: Duration = Duration::from_hours(12);

//! A token in the making: good, until something is done to it at one of its stages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::random::Random;
use crate::harness::{Issuer, Key, now};

pub(super) struct Draft<'k> {
    key: &'k Key,
    other: &'k Key,
    header: Value,
    claims: Value,
    spoils: Vec<Spoil>,
}

/// Where something is done, in the order in which a token is made.
#[derive(Clone, Copy)]
pub(super) enum Spoil {
    Header(fn(&mut Value)),
    Claims(fn(&mut Value, i64)),
    HeaderText(fn(&str) -> Vec<u8>),
    ClaimsText(fn(&str) -> Vec<u8>),
    /// Header and claims in base64url, not signed yet.
    Encoded(fn(&mut [String; 2])),
    /// Another key signs than the one that is named.
    OtherKey,
    Signature(fn(&mut Vec<u8>)),
    /// The letters of the three parts.
    Letters(fn(&mut [String; 3], &mut Random)),
    /// How many parts there are.
    Parts(fn(&mut Vec<String>)),
}

impl<'k> Draft<'k> {
    /// Of one of the many shapes that good tokens have.
    pub(super) fn good(issuer: &Issuer, key: &'k Key, other: &'k Key, random: &mut Random) -> Self {
        let kind = random.one_of(&["at+jwt", "application/at+jwt", "AT+JWT", "Application/At+Jwt"]);
        let mut header =
            json!({ "alg": format!("{:?}", key.algorithm), "typ": kind, "kid": key.id });
        if random.chance(4) {
            header["x5t"] = json!("AAAA");
            header["jku"] = json!("https://evil.example/keys");
        }
        Self { key, other, header, claims: claims(issuer, random), spoils: Vec::new() }
    }

    pub(super) fn spoil_with(&mut self, spoil: Spoil) {
        self.spoils.push(spoil);
    }

    pub(super) fn finish(mut self, random: &mut Random) -> String {
        let spoils = std::mem::take(&mut self.spoils);
        // Where no key is named and none fits, the gateway asks the issuer, and it may not ask often.
        let fits = |spoil: &Spoil| matches!(spoil, Spoil::Claims(_) | Spoil::ClaimsText(_));
        if random.chance(4) && spoils.iter().all(fits) {
            self.header.as_object_mut().unwrap().remove("kid");
        }
        for spoil in &spoils {
            if let Spoil::Header(spoil) = spoil {
                spoil(&mut self.header);
            }
            if let Spoil::Claims(spoil) = spoil {
                spoil(&mut self.claims, now());
            }
        }
        let (mut header, mut claims) = (self.header.to_string(), self.claims.to_string());
        if random.chance(4) {
            // The same text to every reader.
            claims = claims.replace(":\"ada", " :\n\"\\u0061da").replace(",\"", " , \"");
            header = header.replace("\"typ\"", " \"t\\u0079p\"\t");
        }
        let (mut header, mut claims) = (header.into_bytes(), claims.into_bytes());
        for spoil in &spoils {
            // What is no longer text can be spoilt no further.
            match (spoil, std::str::from_utf8(&header), std::str::from_utf8(&claims)) {
                (Spoil::HeaderText(spoil), Ok(text), _) => header = spoil(text),
                (Spoil::ClaimsText(spoil), _, Ok(text)) => claims = spoil(text),
                _ => (),
            }
        }
        self.encode(&spoils, [header, claims], random)
    }

    fn encode(&self, spoils: &[Spoil], texts: [Vec<u8>; 2], random: &mut Random) -> String {
        let mut encoded = texts.map(|text| URL_SAFE_NO_PAD.encode(text));
        for spoil in spoils {
            if let Spoil::Encoded(spoil) = spoil {
                spoil(&mut encoded);
            }
        }
        let by_other = spoils.iter().any(|spoil| matches!(spoil, Spoil::OtherKey));
        let signer = if by_other { self.other } else { self.key };
        let signature = signer.sign_bytes(&encoded.join("."));
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for spoil in spoils {
            if let Spoil::Signature(spoil) = spoil {
                spoil(&mut signature);
            }
        }
        let [header, claims] = encoded;
        let mut parts = [header, claims, URL_SAFE_NO_PAD.encode(signature)];
        for spoil in spoils {
            if let Spoil::Letters(spoil) = spoil {
                spoil(&mut parts, random);
            }
        }
        let mut parts = Vec::from(parts);
        for spoil in spoils {
            if let Spoil::Parts(spoil) = spoil {
                spoil(&mut parts);
            }
        }
        parts.join(".")
    }
}

/// Times are far from every edge: the two judges look at different moments.
fn claims(issuer: &Issuer, random: &mut Random) -> Value {
    let now = now();
    let mut claims = json!({
        "iss": issuer.url(), "aud": "https://mcp.example/mcp", "exp": now + 3_600, "client_id": "c",
    });
    let subjects =
        ["ada", "ada lovelace", "ada\u{eb}", "ada\u{1f984}\n", "ada=?base64?", "ada\u{202e}"];
    claims["sub"] = json!(random.one_of(&subjects));
    if random.chance(3) {
        claims["aud"] = json!(["https://other.example", "https://mcp.example/mcp"]);
    }
    if random.chance(4) {
        claims["exp"] = serde_json::from_str(&format!("{}.5", now + 3_600)).unwrap();
    }
    if random.chance(3) {
        let begins = now + *random.one_of(&[-3_600, 0, 20]);
        claims["nbf"] = json!(begins);
    }
    if random.chance(2) {
        claims["iat"] = json!(now - 60);
        claims["jti"] = json!("1");
    }
    match random.below(4) {
        0 => claims["scope"] = json!("mcp:read mcp:write"),
        1 => claims["scp"] = json!(["mcp:read", "mcp:write"]),
        2 => claims["groups"] = json!([{ "name": "a", "of": { "b": [1, 2.5, null] } }, true]),
        _ => (),
    }
    claims
}

/// Whether the algorithm has a second name (RFC 9864).
pub(super) fn is_edwards(header: &Value) -> bool {
    header["alg"] == format!("{:?}", Algorithm::EdDSA)
}

//! The header of a token (RFC 7515 section 4).

use jsonwebtoken::Algorithm;

use super::authenticate::Rejected;
use super::claims::{Claims, WrongType};

/// The little of a JOSE header that we act on. `jku`, `x5u`, `x5c` and `jwk` are not even read:
/// a token does not choose the key that it is checked with.
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
}

impl Header {
    pub(super) fn decode(part: &str) -> Result<Self, Rejected> {
        let members = Claims::decode(part).ok_or(Rejected::NotAJwt)?;
        // RFC 7515 section 4.1.11: an extension that must be understood, and is not.
        if members.get("crit").is_some() || members.get("b64").is_some() {
            return Err(Rejected::Critical);
        }
        // RFC 9068 section 4: nothing else is an access token.
        let is_access_token = |kind: &str| {
            let kind = kind.strip_prefix("application/").unwrap_or(kind);
            kind == "at+jwt"
        };
        if !members.text("typ").is_some_and(|kind| is_access_token(&kind.to_ascii_lowercase())) {
            return Err(Rejected::Type);
        }
        let key_id = members.optional_text("kid").map_err(|WrongType| Rejected::NotAJwt)?;
        Ok(Self {
            algorithm: members.text("alg").and_then(algorithm).ok_or(Rejected::Algorithm)?,
            key_id: key_id.map(str::to_owned),
        })
    }
}

/// Case matters (RFC 7515 section 4.1.1), and shared secrets are never an answer.
fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "RS384" => Some(Algorithm::RS384),
        "RS512" => Some(Algorithm::RS512),
        "PS256" => Some(Algorithm::PS256),
        "PS384" => Some(Algorithm::PS384),
        "PS512" => Some(Algorithm::PS512),
        "ES256" => Some(Algorithm::ES256),
        "ES384" => Some(Algorithm::ES384),
        // RFC 9864 gives Ed25519 a name of its own.
        "EdDSA" | "Ed25519" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

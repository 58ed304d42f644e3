//! The header of a token (RFC 7515 section 4).

use jsonwebtoken::Algorithm;

use super::authenticate::Rejected;
use super::claims::{Claims, WrongType};
use crate::keys::jwks::LONGEST_ID;

/// The little of a JOSE header that we act on. `jku`, `x5u`, `x5c` and `jwk` are not even read:
/// a token does not choose the key that it is checked with.
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    pub(super) typ: Typ,
}

/// A token's head as it was written, and read.
pub(super) struct Head {
    pub(super) text: Box<str>,
    pub(super) header: Header,
}

impl Head {
    pub(super) fn read(text: &str) -> Result<Self, Rejected> {
        Ok(Self { text: text.into(), header: Header::decode(text)? })
    }
}

/// What the header says the token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typ {
    AccessToken,
    /// Anything that is signed.
    Jwt,
    Absent,
    Other,
}

impl Header {
    pub(super) fn decode(part: &str) -> Result<Self, Rejected> {
        let members = Claims::decode(part).ok_or(Rejected::NotAJwt)?;
        // RFC 7515 section 4.1.11: an extension that must be understood, and is not.
        if members.get("crit").is_some() || members.get("b64").is_some() {
            return Err(Rejected::Critical);
        }
        let typ = match members.optional_text("typ") {
            Ok(typ) => typ.map_or(Typ::Absent, Typ::read),
            Err(WrongType) => Typ::Other,
        };
        let key_id = members.optional_text("kid").map_err(|WrongType| Rejected::NotAJwt)?;
        if key_id.is_some_and(|id| id.len() > LONGEST_ID) {
            return Err(Rejected::KeyId);
        }
        Ok(Self {
            algorithm: members.text("alg").and_then(algorithm).ok_or(Rejected::Algorithm)?,
            key_id: key_id.map(str::to_owned),
            typ,
        })
    }
}

impl Typ {
    /// A media type: case does not matter, and `application/` may be left out (section 4.1.9).
    fn read(typ: &str) -> Self {
        let typ = typ.to_ascii_lowercase();
        match typ.strip_prefix("application/").unwrap_or(&typ) {
            "at+jwt" => Self::AccessToken,
            "jwt" => Self::Jwt,
            _ => Self::Other,
        }
    }
}

/// Case matters (RFC 7515 section 4.1.1), and shared secrets are never an answer.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
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

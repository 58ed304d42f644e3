//! The provider's key, and the access tokens signed with it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

use super::Unavailable;

/// A key made at the start and gone with the process: no token outlives a run.
pub(super) struct Signer {
    key: EncodingKey,
    header: Header,
    jwks: JwkSet,
}

/// RFC 9068 §2.2.
#[derive(Debug, Serialize)]
pub(super) struct Claims<'a> {
    pub(super) iss: &'a str,
    pub(super) sub: &'a str,
    pub(super) aud: &'a str,
    pub(super) client_id: &'a str,
    pub(super) scope: String,
    pub(super) iat: u64,
    pub(super) exp: u64,
    pub(super) jti: String,
}

impl Signer {
    pub(super) fn new() -> Result<Self, Unavailable> {
        let pair = rcgen::KeyPair::generate().map_err(|_| Unavailable::Key)?;
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        let mut jwk =
            Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(|_| Unavailable::Key)?;
        // Clients and gateways cache keys by their id, so the id must change with the key.
        let id = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| Unavailable::Key)?;
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let header = Header {
            typ: Some("at+jwt".to_owned()),
            kid: Some(id),
            ..Header::new(Algorithm::ES256)
        };
        Ok(Self { key, header, jwks: JwkSet { keys: vec![jwk] } })
    }

    pub(super) fn sign(&self, claims: &Claims<'_>) -> Result<String, Unavailable> {
        encode(&self.header, claims, &self.key).map_err(|_| Unavailable::Signature)
    }

    pub(super) fn jwks(&self) -> &JwkSet {
        &self.jwks
    }
}

/// How long an access token lives.
pub(super) const LIFETIME: Duration = Duration::from_mins(10);

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

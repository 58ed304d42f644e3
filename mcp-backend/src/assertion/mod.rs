//! The proxy's word in writing: who calls, signed for this server, for a moment.

mod keys;

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use crate::caller::Identity;
use crate::settings::AssertionSettings;
use keys::{Keys, NoKey};

/// Tells good assertions from others.
#[derive(Debug)]
pub(crate) struct Assertions {
    keys: Keys,
    validation: Validation,
}

/// Why there is no identity in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unproven {
    #[error("X-Postern-Assertion is missing")]
    Missing,
    #[error("X-Postern-Assertion is repeated")]
    Repeated,
    #[error("X-Postern-Assertion is not a signed assertion of the proxy's")]
    Malformed,
    #[error("X-Postern-Assertion does not hold: signature, audience, issuer or time")]
    Invalid,
    /// Nobody's fault but ours: the request may be good.
    #[error("the keys of the proxy cannot be had at the moment")]
    NoKeys,
}

#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "as it is sent")]
struct Claims {
    sub: String,
    sub_iss: String,
    iat: u64,
    exp: u64,
    client_id: Option<String>,
    scope: String,
    #[serde(default)]
    claims: BTreeMap<String, String>,
}

impl Assertions {
    pub(crate) fn new(settings: AssertionSettings) -> Result<Self, reqwest::Error> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[settings.audience]);
        validation.set_issuer(&[settings.issuer]);
        validation.set_required_spec_claims(&["aud", "exp", "iss", "sub"]);
        validation.leeway = LEEWAY;
        Ok(Self { keys: Keys::new(settings.keys)?, validation })
    }

    /// Whether there is one to be looked at.
    pub(crate) fn is_in(headers: &HeaderMap) -> bool {
        headers.contains_key(HEADER)
    }

    pub(crate) async fn verify(&self, headers: &HeaderMap) -> Result<Identity, Unproven> {
        let mut values = headers.get_all(HEADER).iter();
        let value = values.next().ok_or(Unproven::Missing)?;
        if values.next().is_some() {
            return Err(Unproven::Repeated);
        }
        let token = value.to_str().map_err(|_| Unproven::Malformed)?;
        let header = decode_header(token).map_err(|_| Unproven::Malformed)?;
        // Another kind of token, whoever signed it, is for something else (RFC 8725 section 3.11).
        if header.typ.as_deref() != Some(TYPE) || header.alg != Algorithm::EdDSA {
            return Err(Unproven::Malformed);
        }
        let key = self.keys.find(header.kid.as_deref()).await.map_err(|why| match why {
            NoKey::Unknown => Unproven::Invalid,
            NoKey::Unavailable => Unproven::NoKeys,
        })?;
        self.read(token, &key)
    }

    fn read(&self, token: &str, key: &DecodingKey) -> Result<Identity, Unproven> {
        let claims =
            decode::<Claims>(token, key, &self.validation).map_err(|_| Unproven::Invalid)?.claims;
        if claims.exp.saturating_sub(claims.iat) > LONGEST {
            return Err(Unproven::Invalid);
        }
        Identity::asserted(
            claims.sub,
            claims.sub_iss,
            claims.client_id,
            &claims.scope,
            claims.claims,
        )
        .ok_or(Unproven::Invalid)
    }
}

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-postern-assertion");
const TYPE: &str = "postern-assertion+jwt";
/// Seconds; both clocks are of machines that keep time.
const LEEWAY: u64 = 5;
/// Seconds. What lives longer is not for one request.
const LONGEST: u64 = 60;

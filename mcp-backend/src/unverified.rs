//! Compatibility: a JWT in a header, from something in front of us that has verified it, it is said.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName};
use serde_json::Value;

use crate::caller::Identity;
use crate::clock::now;

/// Either form that is in use: a whole JWT, or its payload alone, in base64.
pub(crate) fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Identity, Unread> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Unread::Missing)?.to_str().map_err(|_| Unread::Malformed)?;
    if values.next().is_some() {
        return Err(Unread::Repeated);
    }
    let segments: Vec<&str> = value.split('.').collect();
    let payload = match segments.as_slice() {
        [payload] | [_, payload, _] => payload.trim_end_matches('='),
        _ => return Err(Unread::Malformed),
    };
    let bytes = URL_SAFE_NO_PAD.decode(payload).or_else(|_| STANDARD_NO_PAD.decode(payload));
    let claims: Value = bytes
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or(Unread::Malformed)?;
    identity(&claims)
}

fn identity(claims: &Value) -> Result<Identity, Unread> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let exp = claims.get("exp").and_then(Value::as_i64);
    if exp.is_none_or(|exp| exp <= now().timestamp()) {
        return Err(Unread::Expired);
    }
    let scopes = match claims.get("scope").or(claims.get("scp")) {
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        Some(Value::String(scopes)) => scopes.clone(),
        Some(_) | None => String::new(),
    };
    let client = text("client_id").or(text("azp"));
    let (Some(subject), Some(issuer)) = (text("sub"), text("iss")) else {
        return Err(Unread::Malformed);
    };
    Identity::asserted(subject, issuer, client, &scopes, BTreeMap::new()).ok_or(Unread::Malformed)
}

/// Why there is no identity in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    #[error("the header of trust_unverified_jwt_in_header is missing")]
    Missing,
    #[error("the header of trust_unverified_jwt_in_header is repeated")]
    Repeated,
    #[error("the header of trust_unverified_jwt_in_header has no claims with sub and iss")]
    Malformed,
    #[error("the token in the header of trust_unverified_jwt_in_header has no end, or is over")]
    Expired,
}

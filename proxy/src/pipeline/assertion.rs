//! What a backend can check for itself, instead of trusting whoever can reach it: who calls, signed for
//! that backend, for a moment.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::authorize::Permit;
use super::headers::decode;
use super::trail::Arrival;
use crate::config::{Rules, Site};

/// Signs for one backend.
#[derive(Debug)]
pub(super) struct Assertions {
    keys: Keys,
    issuer: String,
    audience: String,
    /// The further claims that are told, in the order of their headers.
    claims: Box<[String]>,
}

impl Assertions {
    /// None, if the backend wants none. Without a shared key, under one of this process's own.
    pub(super) fn new(site: &Site, rules: &Rules, own: &[u8]) -> Option<Self> {
        let audience = site.forward.assertion.clone()?;
        let secret = rules.assertion_key.as_ref().map_or(own, |key| key.expose().as_bytes());
        Some(Self {
            keys: Keys::new(secret),
            issuer: site.resource.origin(),
            audience,
            claims: site.forward.claims.iter().map(|(path, _)| path.as_str().to_owned()).collect(),
        })
    }

    /// Adds who calls to what the upstream hears. Whatever came under that name is gone by now.
    pub(super) fn vouch(
        &self,
        headers: &mut HeaderMap,
        permit: &Permit,
        arrival: &Arrival,
        now: SystemTime,
    ) -> Result<(), Unsigned> {
        let now = now.duration_since(UNIX_EPOCH).map_err(|_| Unsigned)?;
        let key = self.keys.of(now).ok_or(Unsigned)?;
        let mut token = key.head.clone();
        URL_SAFE_NO_PAD.encode_string(self.told(permit, arrival, now), &mut token);
        let signature = key.pair.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        headers.insert(ASSERTION, HeaderValue::try_from(token).map_err(|_| Unsigned)?);
        Ok(())
    }

    fn told(&self, permit: &Permit, arrival: &Arrival, now: Duration) -> String {
        let principal = permit.principal();
        let mut told = json!({
            "iss": self.issuer,
            "aud": self.audience,
            "iat": now.as_secs(),
            "exp": now.as_secs() + LIFE,
            "sub": principal.subject,
            "sub_iss": &*principal.issuer,
            "scope": principal.scopes,
            "request_id": arrival.trail.request_id(),
        });
        let Some(object) = told.as_object_mut() else { return String::new() };
        if let Some(client) = &principal.client {
            object.insert("client_id".into(), json!(client));
        }
        let values = permit.headers().further().map(|value| decode(&value?).map(Cow::into_owned));
        let claims: Map<String, Value> = self
            .claims
            .iter()
            .zip(values)
            .filter_map(|(name, value)| Some((name.clone(), Value::String(value?))))
            .collect();
        if !claims.is_empty() {
            object.insert("claims".into(), Value::Object(claims));
        }
        told.to_string()
    }

    /// What backends check with, as a JWK set.
    pub(super) fn published(&self, now: SystemTime) -> Option<Value> {
        self.keys.published(now.duration_since(UNIX_EPOCH).ok()?)
    }
}

/// One key a day, each made of the one secret: replicas that share it agree without a word.
struct Keys {
    secret: hmac::Key,
    /// Whoever needs another day's makes it; all make the same.
    current: ArcSwapOption<Key>,
}

struct Key {
    day: u64,
    pair: Ed25519KeyPair,
    id: String,
    /// The first segment of all that it signs, and the dot.
    head: String,
}

impl Keys {
    fn new(secret: &[u8]) -> Self {
        Self { secret: hmac::Key::new(hmac::HMAC_SHA256, secret), current: ArcSwapOption::empty() }
    }

    fn of(&self, now: Duration) -> Option<Arc<Key>> {
        let day = now.as_secs() / DAY;
        if let Some(key) = self.current.load_full().filter(|key| key.day == day) {
            return Some(key);
        }
        let key = Arc::new(self.make(day)?);
        self.current.store(Some(Arc::clone(&key)));
        Some(key)
    }

    /// Those of yesterday, of today and of tomorrow: clocks differ, and backends keep what they fetched.
    fn published(&self, now: Duration) -> Option<Value> {
        let day = now.as_secs() / DAY;
        let days = day.saturating_sub(1)..=day.saturating_add(1);
        let keys: Option<Vec<Value>> = days.map(|day| Some(self.make(day)?.jwk())).collect();
        Some(json!({ "keys": keys? }))
    }

    fn make(&self, day: u64) -> Option<Key> {
        let mut context = hmac::Context::with_key(&self.secret);
        context.update(PURPOSE);
        context.update(&day.to_be_bytes());
        let pair = Ed25519KeyPair::from_seed_unchecked(context.sign().as_ref()).ok()?;
        let public = digest(&SHA256, pair.public_key().as_ref());
        let id = URL_SAFE_NO_PAD.encode(public.as_ref().get(..ID_BYTES)?);
        let head = json!({ "alg": "EdDSA", "typ": "postern-assertion+jwt", "kid": id });
        let head = format!("{}.", URL_SAFE_NO_PAD.encode(head.to_string()));
        Some(Key { day, pair, id, head })
    }
}

impl Key {
    fn jwk(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id,
            "x": URL_SAFE_NO_PAD.encode(self.pair.public_key()),
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// There is no key, or no time; the request goes nowhere.
#[derive(Clone, Copy, Debug, Error)]
#[error("nothing to sign with")]
pub(crate) struct Unsigned;

const ASSERTION: HeaderName = HeaderName::from_static("x-postern-assertion");
/// The secret may have been made for something else as well.
const PURPOSE: &[u8] = b"postern assertion";
const ID_BYTES: usize = 12;
/// Seconds.
const DAY: u64 = 24 * 60 * 60;
/// Seconds: as long as the way to the backend takes, and clocks may differ.
const LIFE: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn day(number: u64) -> Duration {
        Duration::from_secs(number * DAY)
    }

    fn last_second_of(number: u64) -> Duration {
        Duration::from_secs((number + 1) * DAY - 1)
    }

    fn ids(set: &Value) -> Vec<&str> {
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect()
    }

    /// As another program makes it: replicas of two versions must agree.
    #[test]
    fn a_key_is_made_of_the_secret_and_the_day_alone() {
        let key = Keys::new(SECRET).of(day(20_000)).unwrap();
        assert_eq!(key.jwk()["x"], "nTSAqmTe5SLLHsFsVmR7WIQ4SFDmZCmRYQX9WY4lGWA");
        assert_eq!(key.id, "ytObDnWrd_pn-GLP");
    }

    #[test]
    fn the_key_changes_at_midnight_and_those_before_and_after_it_are_published() {
        let keys = Keys::new(SECRET);
        let today = keys.of(day(20_000)).unwrap();
        assert_eq!(keys.of(last_second_of(20_000)).unwrap().id, today.id);
        let tomorrow = keys.of(day(20_001)).unwrap();
        assert_ne!(tomorrow.id, today.id);
        for now in [day(20_000), day(20_001), last_second_of(20_001)] {
            let published = keys.published(now).unwrap();
            let ids = ids(&published);
            assert!(ids.contains(&&*today.id) && ids.contains(&&*tomorrow.id), "{published}");
        }
        assert!(!ids(&keys.published(day(20_002)).unwrap()).contains(&&*today.id));
    }
}

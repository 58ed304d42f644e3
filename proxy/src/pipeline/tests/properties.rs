//! What holds for every token and every request, tried on many that chance makes up.

mod chance;

use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::*;
use crate::keys::jwks;
use crate::pipeline::trail::{Arrival, Trail};
use chance::{texts, values};

/// A pipeline that trusts one key.
struct Desk {
    pipeline: Pipeline,
    key: Ed25519KeyPair,
}

impl Desk {
    fn new() -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x }] });
        let text = "\
tls: off
resource: {url: https://mcp.example/mcp}
issuers: [{issuer: https://id.example}]
upstream: {address: unix:/run/backend.sock}
forward: {claims: {email: X-User-Email, groups: X-User-Groups}}
";
        let config = Config::parse(text).unwrap();
        let keyring = Arc::new(Keyring::default());
        let algorithms = &config.rules.issuers[0].algorithms;
        keyring.replace(jwks::parse(set.to_string().as_bytes(), algorithms).unwrap().keys);
        let bounds = Bounds {
            target_bytes: 8 << 10,
            header_bytes: 64 << 10,
            headers: 100,
            body_bytes: 1 << 20,
        };
        let pipeline = Pipeline::new(&config.rules, bounds, &cells(keyring));
        Self { pipeline, key }
    }

    fn sign(&self, claims: &Map<String, Value>) -> String {
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "one" }).to_string();
        let claims = serde_json::to_string(claims).unwrap();
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// The permit that a value of `Authorization` is worth at a time, if any.
    fn permit(&self, authorization: &[u8], now: Duration) -> Option<Permit> {
        let value = HeaderValue::from_bytes(authorization).ok()?;
        let request = Request::post("/mcp").header("host", "mcp.example");
        let request = request.header(AUTHORIZATION, value).body(()).unwrap().into_parts().0;
        match self.pipeline.decide(&request, &Channel::default(), UNIX_EPOCH + now) {
            Decision::Forward(permit) => Some(permit),
            Decision::Answer(answer) => {
                answer.into_response().unwrap();
                None
            }
            Decision::NeedKey(_) => {
                let now = UNIX_EPOCH + now;
                let mut known = Known::default();
                known.keys_are_new();
                let channel = Channel::default();
                let again = self.pipeline.decide_knowing(&request, &channel, &known, now);
                assert!(matches!(again, Decision::Answer(_)), "{again:?}");
                None
            }
            Decision::NeedIntrospection(_) => panic!("nobody is asked here"),
            Decision::NeedBody => panic!("no rule is about calls here"),
            Decision::Front(_) => panic!("nothing of the front is on here"),
        }
    }

    /// What the backend hears of a request whose client claims to be somebody else.
    fn relayed(&self, permit: &Permit) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in OURS {
            headers.append(name, HeaderValue::from_static("root"));
        }
        let address = [192, 0, 2, 1].into();
        let arrival = Arrival { address, trail: Trail::read(&headers, None, || [0; 16]) };
        let backend = HeaderValue::from_static("backend");
        let relay = self.pipeline.site(permit).unwrap().relay();
        relay.rewrite(&mut headers, permit, &arrival, &backend);
        headers
    }

    fn admits(&self, token: &str, now: Duration) -> bool {
        self.permit(format!("Bearer {token}").as_bytes(), now).is_some()
    }
}

fn good() -> Map<String, Value> {
    let claims = json!({
        "iss": "https://id.example", "sub": "ada", "aud": "https://mcp.example/mcp",
        "client_id": "c", "iat": NOW.as_secs(), "exp": NOW.as_secs() + 300, "scope": "a b",
    });
    claims.as_object().unwrap().clone()
}

#[test]
fn no_single_bit_of_a_token_can_be_another() {
    let desk = Desk::new();
    let good = format!("Bearer {}", desk.sign(&good())).into_bytes();
    assert!(desk.permit(&good, NOW).is_some());
    for at in "Bearer ".len()..good.len() {
        for bit in 0..8 {
            let mut spoilt = good.clone();
            spoilt[at] ^= 1 << bit;
            // A space is no part of the token.
            let same = spoilt[at] == b' ' && at == "Bearer ".len();
            assert!(same || desk.permit(&spoilt, NOW).is_none(), "bit {bit} of byte {at}");
        }
    }
}

proptest! {
    #[test]
    fn no_byte_of_a_token_can_be_another_or_missing_or_added(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), what in 0..3,
    ) {
        let desk = Desk::new();
        let good = desk.sign(&good()).into_bytes();
        let at = at.index(good.len());
        let mut spoilt = good.clone();
        match what {
            0 => spoilt[at] = byte,
            1 => drop(spoilt.remove(at)),
            _ => spoilt.insert(at, byte),
        }
        let passes = desk.permit(&[b"Bearer ", &spoilt[..]].concat(), NOW).is_some();
        // A space before it is no part of the token; a tab is not even a space here.
        prop_assert_eq!(passes, spoilt.strip_prefix(b" ").unwrap_or(&spoilt) == good);
    }

    /// Good claims and any others beside them: all pass, and the backend hears the truth.
    #[test]
    fn what_the_backend_hears_is_what_the_token_says(
        subject in texts(), client in texts(), email in values(), groups in values(),
        scopes in vec("[!#-\\[\\]-~]{1,6}", 0..4), more in btree_map("x[a-z]{0,3}", values(), 0..4),
    ) {
        prop_assume!(!subject.is_empty());
        let desk = Desk::new();
        let mut claims = good();
        claims.insert("sub".into(), json!(subject));
        claims.insert("client_id".into(), json!(client));
        claims.insert("scope".into(), json!(scopes.join(" ")));
        claims.insert("email".into(), email.clone());
        claims.insert("groups".into(), groups.clone());
        claims.extend(more);
        let token = desk.sign(&claims);
        // A longer one is refused for its length.
        prop_assume!(token.len() < 16_000);
        let permit = desk.permit(format!("Bearer {token}").as_bytes(), NOW).unwrap();
        prop_assert_eq!(&*permit.principal().subject, &subject);
        prop_assert_eq!(&*permit.principal().scopes, scopes.join(" "));
        let headers = desk.relayed(&permit);
        let heard = |name: &str| heard(&headers, name);
        prop_assert_eq!(heard("x-postern-subject"), Some(subject));
        prop_assert_eq!(heard("x-postern-issuer"), Some("https://id.example".to_owned()));
        prop_assert_eq!(heard("x-postern-client-id").unwrap_or_default(), client);
        prop_assert_eq!(heard("x-postern-scopes").unwrap_or_default(), scopes.join(" "));
        prop_assert_eq!(heard("x-user-email"), told(&email));
        prop_assert_eq!(heard("x-user-groups"), told(&groups));
    }

    /// Claims of any type under the names that matter: refused, or read as they are.
    #[test]
    fn claims_of_any_shape_are_refused_or_read_as_they_are(
        odd in btree_map(select(&NAMES[..]), values(), 1..3), absent in select(&NAMES[..]),
    ) {
        let desk = Desk::new();
        let mut claims = good();
        claims.remove(absent);
        claims.extend(odd.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let token = desk.sign(&claims);
        if let Some(permit) = desk.permit(format!("Bearer {token}").as_bytes(), NOW) {
            prop_assert_eq!(&claims["iss"], "https://id.example");
            prop_assert_eq!(&claims["sub"], &*permit.principal().subject);
            prop_assert!(claims["exp"].as_f64().is_some_and(|exp| exp > NOW.as_secs_f64() - 30.0));
            for begins in ["nbf", "iat"].iter().filter_map(|name| claims.get(*name)) {
                prop_assert!(begins.as_f64().is_some_and(|at| at <= NOW.as_secs_f64() + 30.0));
            }
            let audience = &claims["aud"];
            let ours = json!("https://mcp.example/mcp");
            prop_assert!(*audience == ours || audience.as_array().unwrap().contains(&ours));
            prop_assert!(!claims.contains_key("cnf"));
            for value in desk.relayed(&permit).values() {
                prop_assert!(value.as_bytes().iter().all(|byte| matches!(byte, 0x20..=0x7E)));
            }
        }
    }

    /// To the nanosecond, and for a token that has been remembered too.
    #[test]
    fn a_lifetime_ends_and_begins_exactly_at_the_leeway(expires in 1_000_u64..1 << 40) {
        let desk = Desk::new();
        let claims = |times: &[(&str, u64)]| {
            let mut claims = good();
            claims.remove("iat");
            claims.extend(times.iter().map(|(name, time)| ((*name).to_owned(), json!(time))));
            desk.sign(&claims)
        };
        let moment = Duration::from_nanos(1);
        let before = |time: Duration| time.saturating_sub(moment);
        let ends = Duration::from_secs(expires + 30);
        let token = claims(&[("exp", expires)]);
        prop_assert!(desk.admits(&token, before(ends)));
        prop_assert!(!desk.admits(&token, ends));
        prop_assert!(desk.admits(&token, before(ends)));
        prop_assert!(!desk.admits(&token, ends + moment));
        let begins = Duration::from_secs(expires - 30);
        for name in ["nbf", "iat"] {
            let token = claims(&[(name, expires), ("exp", expires + 300)]);
            prop_assert!(!desk.admits(&token, before(begins)));
            prop_assert!(desk.admits(&token, begins));
        }
    }

    #[test]
    fn no_credentials_however_odd_are_worth_anything(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Desk::new().permit(&bytes, NOW).is_none());
        prop_assert!(Desk::new().permit(&[b"Bearer ", &bytes[..]].concat(), NOW).is_none());
    }

    #[test]
    fn no_head_however_odd_is_forwarded_without_a_token(
        method in "[A-Z!#~]{1,8}", target in "/([ -~]{0,40}|mcp[ -~]{0,20})",
        headers in vec((select(&HEADERS[..]), vec(any::<u8>(), 0..40)), 0..8), now in any::<u64>(),
    ) {
        let mut request = Request::builder().method(&*method).uri(&*target);
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request = request.header(name, value);
            }
        }
        let Ok(request) = request.header("host", "mcp.example").body(()) else { return Ok(()) };
        let now = UNIX_EPOCH + Duration::from_secs(now >> 2);
        match Desk::new().pipeline.decide(&request.into_parts().0, &Channel::default(), now) {
            Decision::Answer(answer) => prop_assert!(answer.into_response().is_ok()),
            other @ (Decision::Forward(_)
            | Decision::NeedKey(_)
            | Decision::NeedIntrospection(_)
            | Decision::NeedBody
            | Decision::Front(_)) => panic!("{other:?}"),
        }
    }
}

/// The one value of a header, with what it stands for.
fn heard(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().unwrap();
    assert!(values.next().is_none(), "{name} is said twice");
    let wrapped = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    Some(wrapped.map_or_else(
        || value.to_owned(),
        |wrapped| String::from_utf8(STANDARD.decode(wrapped).unwrap()).unwrap(),
    ))
}

/// What a claim should be told as: nothing, its text, or its JSON.
fn told(claim: &Value) -> Option<String> {
    match claim {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some(claim.to_string())
        }
    }
}

const NOW: Duration = Duration::from_hours(500_000);

const OURS: [&str; 6] = [
    "x-postern-subject",
    "x-postern-issuer",
    "x-postern-client-id",
    "x-postern-scopes",
    "x-user-email",
    "x-user-groups",
];

const NAMES: [&str; 11] =
    ["iss", "sub", "aud", "exp", "nbf", "iat", "scope", "scp", "client_id", "azp", "cnf"];

const HEADERS: [&str; 9] = [
    "authorization",
    "content-length",
    "transfer-encoding",
    "expect",
    "host",
    "access-control-request-headers",
    "origin",
    "x-postern-subject",
    "cookie",
];

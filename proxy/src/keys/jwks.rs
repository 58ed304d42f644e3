//! From a published JWK set to keys: asymmetric, public, one algorithm each (RFC 7517).

mod strength;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse, ThumbprintHash,
};
use serde::Deserialize;
use serde_json::Value;

use super::Key;

/// What a set was found to hold.
#[derive(Debug)]
pub struct Parsed {
    /// Keys to verify with: at least one.
    pub keys: Vec<Key>,
    /// Entries passed over; one odd key does not spoil the others.
    pub skipped: Vec<Skipped>,
}

/// Reads a JWK set for an issuer that may use the algorithms `allowed`.
pub fn parse(body: &[u8], allowed: &[Algorithm]) -> Result<Parsed, Unusable> {
    let set: Set = serde_json::from_slice(body).map_err(|_| Unusable::NotASet)?;
    let mut parsed = Parsed { keys: Vec::new(), skipped: Vec::new() };
    for (index, entry) in set.keys.into_iter().enumerate() {
        let id = entry.get("kid").and_then(Value::as_str);
        let id = id.filter(|id| id.len() <= LONGEST_ID).map(str::to_owned);
        let key = if index < MOST_KEYS { key(entry, allowed) } else { Err(Why::TooMany) };
        match key {
            Ok(key) => parsed.keys.push(key),
            Err(why) => parsed.skipped.push(Skipped { id, why }),
        }
    }
    if parsed.keys.is_empty() {
        return Err(Unusable::NoKey(parsed.skipped.first().map(|skipped| skipped.why)));
    }
    Ok(parsed)
}

/// A key that a client shows of its own, and what it is named by (RFC 7638).
pub(crate) struct Shown {
    pub(crate) key: Key,
    pub(crate) thumbprint: [u8; 32],
}

/// Reads one JWK, to verify with the one algorithm that its owner signed with.
pub(crate) fn shown(entry: &Value, algorithm: Algorithm) -> Result<Shown, Why> {
    let key = key(entry.clone(), &[algorithm])?;
    let jwk: Jwk = serde_json::from_value(entry.clone()).map_err(|_| Why::Malformed)?;
    let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| Why::Malformed)?;
    let thumbprint = URL_SAFE_NO_PAD.decode(thumbprint).map_err(|_| Why::Malformed)?;
    let thumbprint = thumbprint.try_into().map_err(|_| Why::Malformed)?;
    Ok(Shown { key, thumbprint })
}

fn key(entry: Value, allowed: &[Algorithm]) -> Result<Key, Why> {
    // A set that shows private numbers has lost those keys to everybody.
    if PRIVATE.iter().any(|member| entry.get(member).is_some()) {
        return Err(Why::Private);
    }
    // Read apart: the crate does not know every name that we do.
    let named = match entry.get("alg") {
        Some(name) => Some(name.as_str().ok_or(Why::Malformed)?.to_owned()),
        None => None,
    };
    let jwk: Jwk = serde_json::from_value(entry).map_err(|_| Why::Malformed)?;
    if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature)
    {
        return Err(Why::OtherUse);
    }
    if jwk.common.key_operations.as_ref().is_some_and(|all| !all.contains(&KeyOperations::Verify)) {
        return Err(Why::OtherUse);
    }
    if jwk.common.key_id.as_ref().is_some_and(|id| id.len() > LONGEST_ID) {
        return Err(Why::Malformed);
    }
    let algorithm = algorithm(named.as_deref(), &jwk.algorithm, allowed)?;
    let public = strength::check(&jwk.algorithm, algorithm)?;
    let material = serde_json::to_string(&jwk.algorithm).map_err(|_| Why::Malformed)?;
    Ok(Key { id: jwk.common.key_id, algorithm, public, material })
}

/// The one algorithm of a key: the one it names if its type can do that, else the first that its
/// issuer may use and its type can do.
fn algorithm(
    named: Option<&str>,
    key: &AlgorithmParameters,
    allowed: &[Algorithm],
) -> Result<Algorithm, Why> {
    let possible = possible(key)?;
    let Some(named) = named else {
        let first = allowed.iter().find(|algorithm| possible.contains(algorithm));
        return first.copied().ok_or(Why::NotAllowed);
    };
    let named = match named {
        // RFC 9864 gives it a name of its own.
        "Ed25519" => Algorithm::EdDSA,
        name => name.parse().map_err(|_| Why::OtherAlgorithm)?,
    };
    if !possible.contains(&named) {
        return Err(Why::OtherAlgorithm);
    }
    if allowed.contains(&named) { Ok(named) } else { Err(Why::NotAllowed) }
}

/// What keys of this type can do.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enums grow with their crate")]
fn possible(key: &AlgorithmParameters) -> Result<&'static [Algorithm], Why> {
    match key {
        AlgorithmParameters::RSA(_) => Ok(&OF_RSA),
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => Ok(&[Algorithm::ES256]),
            EllipticCurve::P384 => Ok(&[Algorithm::ES384]),
            _ => Err(Why::UnknownType),
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Ok(&[Algorithm::EdDSA])
        }
        AlgorithmParameters::OctetKey(_) => Err(Why::Symmetric),
        _ => Err(Why::UnknownType),
    }
}

const OF_RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Nothing in it can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Something else was served.
    #[error("it is not a JWK set")]
    NotASet,
    /// A set, with nothing to verify with; and why the first was passed over, if there was one.
    #[error("the JWK set has no key to verify with{}", .0.map(of_the_first).unwrap_or_default())]
    NoKey(Option<Why>),
}

fn of_the_first(why: Why) -> String {
    format!(": of the first, {why}")
}

/// An entry that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What it calls itself, unless that is too long to repeat.
    pub id: Option<String>,
    /// What is wrong with it.
    pub why: Why,
}

/// Why a key is not one to verify with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It shows its private half.
    #[error("it shows its private numbers")]
    Private,
    /// A shared secret has no place in public.
    #[error("it is symmetric")]
    Symmetric,
    /// Members are missing or of the wrong type.
    #[error("it is malformed")]
    Malformed,
    /// For encryption, say.
    #[error("it is not for verifying signatures")]
    OtherUse,
    /// Anybody could sign with it.
    #[error("it is weak: too short, of small order, or off its curve")]
    Weak,
    /// A key type or curve that we do not verify.
    #[error("its type or curve is not supported")]
    UnknownType,
    /// Not for signatures of its own type.
    #[error("its algorithm does not go with its type")]
    OtherAlgorithm,
    /// Good, and of no use to us.
    #[error("its algorithm is not among the issuer's algorithms")]
    NotAllowed,
    /// Nobody publishes so many.
    #[error("the set has more entries than are looked at")]
    TooMany,
}

impl Why {
    /// Whether the issuer had better change something: keys for another purpose are none of our
    /// business.
    pub fn is_fault(self) -> bool {
        match self {
            Self::OtherUse | Self::NotAllowed => false,
            Self::Private
            | Self::Symmetric
            | Self::Malformed
            | Self::Weak
            | Self::UnknownType
            | Self::OtherAlgorithm
            | Self::TooMany => true,
        }
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

const PRIVATE: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];

/// More than any issuer publishes; a bound on what one fetch can make us hold.
const MOST_KEYS: usize = 100;

/// Longer than any issuer's; what is kept, compared and logged is bounded by it.
pub(crate) const LONGEST_ID: usize = 256;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "kid": "1", "alg": "ES256", "use": "sig",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })
    }

    const ALL: [Algorithm; 5] =
        [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

    fn parse(body: &[u8]) -> Result<Parsed, Unusable> {
        super::parse(body, &ALL)
    }

    #[track_caller]
    fn skips(why: Why, spoil: impl FnOnce(&mut Value)) {
        let mut bad = good();
        spoil(&mut bad);
        let set = json!({ "keys": [bad, good()] }).to_string();
        let parsed = parse(set.as_bytes()).unwrap();
        assert_eq!(parsed.keys.len(), 1, "the good key stays");
        assert_eq!(parsed.skipped[0].why, why);
    }

    #[test]
    fn skips_a_key_that_shows_its_private_numbers() {
        skips(Why::Private, |key| key["d"] = json!("AQ"));
    }

    #[test]
    fn skips_a_shared_secret() {
        skips(Why::Symmetric, |key| *key = json!({"kty": "oct", "kid": "2", "k": "c2VjcmV0"}));
    }

    #[test]
    fn skips_a_key_for_encryption() {
        skips(Why::OtherUse, |key| key["use"] = json!("enc"));
    }

    #[test]
    fn skips_a_key_whose_operations_lack_verify() {
        skips(Why::OtherUse, |key| key["key_ops"] = json!(["sign"]));
    }

    #[test]
    fn skips_a_key_whose_algorithm_is_of_another_type() {
        skips(Why::OtherAlgorithm, |key| key["alg"] = json!("RS256"));
        skips(Why::OtherAlgorithm, |key| key["alg"] = json!("ES384"));
    }

    #[test]
    fn skips_a_key_type_from_the_future() {
        skips(Why::UnknownType, |key| *key = json!({"kty": "AKP", "alg": "ML-DSA-44"}));
    }

    #[test]
    fn skips_a_point_that_is_not_on_the_curve() {
        skips(Why::Weak, |key| key["x"] = key["y"].clone());
        skips(Why::Weak, |key| key["x"] = json!("AQ"));
    }

    #[test]
    fn skips_an_rsa_key_that_is_short_or_even() {
        let rsa = |bytes: usize, e: &str| {
            let n = URL_SAFE_NO_PAD.encode(vec![0xC1; bytes]);
            json!({"kty": "RSA", "kid": "2", "alg": "RS256", "n": n, "e": e})
        };
        for (bytes, e) in [
            (64, "AQAB"),
            (128, "AQAB"),
            (255, "AQAB"),
            (2000, "AQAB"),
            (256, "AQ"),
            (256, "Ag"),
            (256, "AQAA"),
        ] {
            skips(Why::Weak, |key| *key = rsa(bytes, e));
        }
        assert_eq!(
            parse(json!({"keys": [rsa(256, "AQAB")]}).to_string().as_bytes()).unwrap().keys.len(),
            1
        );
    }

    /// Under such a key a signature of zeros fits any text.
    #[test]
    fn skips_an_ed25519_key_of_small_order() {
        let ed = |bytes: &[u8]| json!({"kty": "OKP", "crv": "Ed25519", "kid": "2", "x": URL_SAFE_NO_PAD.encode(bytes)});
        let mut one = [0; 32];
        one[0] = 1;
        let mut minus_one = [0xFF; 32];
        (minus_one[0], minus_one[31]) = (0xEC, 0x7F);
        let mut one_unreduced = [0xFF; 32];
        (one_unreduced[0], one_unreduced[31]) = (0xEE, 0x7F);
        let eighth = [
            0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF,
            0x98, 0xF0, 0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88,
            0x6D, 0x53, 0xFC, 0x05,
        ];
        for weak in [[0; 32], one, minus_one, one_unreduced, eighth] {
            skips(Why::Weak, |key| *key = ed(&weak));
            let mut negative = weak;
            negative[31] |= 0x80;
            skips(Why::Weak, |key| *key = ed(&negative));
        }
        skips(Why::Weak, |key| *key = ed(&[9; 31]));
    }

    #[test]
    fn skips_what_is_no_key() {
        skips(Why::Malformed, |key| key["x"] = json!("not base64!"));
        skips(Why::Malformed, |key| *key = json!(7));
    }

    #[test]
    fn a_key_without_an_algorithm_has_the_issuers_first_that_its_type_can_do() {
        let n = URL_SAFE_NO_PAD.encode([0xC1; 256]);
        let rsa = json!({"keys": [{"kty": "RSA", "n": n, "e": "AQAB"}]}).to_string();
        let bound = |allowed: &[Algorithm]| {
            super::parse(rsa.as_bytes(), allowed).map(|parsed| parsed.keys[0].algorithm)
        };
        assert_eq!(bound(&ALL).unwrap(), Algorithm::RS256);
        assert_eq!(bound(&[Algorithm::ES256, Algorithm::PS384]).unwrap(), Algorithm::PS384);
        let unusable = Unusable::NoKey(Some(Why::NotAllowed));
        assert_eq!(bound(&[Algorithm::ES256]).unwrap_err(), unusable);
    }

    #[test]
    fn a_key_of_an_algorithm_that_the_issuer_may_not_use_is_not_kept() {
        let mut other = good();
        other["kid"] = json!("2");
        other["alg"] = json!("ES256");
        let set = json!({ "keys": [other] }).to_string();
        assert!(super::parse(set.as_bytes(), &[Algorithm::ES256]).is_ok());
        let unusable = Unusable::NoKey(Some(Why::NotAllowed));
        assert_eq!(super::parse(set.as_bytes(), &[Algorithm::RS256]).unwrap_err(), unusable);
    }

    /// RFC 9864.
    #[test]
    fn the_new_name_of_an_edwards_key_is_known() {
        // RFC 8037 appendix A.2.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        for name in ["Ed25519", "EdDSA"] {
            let key = json!({"kty": "OKP", "crv": "Ed25519", "alg": name, "x": x});
            let parsed = parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
            assert_eq!(parsed.keys[0].algorithm, Algorithm::EdDSA);
        }
        skips(Why::OtherAlgorithm, |key| key["alg"] = json!("Ed25519"));
        skips(Why::OtherAlgorithm, |key| key["alg"] = json!("HS256"));
        skips(Why::OtherAlgorithm, |key| key["alg"] = json!("none"));
        skips(Why::Malformed, |key| key["alg"] = json!(7));
    }

    #[test]
    fn an_id_that_is_too_long_is_neither_kept_nor_repeated() {
        let long = "x".repeat(LONGEST_ID + 1);
        skips(Why::Malformed, |key| key["kid"] = json!(long));
        let mut bad = good();
        bad["kid"] = json!(long);
        let parsed = parse(json!({ "keys": [bad, good()] }).to_string().as_bytes()).unwrap();
        assert_eq!(parsed.skipped[0].id, None);
    }

    #[test]
    fn of_ten_thousand_keys_a_hundred_are_looked_at() {
        let set = json!({ "keys": vec![good(); 10_000] }).to_string();
        let parsed = parse(set.as_bytes()).unwrap();
        assert_eq!((parsed.keys.len(), parsed.skipped.len()), (100, 9_900));
        assert_eq!(parsed.skipped[0].why, Why::TooMany);
    }

    #[test]
    fn a_shown_key_is_as_strong_as_a_published_one_and_named_by_its_own_numbers() {
        // RFC 9449 section 6.1: the key of its examples, and its thumbprint.
        let mut jwk = json!({
            "kty": "EC", "crv": "P-256", "ext": true,
            "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        });
        let thumbprint = |jwk: &Value, algorithm| shown(jwk, algorithm).map(|key| key.thumbprint);
        let named = URL_SAFE_NO_PAD.encode(thumbprint(&jwk, Algorithm::ES256).unwrap());
        assert_eq!(named, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        assert_eq!(thumbprint(&jwk, Algorithm::ES384), Err(Why::NotAllowed));
        assert_eq!(thumbprint(&jwk, Algorithm::RS256), Err(Why::NotAllowed));
        assert_eq!(thumbprint(&json!("a key"), Algorithm::ES256), Err(Why::Malformed));
        jwk["d"] = json!("AQ");
        assert_eq!(thumbprint(&jwk, Algorithm::ES256), Err(Why::Private));
    }

    #[test]
    fn nothing_usable_is_an_error() {
        assert_eq!(parse(b"<html>").unwrap_err(), Unusable::NotASet);
        assert_eq!(parse(br#"{"keys":[]}"#).unwrap_err(), Unusable::NoKey(None));
    }
}

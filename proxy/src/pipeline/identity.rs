//! ID tokens (`OpenID` Connect Core 1.0 section 3.1.3.7): an issuer's word to one client that somebody
//! has just logged in there. They open nothing here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;

use super::authenticate::{Rejected, UnknownKey};
use super::claims::{self, Claims, WrongType};
use super::jose::{Header, Typ};
use super::token::{Compact, Digest};
use crate::config::TrustedIssuer;
use crate::keys::KeySet;

/// What one must say to be the answer to a login of ours.
pub(crate) struct Expected<'e> {
    /// Who says it, and which one that is in the order of the rules.
    pub(crate) issuer: (&'e TrustedIssuer, usize),
    /// Our own name there.
    pub(crate) client: &'e str,
    /// What only the browser that began was given.
    pub(crate) nonce: &'e str,
    /// The token that came beside it.
    pub(crate) access_token: &'e str,
}

impl Expected<'_> {
    /// Whether `token` is that answer, by these keys and at `now`.
    pub(crate) fn check(&self, token: &str, keys: &KeySet, now: SystemTime) -> Result<(), NotOurs> {
        let parts = Compact::read(token).filter(|_| token.len() <= MOST_BYTES);
        let parts = parts.ok_or(NotOurs::NotAJwt)?;
        let header = Header::decode(parts.header).map_err(NotOurs::Header)?;
        self.check_signature(&header, &parts, keys)?;
        self.check_said(&header, &parts, now)
    }

    /// The same of an issuer whose keys nobody looks after, since its access tokens have no signatures:
    /// that it came from the issuer itself over TLS stands for one (section 3.1.3.7, point 6).
    pub(crate) fn check_unsigned(&self, token: &str, now: SystemTime) -> Result<(), NotOurs> {
        let parts = Compact::read(token).filter(|_| token.len() <= MOST_BYTES);
        let parts = parts.ok_or(NotOurs::NotAJwt)?;
        let header = Header::decode(parts.header).map_err(NotOurs::Header)?;
        self.check_said(&header, &parts, now)
    }

    fn check_said(
        &self,
        header: &Header,
        parts: &Compact<'_>,
        now: SystemTime,
    ) -> Result<(), NotOurs> {
        if matches!(header.typ, Typ::AccessToken | Typ::Other) {
            return Err(NotOurs::Type);
        }
        let claims = Claims::decode(parts.payload).ok_or(NotOurs::NotAJwt)?;
        if claims.text("iss") != Some(self.issuer.0.issuer.as_str()) {
            return Err(NotOurs::Issuer);
        }
        self.check_audience(&claims)?;
        self.check_times(&claims, now)?;
        if claims.text("sub").is_none_or(str::is_empty) {
            return Err(NotOurs::Claim("sub"));
        }
        let nonce = claims.text("nonce").unwrap_or_default();
        verify_slices_are_equal(nonce.as_bytes(), self.nonce.as_bytes())
            .map_err(|_| NotOurs::Nonce)?;
        self.check_neighbour(&claims, header.algorithm)
    }

    fn check_signature(
        &self,
        header: &Header,
        parts: &Compact<'_>,
        keys: &KeySet,
    ) -> Result<(), NotOurs> {
        let id = header.key_id.as_deref();
        let mut candidates = keys.candidates(id, header.algorithm);
        if candidates.any(|key| key.verifies(parts.signed.as_bytes(), parts.signature)) {
            return Ok(());
        }
        match id {
            Some(id) if keys.knows(id) => Err(NotOurs::Signature),
            Some(_) | None => {
                let mark = Digest::of(id.unwrap_or(parts.signed).as_bytes());
                Err(NotOurs::UnknownKey(UnknownKey { issuer: self.issuer.1, mark }))
            }
        }
    }

    /// For us; and if for others too, it must say that it was given to us.
    fn check_audience(&self, claims: &Claims) -> Result<(), NotOurs> {
        let audiences = claims::texts(claims.get("aud"));
        let audiences = audiences.map_err(|WrongType| NotOurs::Claim("aud"))?;
        let party = claims.optional_text("azp").map_err(|WrongType| NotOurs::Claim("azp"))?;
        let given_to_us = match party {
            Some(party) => party == self.client,
            None => audiences.len() == 1,
        };
        let ours = audiences.contains(&self.client) && given_to_us;
        if ours { Ok(()) } else { Err(NotOurs::Audience) }
    }

    fn check_times(&self, claims: &Claims, now: SystemTime) -> Result<(), NotOurs> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let leeway = self.issuer.0.leeway;
        let time = |name| -> Result<Option<Duration>, NotOurs> {
            claims.time(name).map_err(|WrongType| NotOurs::Claim(name))
        };
        let expires = time("exp")?.ok_or(NotOurs::Claim("exp"))?;
        if now >= expires.saturating_add(leeway) {
            return Err(NotOurs::Expired);
        }
        let issued = time("iat")?.ok_or(NotOurs::Claim("iat"))?;
        let begins = time("nbf")?.unwrap_or(issued).max(issued);
        if begins > now.saturating_add(leeway) { Err(NotOurs::NotYetValid) } else { Ok(()) }
    }

    /// Section 3.1.3.8: where it names the access token beside it, that must be the one.
    fn check_neighbour(&self, claims: &Claims, algorithm: Algorithm) -> Result<(), NotOurs> {
        let named = claims.optional_text("at_hash");
        let Some(named) = named.map_err(|WrongType| NotOurs::Claim("at_hash"))? else {
            return Ok(());
        };
        let hash = digest::digest(by(algorithm), self.access_token.as_bytes());
        let half = hash.as_ref().get(..hash.as_ref().len() / 2).unwrap_or_default();
        if named == URL_SAFE_NO_PAD.encode(half) { Ok(()) } else { Err(NotOurs::OtherToken) }
    }
}

/// The digest that belongs to a signature's algorithm.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum grows with its crate")]
fn by(algorithm: Algorithm) -> &'static digest::Algorithm {
    match algorithm {
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => &SHA384,
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => &SHA512,
        _ => &SHA256,
    }
}

/// Why an ID token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotOurs {
    #[error("it is not a signed JWT in compact form")]
    NotAJwt,
    #[error("its header: {0}")]
    Header(#[source] Rejected),
    #[error("its typ says that it is something else")]
    Type,
    #[error("its key is not one that the issuer publishes")]
    UnknownKey(UnknownKey),
    #[error("its signature is wrong")]
    Signature,
    #[error("it is another issuer's")]
    Issuer,
    #[error("it is for another client")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYetValid,
    #[error("its nonce is not that of this login")]
    Nonce,
    #[error("its at_hash is that of another access token")]
    OtherToken,
    #[error("its claim {0} is missing or malformed")]
    Claim(&'static str),
}

/// More than of an access token: some hold whole profiles.
const MOST_BYTES: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{EncodingKey, crypto};
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;
    use crate::keys::{Keyring, jwks};

    const NOW: u64 = 1_700_000_000;
    const LEEWAY: u64 = 30;

    /// A good one; a test spoils one thing of it.
    struct Draft {
        signing: EncodingKey,
        keys: Keyring,
        header: Value,
        claims: Value,
    }

    impl Draft {
        fn new() -> Self {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &SystemRandom::new(),
            );
            let signing = EncodingKey::from_ec_der(pkcs8.unwrap().as_ref());
            let mut jwk = Jwk::from_encoding_key(&signing, Algorithm::ES256).unwrap();
            jwk.common.key_id = Some("k".into());
            let set = json!({ "keys": [jwk] }).to_string();
            let keys = Keyring::default();
            let parsed = jwks::parse(set.as_bytes(), &[Algorithm::ES256]);
            keys.replace(parsed.unwrap_or_else(|_| panic!("no keys")).keys);
            let half = digest::digest(&SHA256, b"at");
            let half = URL_SAFE_NO_PAD.encode(&half.as_ref()[..16]);
            Self {
                signing,
                keys,
                header: json!({ "alg": "ES256", "kid": "k" }),
                claims: json!({
                    "iss": "https://id.example", "sub": "ada", "aud": "gateway", "nonce": "n",
                    "iat": NOW, "exp": NOW + 60, "at_hash": half,
                }),
            }
        }

        fn judged_at(&self, now: u64) -> Result<(), NotOurs> {
            let text = "tls: off\nresource: {url: 'https://mcp.example/mcp'}\n\
                issuers: [{issuer: 'https://id.example'}]\nupstream: {address: 'unix:/b'}";
            let issuer = Config::parse(text).unwrap().rules.issuers.remove(0);
            let expected = Expected {
                issuer: (&issuer, 3),
                client: "gateway",
                nonce: "n",
                access_token: "at",
            };
            let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let signed = format!("{}.{}", encode(&self.header), encode(&self.claims));
            let signature =
                crypto::sign(signed.as_bytes(), &self.signing, Algorithm::ES256).unwrap();
            let now = UNIX_EPOCH + Duration::from_secs(now);
            expected.check(&format!("{signed}.{signature}"), &self.keys.current().unwrap(), now)
        }
    }

    #[track_caller]
    fn refuses(why: NotOurs, name: &str, value: Value) {
        let mut draft = Draft::new();
        if value.is_null() {
            draft.claims.as_object_mut().unwrap().remove(name);
        } else {
            draft.claims[name] = value;
        }
        assert_eq!(draft.judged_at(NOW), Err(why), "{name}");
    }

    #[test]
    fn a_good_one_is_taken() {
        assert_eq!(Draft::new().judged_at(NOW), Ok(()));
        let mut several = Draft::new();
        several.claims["aud"] = json!(["gateway", "other"]);
        several.claims["azp"] = json!("gateway");
        assert_eq!(several.judged_at(NOW), Ok(()));
        let mut bare = Draft::new();
        bare.claims.as_object_mut().unwrap().remove("at_hash");
        assert_eq!(bare.judged_at(NOW), Ok(()));
    }

    #[test]
    fn one_for_somebody_else_is_not() {
        refuses(NotOurs::Issuer, "iss", json!("https://evil.example"));
        refuses(NotOurs::Audience, "aud", json!("other"));
        refuses(NotOurs::Audience, "aud", Value::Null);
        refuses(NotOurs::Audience, "aud", json!(["gateway", "other"]));
        refuses(NotOurs::Audience, "azp", json!("other"));
        refuses(NotOurs::Claim("aud"), "aud", json!(7));
    }

    #[test]
    fn one_of_another_login_is_not() {
        refuses(NotOurs::Nonce, "nonce", json!("m"));
        refuses(NotOurs::Nonce, "nonce", Value::Null);
        refuses(NotOurs::Nonce, "nonce", json!(["n"]));
        refuses(NotOurs::OtherToken, "at_hash", json!("AAAA"));
        refuses(NotOurs::Claim("at_hash"), "at_hash", json!(1));
        refuses(NotOurs::Claim("sub"), "sub", json!(""));
    }

    #[test]
    fn time_has_edges() {
        let draft = Draft::new();
        assert_eq!(draft.judged_at(NOW + 60 + LEEWAY - 1), Ok(()));
        assert_eq!(draft.judged_at(NOW + 60 + LEEWAY), Err(NotOurs::Expired));
        assert_eq!(draft.judged_at(NOW - LEEWAY), Ok(()));
        assert_eq!(draft.judged_at(NOW - LEEWAY - 1), Err(NotOurs::NotYetValid));
        refuses(NotOurs::Claim("exp"), "exp", Value::Null);
        refuses(NotOurs::Claim("iat"), "iat", json!("1"));
    }

    #[test]
    fn what_nobody_signed_is_not() {
        let mut draft = Draft::new();
        draft.signing = Draft::new().signing;
        assert_eq!(draft.judged_at(NOW), Err(NotOurs::Signature));
        draft.header["kid"] = json!("new");
        let told = draft.judged_at(NOW);
        assert!(matches!(told, Err(NotOurs::UnknownKey(UnknownKey { issuer: 3, .. }))), "{told:?}");
        draft.header["alg"] = json!("none");
        assert_eq!(draft.judged_at(NOW), Err(NotOurs::Header(Rejected::Algorithm)));
        let mut access = Draft::new();
        access.header["typ"] = json!("at+jwt");
        assert_eq!(access.judged_at(NOW), Err(NotOurs::Type));
    }
}

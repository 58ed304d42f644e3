use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use http::HeaderValue;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, crypto};
use serde_json::{Value, json};

use super::*;

const TOKEN: &str = "a.good.token";
const NOW: u64 = 1_700_000_000;

/// A good proof for `POST https://mcp.example/mcp`; a test spoils one thing of it.
struct Draft {
    signing: EncodingKey,
    algorithm: Algorithm,
    header: Value,
    claims: Value,
}

impl Draft {
    fn new() -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &aws_lc_rs::rand::SystemRandom::new(),
        );
        Self::signed_with(EncodingKey::from_ec_der(pkcs8.unwrap().as_ref()), Algorithm::ES256)
    }

    fn signed_with(signing: EncodingKey, algorithm: Algorithm) -> Self {
        let jwk = Jwk::from_encoding_key(&signing, algorithm).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk.as_object_mut().unwrap().remove("alg");
        let hash = URL_SAFE_NO_PAD.encode(sha256(TOKEN));
        Self {
            signing,
            algorithm,
            header: json!({ "typ": "dpop+jwt", "alg": algorithm, "jwk": jwk }),
            claims: json!({
                "jti": "1", "htm": "POST", "htu": "https://mcp.example/mcp", "iat": NOW, "ath": hash,
            }),
        }
    }

    fn text(&self) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&self.header), encode(&self.claims));
        let signature = crypto::sign(signed.as_bytes(), &self.signing, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }

    fn thumbprint(&self) -> Sha256 {
        let jwk = Jwk::from_encoding_key(&self.signing, self.algorithm).unwrap();
        let jwk = serde_json::to_value(jwk).unwrap();
        jwks::shown(&jwk, self.algorithm).unwrap().thumbprint
    }
}

fn sha256(text: &str) -> Sha256 {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().try_into().unwrap()
}

fn read(texts: &[&str], key: &Sha256) -> Result<Proof, Unproven> {
    let mut headers = HeaderMap::new();
    for text in texts {
        headers.append("dpop", HeaderValue::from_str(text).unwrap());
    }
    let asked = Asked {
        method: &Method::POST,
        origin: "https://mcp.example",
        path: "/mcp",
        token: &sha256(TOKEN),
        key,
        now: Duration::from_secs(NOW),
    };
    Proof::read(&headers, &asked)
}

fn judge(spoil: impl FnOnce(&mut Draft)) -> Result<Proof, Unproven> {
    let mut draft = Draft::new();
    let key = draft.thumbprint();
    spoil(&mut draft);
    read(&[&draft.text()], &key)
}

#[track_caller]
fn refuses(why: Unproven, spoil: impl FnOnce(&mut Draft)) {
    assert_eq!(judge(spoil), Err(why));
}

#[test]
fn a_good_proof_is_believed() {
    let proof = judge(|_| ()).unwrap();
    assert_eq!(proof, Proof { id: "1".into(), nonce: None });
    let proof = judge(|draft| draft.claims["nonce"] = json!("n")).unwrap();
    assert_eq!(proof.nonce.as_deref(), Some("n"));
    assert!(judge(|draft| draft.header["jwk"]["alg"] = json!("ES256")).is_ok());
    assert!(judge(|draft| draft.header["jwk"]["use"] = json!("sig")).is_ok());
    assert!(judge(|draft| draft.header["typ"] = json!("application/DPoP+JWT")).is_ok());
}

/// The proof of RFC 9449 section 7.1, to the letter.
#[test]
fn the_proof_of_the_rfc_is_believed() {
    let text = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
                VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
                nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE\
                QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj\
                oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z\
                WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNF\
                c05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71E\
                OptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    let mut headers = HeaderMap::new();
    headers.insert("dpop", HeaderValue::from_static(text));
    let key = URL_SAFE_NO_PAD.decode("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap();
    let asked = Asked {
        method: &Method::GET,
        origin: "https://resource.example.org",
        path: "/protectedresource",
        token: &sha256("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
        key: &key.try_into().unwrap(),
        now: Duration::from_secs(1_562_262_618),
    };
    assert_eq!(Proof::read(&headers, &asked).unwrap().id, "e1j3V_bKic8-LAEB");
}

#[test]
fn keys_of_every_advertised_kind_sign_proofs() {
    use aws_lc_rs::encoding::AsDer as _;
    let random = aws_lc_rs::rand::SystemRandom::new();
    let p384 = EcdsaKeyPair::generate_pkcs8(
        &aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        &random,
    );
    let ed = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
    let rsa = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    // What signs wants the key without its wrapping, whose length is that of any such key.
    let rsa_der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = rsa.as_der().unwrap();
    let rsa = || EncodingKey::from_rsa_der(&rsa_der.as_ref()[26..]);
    for (algorithm, signing) in [
        (Algorithm::ES384, EncodingKey::from_ec_der(p384.unwrap().as_ref())),
        (Algorithm::EdDSA, EncodingKey::from_ed_der(ed.as_ref())),
        (Algorithm::RS256, rsa()),
        (Algorithm::PS256, rsa()),
    ] {
        let mut draft = Draft::signed_with(signing, algorithm);
        let key = draft.thumbprint();
        assert!(read(&[&draft.text()], &key).is_ok(), "{algorithm:?}");
        if algorithm == Algorithm::EdDSA {
            draft.header["alg"] = json!("Ed25519");
            assert!(read(&[&draft.text()], &key).is_ok(), "Ed25519 (RFC 9864)");
        }
    }
}

#[test]
fn check_1_exactly_one_proof() {
    let draft = Draft::new();
    let (key, text) = (draft.thumbprint(), draft.text());
    assert_eq!(read(&[], &key), Err(Unproven::NoProof));
    assert_eq!(read(&[&text, &text], &key), Err(Unproven::Repeated));
    assert_eq!(read(&[&format!("{text}, {text}")], &key), Err(Unproven::NotAJwt));
}

#[test]
fn check_2_one_well_formed_jwt() {
    let draft = Draft::new();
    let (key, text) = (draft.thumbprint(), draft.text());
    let torn = text.rsplit_once('.').unwrap().0;
    let twice = format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode("{\"typ\":1,\"typ\":2}"), "e30");
    let long = format!("{text}{}", "A".repeat(MOST_BYTES));
    for text in ["", "proof", "a.b", torn, &format!("{text}."), &twice, &long, "W10.e30.AAAA"] {
        assert_eq!(read(&[text], &key), Err(Unproven::NotAJwt), "{text}");
    }
}

#[test]
fn check_3_every_claim_is_there_and_of_its_type() {
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        refuses(Unproven::Claim(name), |draft| {
            draft.claims.as_object_mut().unwrap().remove(name);
        });
        for wrong in [json!(null), json!([1]), json!({})] {
            refuses(Unproven::Claim(name), |draft| draft.claims[name] = wrong);
        }
    }
    refuses(Unproven::Claim("iat"), |draft| draft.claims["iat"] = json!(NOW.to_string()));
    refuses(Unproven::Claim("jti"), |draft| draft.claims["jti"] = json!(""));
    refuses(Unproven::Claim("jti"), |draft| draft.claims["jti"] = json!("x".repeat(257)));
    refuses(Unproven::Claim("ath"), |draft| draft.claims["ath"] = json!("not base64url!"));
    refuses(Unproven::Claim("nonce"), |draft| draft.claims["nonce"] = json!(7));
}

#[test]
fn check_4_its_type_is_its_own() {
    for kind in [json!("JWT"), json!("at+jwt"), json!("dpop"), json!(null), json!(["dpop+jwt"])] {
        refuses(Unproven::Type, |draft| draft.header["typ"] = kind);
    }
}

#[test]
fn check_5_an_asymmetric_algorithm_that_is_allowed() {
    for name in ["none", "None", "HS256", "es256", "RS1", "RS512", ""] {
        refuses(Unproven::Algorithm, |draft| draft.header["alg"] = json!(name));
    }
}

#[test]
fn check_6_the_signature_is_that_of_the_shown_key() {
    let draft = Draft::new();
    let (key, text) = (draft.thumbprint(), draft.text());
    let (signed, _) = text.rsplit_once('.').unwrap();
    let zeros = URL_SAFE_NO_PAD.encode([0; 64]);
    assert_eq!(read(&[&format!("{signed}.{zeros}")], &key), Err(Unproven::Signature));
    // Another signs, and shows the key of the one that the token is bound to.
    let mut other = Draft::new();
    other.header["jwk"] = draft.header["jwk"].clone();
    assert_eq!(read(&[&other.text()], &key), Err(Unproven::Signature));
}

#[test]
fn check_7_the_shown_key_is_public_strong_and_for_the_algorithm() {
    refuses(Unproven::Key, |draft| draft.header["jwk"]["d"] = json!("AQ"));
    refuses(Unproven::Key, |draft| draft.header["jwk"] = json!({"kty": "oct", "k": "AQ"}));
    refuses(Unproven::Key, |draft| draft.header["jwk"] = json!("a key"));
    refuses(Unproven::Key, |draft| draft.header["jwk"]["use"] = json!("enc"));
    refuses(Unproven::Key, |draft| draft.header["jwk"]["alg"] = json!("ES384"));
    refuses(Unproven::Key, |draft| draft.header["jwk"]["alg"] = json!(7));
    refuses(Unproven::Key, |draft| draft.header["alg"] = json!("ES384"));
    refuses(Unproven::Key, |draft| draft.header["alg"] = json!("RS256"));
    refuses(Unproven::Key, |draft| {
        let y = draft.header["jwk"]["y"].clone();
        draft.header["jwk"]["x"] = y;
    });
    refuses(Unproven::Key, |draft| {
        draft.header.as_object_mut().unwrap().remove("jwk");
    });
    refuses(Unproven::Critical, |draft| draft.header["crit"] = json!(["exp"]));
    refuses(Unproven::Critical, |draft| draft.header["b64"] = json!(false));
}

#[test]
fn check_8_the_method_is_the_requests_own() {
    for method in ["GET", "post", "POST ", ""] {
        refuses(Unproven::Method, |draft| draft.claims["htm"] = json!(method));
    }
}

#[test]
fn check_9_the_target_is_the_requests_own() {
    for htu in ["https://evil.example/mcp", "https://mcp.example/mcp/x", "/mcp", ""] {
        refuses(Unproven::Target, |draft| draft.claims["htu"] = json!(htu));
    }
    assert!(judge(|draft| draft.claims["htu"] = json!("https://MCP.example:443/mcp?x")).is_ok());
}

#[test]
fn check_11_it_was_made_just_now() {
    for iat in [NOW - 61, NOW + 61, 0, u64::MAX] {
        refuses(Unproven::Time, |draft| draft.claims["iat"] = json!(iat));
    }
    for iat in [NOW - 60, NOW + 60] {
        assert!(judge(|draft| draft.claims["iat"] = json!(iat)).is_ok(), "{iat}");
    }
}

#[test]
fn check_12_it_is_for_this_token_and_by_its_key() {
    let other = URL_SAFE_NO_PAD.encode(sha256("another.token.here"));
    refuses(Unproven::OtherToken, |draft| draft.claims["ath"] = json!(other));
    refuses(Unproven::OtherToken, |draft| draft.claims["ath"] = json!("AAAA"));
    let text = Draft::new().text();
    assert_eq!(read(&[&text], &Draft::new().thumbprint()), Err(Unproven::OtherKey));
}

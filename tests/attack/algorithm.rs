//! The algorithm is the key's, whatever the token says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use proxy::pipeline::authenticate::Rejected;
use serde_json::{Value, json};

use super::Siege;
use crate::harness::Key;

#[test]
fn a_token_that_says_it_needs_no_signature_is_refused_however_that_is_spelt() {
    let mut siege = Siege::lay();
    for algorithm in ["none", "None", "NONE", "nOnE", "none ", "\u{0}none", "n\u{f6}ne", ""] {
        let header = json!({ "alg": algorithm, "typ": "at+jwt", "kid": "first" }).to_string();
        let good = siege.with_header(&header);
        let (signed, _) = good.rsplit_once('.').unwrap();
        siege.is_refused(&good, Rejected::Algorithm);
        siege.is_refused(&format!("{signed}.AAAA"), Rejected::Algorithm);
        for torn in [format!("{signed}."), signed.to_owned(), format!("{signed}..")] {
            siege.is_refused(&torn, Rejected::NotAJwt);
        }
    }
    siege.lift();
}

/// The classic: the verifier takes the public key, which everybody knows, for a shared secret.
#[test]
fn a_public_key_is_no_shared_secret_in_whatever_form_it_is_taken() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let key = Key::of(algorithm, "second");
        let mut siege = Siege::with_keys(&[key.published()], "");
        let claims = siege.claims().text();
        for secret in secrets(&key) {
            for (name, hash) in [
                ("HS256", Algorithm::HS256),
                ("HS384", Algorithm::HS384),
                ("HS512", Algorithm::HS512),
            ] {
                for id in ["second", "first"] {
                    let header = json!({ "alg": name, "typ": "at+jwt", "kid": id }).to_string();
                    let token = keyed(&header, &claims, &secret, hash);
                    siege.is_refused(&token, Rejected::Algorithm);
                }
            }
            let honest = serde_json::to_string(&key.header()).unwrap();
            let token = keyed(&honest, &claims, &secret, Algorithm::HS256);
            siege.is_refused(&token, Rejected::Signature);
        }
        siege.lift();
    }
}

/// Everything that a careless reader of keys may hand to an HMAC.
fn secrets(key: &Key) -> Vec<Vec<u8>> {
    let [pem, der, numbers] = key.public();
    let text = String::from_utf8(pem.clone()).unwrap();
    let unix = text.replace("\r\n", "\n");
    let mut secrets = vec![
        unix.clone().into_bytes(),
        unix.trim_end().as_bytes().to_vec(),
        unix.replace('\n', "\r\n").into_bytes(),
        format!(" \n{unix}").into_bytes(),
        format!("{unix}\n\0").into_bytes(),
        pem,
        der,
        numbers,
        Vec::new(),
    ];
    let jwk = key.published();
    for member in ["n", "x", "y"] {
        if let Some(text) = jwk.get(member).and_then(Value::as_str) {
            secrets.push(URL_SAFE_NO_PAD.decode(text).unwrap());
            secrets.push(text.into());
        }
    }
    secrets.push(jwk.to_string().into_bytes());
    secrets
}

fn keyed(header: &str, claims: &str, secret: &[u8], algorithm: Algorithm) -> String {
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = crypto::sign(signed.as_bytes(), &EncodingKey::from_secret(secret), algorithm);
    format!("{signed}.{}", signature.unwrap())
}

#[test]
fn a_key_without_an_algorithm_verifies_the_issuers_first_and_no_other() {
    let all = "issuers: [{issuer: ISSUER, algorithms: [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA]}]";
    let rsa = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ];
    for usual in [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let key = Key::of(usual, "second");
        let mut published = key.published();
        published.as_object_mut().unwrap().remove("alg");
        let issuer = crate::harness::Issuer::start();
        issuer.publish_text(&json!({ "keys": [issuer.key.published(), published] }).to_string());
        let settings = all.replace("ISSUER", &issuer.url());
        let world = crate::harness::World::unready(issuer, &settings);
        crate::harness::wait_until("the proxy is ready", || world.is_ready());
        let mut siege = Siege::on(world);
        siege.passes(&key.sign(&siege.claims()));
        let others = rsa.into_iter().chain([Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA]);
        for other in others.filter(|other| *other != usual) {
            // Truly signed with it, where the key can do that.
            let header = json!({ "alg": format!("{other:?}"), "typ": "at+jwt", "kid": "second" });
            let claims = siege.claims().text();
            let token = if rsa.contains(&usual) && rsa.contains(&other) {
                Key::of(other, "second").sign_text(&header.to_string(), &claims)
            } else {
                key.sign_text(&header.to_string(), &claims)
            };
            siege.is_refused(&token, Rejected::Signature);
        }
        siege.lift();
    }
}

/// One RSA key, published for one padding, must not verify the other.
#[test]
fn a_key_that_names_its_algorithm_verifies_that_one_alone() {
    for (named, other) in
        [(Algorithm::PS256, Algorithm::RS256), (Algorithm::RS256, Algorithm::PS256)]
    {
        let key = Key::of(named, "second");
        let mut siege = Siege::with_keys(&[key.published()], "");
        siege.passes(&key.sign(&siege.claims()));
        let token = Key::of(other, "second").sign(&siege.claims());
        siege.is_refused(&token, Rejected::Signature);
        let header = serde_json::to_string(&key.header()).unwrap();
        let relabelled = Key::of(other, "second").sign_text(&header, &siege.claims().text());
        siege.is_refused(&relabelled, Rejected::Signature);
        siege.lift();
    }
}

#[test]
fn an_algorithm_that_the_issuer_may_not_use_is_refused_though_its_key_is_published() {
    let key = Key::of(Algorithm::RS512, "second");
    let mut siege = Siege::with_keys(&[key.published()], "");
    siege.is_refused(&key.sign(&siege.claims()), Rejected::Algorithm);
    siege.lift();
}

#[test]
fn an_algorithm_is_one_known_name_in_its_own_case() {
    let mut siege = Siege::lay();
    for name in [
        "es256",
        "Es256",
        "ES256 ",
        " ES256",
        "ES256\u{0}",
        "ES256K",
        "ES512",
        "RSA-OAEP",
        "dir",
        "A256GCM",
        "PBES2-HS256+A128KW",
        "ML-DSA-44",
        "\u{ff25}S256",
    ] {
        let header = json!({ "alg": name, "typ": "at+jwt", "kid": "first" }).to_string();
        siege.is_refused(&siege.with_header(&header), Rejected::Algorithm);
    }
    for value in ["256", "[\"ES256\"]", "{\"ES256\":1}", "null", "true", "1e2"] {
        let header = format!(r#"{{"alg":{value},"typ":"at+jwt","kid":"first"}}"#);
        siege.is_refused(&siege.with_header(&header), Rejected::Algorithm);
    }
    let none = r#"{"typ":"at+jwt","kid":"first"}"#;
    siege.is_refused(&siege.with_header(none), Rejected::Algorithm);
    siege.lift();
}

#[test]
fn an_algorithm_that_is_named_twice_is_no_header() {
    let mut siege = Siege::lay();
    for header in [
        r#"{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"first"}"#,
        r#"{"alg":"ES256","typ":"at+jwt","kid":"first","alg":"ES256"}"#,
        r#"{"alg":"ES256","\u0061lg":"none","typ":"at+jwt","kid":"first"}"#,
    ] {
        siege.is_refused(&siege.with_header(header), Rejected::NotAJwt);
    }
    siege.lift();
}

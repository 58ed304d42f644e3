//! A signature is one key's over one text, or it is nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use proxy::pipeline::authenticate::Rejected;
use serde_json::{Value, json};

use super::Siege;
use crate::harness::Key;

#[test]
fn a_token_that_was_changed_in_any_part_is_refused() {
    let mut siege = Siege::lay();
    let good = siege.world.issuer.token();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("{good}")
    };
    let root = URL_SAFE_NO_PAD.encode(siege.claims().set("sub", "root").text());
    siege.is_refused(&format!("{header}.{root}.{signature}"), Rejected::Signature);
    // The same header to a reader of JSON, and another text to the signature.
    let same = URL_SAFE_NO_PAD.decode(header).unwrap();
    let same = URL_SAFE_NO_PAD.encode(format!("{} ", String::from_utf8(same).unwrap()));
    siege.is_refused(&format!("{same}.{payload}.{signature}"), Rejected::Signature);
    let other = siege.key().sign(&siege.claims().set("jti", "2"));
    let borrowed = other.rsplit_once('.').unwrap().1;
    siege.is_refused(&format!("{header}.{payload}.{borrowed}"), Rejected::Signature);
    siege.is_refused(&Key::new("first").sign(&siege.claims()), Rejected::Signature);
    siege.passes(&good);
    siege.lift();
}

/// RFC 7518 section 3.4: the two numbers side by side, each as long as the curve's order.
#[test]
fn an_ecdsa_signature_is_two_numbers_of_full_length_and_in_range() {
    let mut siege = Siege::lay();
    let good = siege.world.issuer.token();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (r, s) = signature.split_at(32);
    let zero = [0; 32];
    let order: [u8; 32] = {
        let mut order = [0xFF; 32];
        order[4..8].fill(0);
        order[16..].copy_from_slice(&[
            0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63,
            0x25, 0x51,
        ]);
        order
    };
    let forged: Vec<Vec<u8>> = vec![
        der(r, s),
        [zero, zero].concat(),
        [r, &zero].concat(),
        [&zero, s].concat(),
        [order, order].concat(),
        [r, &order].concat(),
        [s, r].concat(),
        [[0xFF; 32], [0xFF; 32]].concat(),
        signature[..63].to_vec(),
        signature[1..].to_vec(),
        [&signature[..], &[0]].concat(),
        [&[0], &signature[..]].concat(),
        [&[0], r, &[0], s].concat(),
        [&signature[..], &signature[..]].concat(),
        r.to_vec(),
        vec![0],
        vec![0; 64],
        vec![0; 1024],
    ];
    for forged in forged {
        let forged = URL_SAFE_NO_PAD.encode(forged);
        siege.is_refused(&format!("{signed}.{forged}"), Rejected::Signature);
    }
    siege.passes(&good);
    siege.lift();
}

/// The form that certificates use.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let sign: &[u8] = if number[0] >= 0x80 { &[0] } else { &[] };
        let length = u8::try_from(sign.len() + number.len()).unwrap();
        [&[2, length], sign, number].concat()
    };
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], &both[..]].concat()
}

#[test]
fn a_signature_of_zeros_fits_no_key_of_any_kind() {
    let algorithms = [
        (Algorithm::RS256, 256),
        (Algorithm::PS256, 256),
        (Algorithm::ES384, 96),
        (Algorithm::EdDSA, 64),
    ];
    for (algorithm, bytes) in algorithms {
        let key = Key::of(algorithm, "second");
        let mut siege = Siege::with_keys(&[key.published()], "");
        let good = key.sign(&siege.claims());
        siege.passes(&good);
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let honest = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(honest.len(), bytes);
        for bytes in [bytes, bytes - 1, bytes + 1, 0] {
            for byte in [0, 1, 0xFF] {
                let forged = URL_SAFE_NO_PAD.encode(vec![byte; bytes]);
                let why = if bytes == 0 { Rejected::NotAJwt } else { Rejected::Signature };
                siege.is_refused(&format!("{signed}.{forged}"), why);
            }
        }
        siege.lift();
    }
}

/// Every one of these could be signed with by anybody; the good key beside them must not suffer.
#[test]
fn weak_keys_in_the_set_verify_nothing_and_take_no_good_one_along() {
    let rsa = Key::of(Algorithm::RS256, "weak").published();
    let ed = |x: [u8; 32]| json!({ "kty": "OKP", "crv": "Ed25519", "kid": "weak", "x": URL_SAFE_NO_PAD.encode(x) });
    let with = |key: &Value, name: &str, value: String| {
        let mut key = key.clone();
        key[name] = json!(value);
        key
    };
    let short = URL_SAFE_NO_PAD.encode([0xC1; 64]);
    let weak = [
        with(&rsa, "n", short),
        with(&rsa, "e", "AQ".into()),
        with(&rsa, "e", "Ag".into()),
        ed([0; 32]),
        ed(std::array::from_fn(|at| u8::from(at == 0))),
        json!({ "kty": "oct", "kid": "weak", "alg": "HS256", "k": "c2VjcmV0" }),
        with(&Key::new("weak").published(), "x", URL_SAFE_NO_PAD.encode([0; 32])),
        with(&Key::new("weak").published(), "d", "AQ".into()),
        json!(null),
    ];
    let mut siege = Siege::with_keys(&weak, "");
    let claims = siege.claims().text();
    let point_and_zero = std::array::from_fn::<u8, 64, _>(|at| u8::from(at == 0));
    for (algorithm, forged) in [
        ("EdDSA", point_and_zero.to_vec()),
        ("EdDSA", vec![0; 64]),
        ("RS256", Vec::new()),
        ("ES256", vec![0; 64]),
    ] {
        let header = json!({ "alg": algorithm, "typ": "at+jwt", "kid": "weak" }).to_string();
        let signed = [header, claims.clone()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let forged = if algorithm == "RS256" { bare_padding(&signed) } else { forged };
        siege.has_no_key(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(forged)));
    }
    siege.lift();
}

/// Under an exponent of one, what is to be signed is its own signature (RFC 8017 section 9.2).
fn bare_padding(signed: &str) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, signed.as_bytes());
    let info = [
        0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    let tail = [&[0][..], &info, digest.as_ref()].concat();
    [&[0, 1][..], &vec![0xFF; 256 - 2 - tail.len()], &tail].concat()
}

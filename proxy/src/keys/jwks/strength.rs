//! Is this key one that only its owner can sign with?

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaVerificationAlgorithm,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, EllipticCurveKeyParameters, OctetKeyPairParameters,
    RSAKeyParameters,
};

use super::Why;

/// Libraries check some of this when they verify, and too late: by then the set has been taken over.
/// `algorithm` is one that the key's type can do.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum grows with its crate")]
pub(super) fn check(
    key: &AlgorithmParameters,
    algorithm: Algorithm,
) -> Result<ParsedPublicKey, Why> {
    match key {
        AlgorithmParameters::RSA(key) => rsa(key, algorithm),
        AlgorithmParameters::EllipticCurve(key) => elliptic(key),
        AlgorithmParameters::OctetKeyPair(key) => edwards(key),
        _ => Err(Why::UnknownType),
    }
}

fn rsa(key: &RSAKeyParameters, algorithm: Algorithm) -> Result<ParsedPublicKey, Why> {
    let (n, e) = (decode(&key.n)?, decode(&key.e)?);
    let (n, e) = (without_zeros(&n), without_zeros(&e));
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let bits =
        (n.len() * 8).saturating_sub(n.first().map_or(0, |first| first.leading_zeros() as usize));
    let strong = (2048..=8192).contains(&bits) && odd(n) && odd(e) && e != [1] && e.len() <= 4;
    if !strong {
        return Err(Why::Weak);
    }
    let parameters = parameters(algorithm).ok_or(Why::OtherAlgorithm)?;
    RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(|_| Why::Weak)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only these are RSA's")]
fn parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum grows with its crate")]
fn elliptic(key: &EllipticCurveKeyParameters) -> Result<ParsedPublicKey, Why> {
    let (algorithm, bytes): (&'static EcdsaVerificationAlgorithm, usize) = match key.curve {
        EllipticCurve::P256 => (&ECDSA_P256_SHA256_FIXED, 32),
        EllipticCurve::P384 => (&ECDSA_P384_SHA384_FIXED, 48),
        _ => return Err(Why::UnknownType),
    };
    let (x, y) = (decode(&key.x)?, decode(&key.y)?);
    if x.len() != bytes || y.len() != bytes {
        return Err(Why::Weak);
    }
    let point = [&[UNCOMPRESSED][..], &x, &y].concat();
    ParsedPublicKey::new(algorithm, point).map_err(|_| Why::Weak)
}

fn edwards(key: &OctetKeyPairParameters) -> Result<ParsedPublicKey, Why> {
    let x = decode(&key.x)?;
    let mut y = <[u8; 32]>::try_from(x.as_slice()).map_err(|_| Why::Weak)?;
    // The top bit is the sign of x; both points of a small order are as bad.
    if let Some(top) = y.last_mut() {
        *top &= 0x7F;
    }
    // Numbers from the prime upwards are second spellings of small ones.
    let is_reduced = y.iter().rev().lt(PRIME.iter().rev());
    if !is_reduced || SMALL_ORDER.contains(&y) {
        return Err(Why::Weak);
    }
    ParsedPublicKey::new(&ED25519, x).map_err(|_| Why::Weak)
}

fn decode(text: &str) -> Result<Vec<u8>, Why> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Why::Malformed)
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// SEC 1 section 2.3.3.
const UNCOMPRESSED: u8 = 4;

/// 2^255 - 19, least significant byte first.
const PRIME: [u8; 32] = {
    let mut prime = [0xFF; 32];
    prime[0] = 0xED;
    prime[31] = 0x7F;
    prime
};

/// The y coordinates of the eight points whose order divides eight (RFC 7748 section 7 explains why
/// they must be refused): 0, 1, -1 and two of order eight.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = PRIME;
        minus_one[0] = 0xEC;
        minus_one
    },
    [
        0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98,
        0xF0, 0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53,
        0xFC, 0x05,
    ],
    [
        0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67,
        0x0F, 0x2A, 0x20, 0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC,
        0x03, 0x7A,
    ],
];

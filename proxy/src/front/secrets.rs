//! What only the browser that began a login may know: state, nonce and verifier (RFC 7636).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 256 random bits, in letters that a URL leaves alone.
pub(super) fn secret() -> Result<String, Unspecified> {
    random::<32>().map(|bits| URL_SAFE_NO_PAD.encode(bits))
}

/// What of the verifier may be seen by everybody (section 4.2).
pub(super) fn challenge(verifier: &str) -> String {
    digest_of(verifier)
}

/// What stands for a text where that would be too long, or is nobody's business.
pub(super) fn digest_of(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

/// A random UUID (RFC 9562 section 5.4).
pub(super) fn uuid() -> Result<String, Unspecified> {
    let bits = u128::from_be_bytes(random()?);
    let bits = bits & !(0xF << 76) | 4 << 76;
    let bits = bits & !(0b11 << 62) | 0b10 << 62;
    let text = format!("{bits:032x}");
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    Ok([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], Unspecified> {
    let mut bits = [0; BYTES];
    SystemRandom::new().fill(&mut bits)?;
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_secret_is_a_verifier_and_never_the_same() {
        let (one, other) = (secret().unwrap(), secret().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43, "the least that RFC 7636 asks for");
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }

    #[test]
    fn a_uuid_is_one() {
        let uuid = uuid().unwrap();
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{uuid}");
        assert_eq!(uuid.as_bytes()[14], b'4', "{uuid}");
        assert!(matches!(uuid.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{uuid}");
    }
}

//! Secrets and names nobody can guess.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Unavailable;

/// 256 random bits, in letters that a URL, a form and a Basic header leave alone.
pub(super) fn secret() -> Result<String, Unavailable> {
    let mut bits = [0; 32];
    SystemRandom::new().fill(&mut bits).map_err(|_| Unavailable::Randomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

//! One DPoP proof, judged by itself (RFC 9449 section 4.3, all checks but the nonce's).

use std::time::Duration;

use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method};
use jsonwebtoken::Algorithm;

use super::{Sha256, Unproven, target};
use crate::keys::jwks::{self, Shown};
use crate::pipeline::claims::Claims;
use crate::pipeline::jose;
use crate::pipeline::token::Compact;

/// What the proof must be about.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// Where the server is, as configured.
    pub(super) origin: &'a str,
    pub(super) path: &'a str,
    /// SHA-256 of the token beside it.
    pub(super) token: &'a [u8],
    /// Thumbprint of the key that the token is bound to.
    pub(super) key: &'a Sha256,
    pub(super) now: Duration,
}

/// A proof that holds, as far as it can be told from the proof alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// Unique among the proofs of its key, says whoever signed it.
    pub(super) id: String,
    pub(super) nonce: Option<String>,
}

impl Proof {
    /// Reads the one proof of a request. The signature comes last, as the costliest check.
    pub(super) fn read(headers: &HeaderMap, asked: &Asked<'_>) -> Result<Self, Unproven> {
        let text = only(headers)?;
        let parts = Compact::read(text).ok_or(Unproven::NotAJwt)?;
        let header = Claims::decode(parts.header).ok_or(Unproven::NotAJwt)?;
        let claims = Claims::decode(parts.payload).ok_or(Unproven::NotAJwt)?;
        let Shown { key, thumbprint } = key(&header)?;
        let proof = check_claims(&claims, asked)?;
        if !are_equal(&thumbprint, asked.key) {
            return Err(Unproven::OtherKey);
        }
        if !key.verifies(parts.signed.as_bytes(), parts.signature) {
            return Err(Unproven::Signature);
        }
        Ok(proof)
    }
}

fn only(headers: &HeaderMap) -> Result<&str, Unproven> {
    let mut values = headers.get_all("dpop").iter();
    let value = values.next().ok_or(Unproven::NoProof)?;
    if values.next().is_some() {
        return Err(Unproven::Repeated);
    }
    value.to_str().ok().filter(|text| text.len() <= MOST_BYTES).ok_or(Unproven::NotAJwt)
}

/// The key that the header shows, if its owner may sign with it as the header says.
fn key(header: &Claims) -> Result<Shown, Unproven> {
    if header.get("crit").is_some() || header.get("b64").is_some() {
        return Err(Unproven::Critical);
    }
    // A media type: its case does not matter (RFC 7515 section 4.1.9).
    let kind = header.text("typ").map(str::to_ascii_lowercase);
    if kind.is_none_or(|kind| kind.strip_prefix("application/").unwrap_or(&kind) != "dpop+jwt") {
        return Err(Unproven::Type);
    }
    let algorithm = header.text("alg").and_then(algorithm).ok_or(Unproven::Algorithm)?;
    let jwk = header.get("jwk").ok_or(Unproven::Key)?;
    jwks::shown(jwk, algorithm).map_err(|_why| Unproven::Key)
}

fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.contains(&name).then(|| jose::algorithm(name)).flatten()
}

fn check_claims(claims: &Claims, asked: &Asked<'_>) -> Result<Proof, Unproven> {
    let text = |name| claims.text(name).ok_or(Unproven::Claim(name));
    let id = text("jti")?;
    if id.is_empty() || id.len() > MOST_ID {
        return Err(Unproven::Claim("jti"));
    }
    // Methods are told apart by case (RFC 9110 section 9.1).
    if text("htm")? != asked.method.as_str() {
        return Err(Unproven::Method);
    }
    if !target::is_named(text("htu")?, asked.origin, asked.path) {
        return Err(Unproven::Target);
    }
    let made = claims.time("iat").ok().flatten().ok_or(Unproven::Claim("iat"))?;
    if made.abs_diff(asked.now) > WINDOW {
        return Err(Unproven::Time);
    }
    let hash = URL_SAFE_NO_PAD.decode(text("ath")?).map_err(|_| Unproven::Claim("ath"))?;
    if !are_equal(&hash, asked.token) {
        return Err(Unproven::OtherToken);
    }
    let nonce = match claims.optional_text("nonce") {
        Ok(nonce) => nonce.map(str::to_owned),
        Err(_wrong_type) => return Err(Unproven::Claim("nonce")),
    };
    Ok(Proof { id: id.to_owned(), nonce })
}

fn are_equal(one: &[u8], other: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(one, other).is_ok()
}

/// What a proof may be signed with, as clients are told.
pub(in crate::pipeline) const ALGORITHMS: [&str; 6] =
    ["ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256"];

/// How far a proof may be from now, both ways. Not the issuer's leeway: here the clock is the
/// client's own, and each second is one more for which a used proof must be remembered.
pub(super) const WINDOW: Duration = Duration::from_mins(1);

/// The largest that an honest client sends, with an RSA key of 8192 bits, is a third of this.
const MOST_BYTES: usize = 8 << 10;

/// Clients name proofs by some 128 random bits; this leaves room for any way of writing them.
const MOST_ID: usize = 256;

#[cfg(test)]
mod tests;

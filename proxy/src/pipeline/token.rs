//! A token before and after it is believed.

mod inquiry;
mod shown;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::claims::{Claims, WrongType, text, texts};
use crate::config::{ClaimNames, ClaimPath};

pub use inquiry::Inquiry;
pub(crate) use shown::Shown;

/// How a token was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Whoever has it may use it (RFC 6750).
    Bearer,
    /// With a proof that the sender holds its key (RFC 9449 section 7.1).
    Dpop,
}

impl Scheme {
    fn read(name: &[u8]) -> Result<Self, NoBearer> {
        if name.eq_ignore_ascii_case(b"bearer") {
            return Ok(Self::Bearer);
        }
        if name.eq_ignore_ascii_case(b"dpop") {
            return Ok(Self::Dpop);
        }
        Err(if is_scheme(name) { NoBearer::OtherScheme } else { NoBearer::Malformed })
    }
}

/// What followed the scheme in the request. Proves nothing yet.
#[derive(Clone, Copy)]
pub struct BearerToken<'a>(&'a str);

impl<'a> BearerToken<'a> {
    /// Takes the one token from the headers.
    pub fn from_headers(headers: &'a HeaderMap) -> Result<(Scheme, Self), NoBearer> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or(NoBearer::Missing)?;
        if values.next().is_some() {
            return Err(NoBearer::Repeated);
        }
        let bytes = value.as_bytes();
        let end = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
        let (scheme, rest) = bytes.split_at(end);
        let scheme = Scheme::read(scheme)?;
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        let token = rest.get(spaces..).unwrap_or_default();
        // RFC 6750 section 2.1: credentials are one b64token and nothing else. Looked at to the end
        // whatever comes: without a way out, the loop takes many bytes at a time.
        let good = token.iter().fold(!token.is_empty(), |good, byte| good & is_b64token(*byte));
        let token = std::str::from_utf8(token).ok().filter(|_| good).ok_or(NoBearer::Malformed)?;
        Ok((scheme, Self(token)))
    }

    /// What the token is remembered by; the token itself never is.
    pub(super) fn digest(self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// Whether nobody can read it but its issuer. What is, or might be taken for, a JOSE object in
    /// compact form is not: it says whose it is, or would to somebody who reads it less strictly.
    pub(super) fn is_opaque(self) -> bool {
        let Some((first, _)) = self.0.split_once('.') else { return self.0.len() <= MOST_BYTES };
        let first: String = first
            .trim_end_matches('=')
            .chars()
            .map(|c| match c {
                '+' => '-',
                '/' => '_',
                other => other,
            })
            .collect();
        let header = LENIENT.decode(first).unwrap_or_default();
        !header.trim_ascii_start().starts_with(b"{") && self.0.len() <= MOST_BYTES
    }

    /// What to ask the issuer.
    pub(super) fn inquiry(self, digest: Digest, known: bool) -> Inquiry {
        Inquiry::new(self.0, digest, known)
    }

    /// Its parts, if it is a signed JWT.
    pub(super) fn compact(self) -> Option<Compact<'a>> {
        Compact::read(self.0).filter(|_| self.0.len() <= MOST_BYTES)
    }
}

/// The three parts of a JWT, and the text that was signed.
pub(super) struct Compact<'a> {
    pub(super) signed: &'a str,
    pub(super) header: &'a str,
    pub(super) payload: &'a str,
    pub(super) signature: &'a str,
}

impl<'a> Compact<'a> {
    /// The parts of a signed JWT in compact form, and of nothing else (RFC 8725bis section 3.14).
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        // Looked at to the end whatever comes, many bytes at a time.
        let base64url = |part: &str| {
            part.bytes().fold(!part.is_empty(), |good, byte| good & is_base64url(byte))
        };
        let whole = [header, payload, signature].into_iter().all(base64url);
        whole.then_some(Self { signed, header, payload, signature })
    }
}

/// SHA-256 of a token, or of a key id: what strangers chose, at a size that they did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; digest::SHA256_OUTPUT_LEN]);

impl Digest {
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, text).as_ref());
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Who is calling, as the issuer said. Kept by the thousand, so that it holds no room to grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who vouches.
    pub issuer: Arc<str>,
    /// For whom; a name within the issuer.
    pub subject: Box<str>,
    /// The program that the token was given to.
    pub client: Option<Box<str>>,
    /// What the token allows, separated by spaces.
    pub scopes: Box<str>,
    /// What its holder is and whom it belongs to, if its issuer says such things.
    pub memberships: Option<Box<Memberships>>,
}

/// What somebody is. Never a scope, whatever it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memberships {
    /// What its holder is.
    pub roles: Box<[Box<str>]>,
    /// Whom its holder belongs to.
    pub groups: Box<[Box<str>]>,
}

impl Principal {
    /// Reads who is meant; else names the claim that is missing or malformed.
    pub(super) fn read(
        issuer: &Arc<str>,
        claims: &Claims,
        names: &ClaimNames,
    ) -> Result<Self, &'static str> {
        let subject = text(claims.at(&names.subject)).map_err(|WrongType| "sub")?;
        // RFC 9068 says client_id; OpenID Connect's providers say azp.
        let client = match &names.client {
            Some(path) => claims.at(path),
            None => claims.get("client_id").or_else(|| claims.get("azp")),
        };
        let client = text(client).map_err(|WrongType| "client_id")?;
        let all = |paths, name| listed(claims, paths).map_err(|WrongType| name);
        let scopes = all(&names.scopes, "scope")?;
        let scopes: Vec<&str> = scopes
            .iter()
            .flat_map(|one| one.split(' '))
            .filter(|scope| !scope.is_empty())
            .collect();
        let roles = owned(&all(&names.roles, "roles")?);
        let groups = owned(&all(&names.groups, "groups")?);
        let says_so = !roles.is_empty() || !groups.is_empty();
        let memberships = says_so.then(|| Box::new(Memberships { roles, groups }));
        Ok(Self {
            issuer: Arc::clone(issuer),
            subject: subject.filter(|subject| !subject.is_empty()).ok_or("sub")?.into(),
            client: client.map(Box::from),
            scopes: scopes.join(" ").into(),
            memberships,
        })
    }

    pub(crate) fn has_scope(&self, wanted: &str) -> bool {
        self.scopes.split(' ').any(|scope| scope == wanted)
    }

    /// What its texts take in memory.
    pub(super) fn text_bytes(&self) -> usize {
        let lists = self.memberships.iter().flat_map(|all| all.roles.iter().chain(&all.groups));
        let lists = lists.map(|one| one.len() + TEXT_BYTES);
        let client = self.client.as_ref().map_or(0, |client| client.len());
        self.subject.len() + client + self.scopes.len() + lists.sum::<usize>()
    }
}

fn listed<'c>(claims: &'c Claims, paths: &[ClaimPath]) -> Result<Vec<&'c str>, WrongType> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(texts(claims.at(path))?);
    }
    Ok(all)
}

fn owned(texts: &[&str]) -> Box<[Box<str>]> {
    texts.iter().copied().map(Box::from).collect()
}

/// What a text takes besides its bytes.
const TEXT_BYTES: usize = 24;

/// Why the headers hold no bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBearer {
    /// No `Authorization` header.
    #[error("no Authorization header")]
    Missing,
    /// Credentials of another kind.
    #[error("the Authorization header is of another scheme")]
    OtherScheme,
    /// More than one, so which would the upstream read?
    #[error("more than one Authorization header")]
    Repeated,
    /// Not a scheme and one token.
    #[error("the Authorization header is not a scheme and one token")]
    Malformed,
}

fn is_scheme(text: &[u8]) -> bool {
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !text.is_empty() && text.iter().all(token)
}

#[expect(clippy::needless_bitwise_bool, reason = "a branch would be taken for each byte")]
fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() | (byte == b'-') | (byte == b'_')
}

/// Letters, digits and `-._~+/=`: `-` to `9` lie side by side.
#[expect(clippy::needless_bitwise_bool, reason = "a branch would be taken for each byte")]
fn is_b64token(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26)
        | (byte.wrapping_sub(b'-') < 13)
        | (byte == b'_')
        | (byte == b'~')
        | (byte == b'+')
        | (byte == b'=')
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

/// As the least strict of readers would.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// No honest token is longer, and no header may be either.
const MOST_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(values: &[&'static str]) -> Result<String, NoBearer> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, http::HeaderValue::from_static(value));
        }
        BearerToken::from_headers(&headers).map(|(_, token)| token.0.to_owned())
    }

    #[test]
    fn a_token_is_sent_as_bearer_or_with_a_proof() {
        for (value, scheme) in
            [("bearer a", Scheme::Bearer), ("DPoP a", Scheme::Dpop), ("dpop a", Scheme::Dpop)]
        {
            let headers = [(AUTHORIZATION, http::HeaderValue::from_static(value))];
            let headers: HeaderMap = headers.into_iter().collect();
            assert_eq!(BearerToken::from_headers(&headers).unwrap().0, scheme, "{value}");
        }
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_spaces_are_skipped() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c"] {
            assert_eq!(bearer(&[value]).unwrap(), "a.b.c");
        }
    }

    #[test]
    fn anything_but_one_bearer_token_has_its_own_reason() {
        assert_eq!(bearer(&[]), Err(NoBearer::Missing));
        assert_eq!(bearer(&["Basic dTpw"]), Err(NoBearer::OtherScheme));
        assert_eq!(bearer(&["Bearer a", "Bearer a"]), Err(NoBearer::Repeated));
        for value in ["Bearer", "Bearer ", "Bearer a, Bearer b", "Bearer\ta", "Bearer a b", ""] {
            assert_eq!(bearer(&[value]), Err(NoBearer::Malformed), "{value:?}");
        }
    }

    #[test]
    fn the_credentials_alphabet_is_that_of_the_rfc() {
        let listed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        for byte in 0..=u8::MAX {
            assert_eq!(is_b64token(byte), listed(byte), "{byte:#x}");
        }
    }

    #[test]
    fn only_three_parts_of_base64url_are_a_compact_jwt() {
        assert!(BearerToken("YQ.YQ.YQ").compact().is_some());
        for text in
            ["YQ.YQ", "YQ.YQ.YQ.YQ", "YQ.YQ.", ".YQ.YQ", "YQ.Y=.YQ", "YQ.Y+.YQ", "a.b.c.d.e"]
        {
            assert!(BearerToken(text).compact().is_none(), "{text}");
        }
    }

    #[test]
    fn what_might_be_taken_for_a_jwt_is_not_opaque() {
        for text in
            ["opaque", "eyJhIjoxfQ", "ya29.a0AfB", "a.b.c", "YQ.YQ.YQ", "YQ..", ".", "~.e30.a"]
        {
            assert!(BearerToken(text).is_opaque(), "{text}");
        }
        // With a signature, without one, encrypted, torn, padded, and with blanks before.
        for text in [
            "e30.e30.YQ",
            "e30.e30.",
            "e30.e30",
            "eyJhbGciOiJkaXIifQ..YQ.YQ.YQ",
            "eyJhbGciOiJub25lIn0.",
            "eyJhIjoxfQ==.e30.YQ",
            "eyJhIjoifn5-In0.e30.YQ",
            "eyJhIjoifn5+In0.e30.YQ",
            "ICB7fQ.e30.YQ",
            "CQp7fR.e30.YQ",
        ] {
            assert!(!BearerToken(text).is_opaque(), "{text}");
        }
        assert!(!BearerToken(&"a".repeat(MOST_BYTES + 1)).is_opaque());
    }

    #[test]
    fn a_token_is_not_shown() {
        assert_eq!(format!("{:?}", BearerToken("secret")), "BearerToken(…)");
        assert_eq!(
            format!("{:?}", BearerToken("secret").inquiry(Digest::of(b""), true)),
            "Inquiry(…)"
        );
    }
}

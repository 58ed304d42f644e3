//! Who is calling: the proxy's headers, believed once, at the edge.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

/// Whoever sent the call at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Someone the proxy authenticated.
    Verified(Identity),
    /// Whoever started this process, and so owns all it could do for them.
    Local,
}

impl Caller {
    /// Whether this caller may do what the scope stands for.
    pub(crate) fn holds(&self, scope: &str) -> bool {
        match self {
            Self::Local => true,
            Self::Verified(identity) => identity.scopes().iter().any(|held| held == scope),
        }
    }
}

/// The caller's own token, kept only where a tool needs it.
#[derive(Clone)]
pub(crate) struct Token(Box<str>);

impl Token {
    /// From a request with exactly one, of the one scheme that can be shown on.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next()?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        let alone = values.next().is_none() && scheme.eq_ignore_ascii_case("bearer");
        (alone && !token.is_empty()).then(|| Self(token.into()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How a tool has the caller asked for another token: by the answer to the request itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct FreshToken(Arc<AtomicBool>);

impl FreshToken {
    pub(crate) fn demand(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_demanded(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the proxy says of the caller. Only [`Identity::from_headers`] makes one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    subject: String,
    issuer: String,
    client_id: Option<String>,
    scopes: Vec<String>,
    claims: BTreeMap<String, String>,
}

impl Identity {
    /// Reads the proxy's headers, all of them or nothing.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, Refusal> {
        Ok(Self {
            subject: required(headers, SUBJECT)?,
            issuer: required(headers, ISSUER)?,
            client_id: optional(headers, CLIENT_ID)?,
            scopes: scopes(headers)?,
            claims: BTreeMap::new(),
        })
    }

    /// What the proxy said in writing, or somebody whom we were told to take for the proxy.
    pub(crate) fn asserted(
        subject: String,
        issuer: String,
        client_id: Option<String>,
        scopes: &str,
        claims: BTreeMap<String, String>,
    ) -> Option<Self> {
        let scopes = scopes.split_ascii_whitespace().map(str::to_owned).collect();
        let good = !subject.is_empty() && !issuer.is_empty();
        good.then_some(Self { subject, issuer, client_id, scopes, claims })
    }

    /// Unique only together with the issuer.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Further claims, as far as the operator of the proxy named them.
    pub(crate) fn claims(&self) -> &BTreeMap<String, String> {
        &self.claims
    }

    pub(crate) fn scopes(&self) -> &[String] {
        &self.scopes
    }
}

/// Why a request carries no identity, and the header to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is repeated")]
    Repeated(&'static str),
    #[error("{0} is empty")]
    Empty(&'static str),
    #[error("{0} is neither printable ASCII nor well-formed =?base64?…?=")]
    Undecodable(&'static str),
}

fn required(headers: &HeaderMap, name: &'static str) -> Result<String, Refusal> {
    optional(headers, name)?.ok_or(Refusal::Missing(name))
}

fn optional(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    // Whichever of two were taken, a request could be made to mean the other.
    if values.next().is_some() {
        return Err(Refusal::Repeated(name));
    }
    let text = decode(value).ok_or(Refusal::Undecodable(name))?;
    if text.is_empty() { Err(Refusal::Empty(name)) } else { Ok(Some(text)) }
}

fn scopes(headers: &HeaderMap) -> Result<Vec<String>, Refusal> {
    let Some(listed) = optional(headers, SCOPES)? else { return Ok(Vec::new()) };
    let scopes: Vec<_> =
        listed.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    if scopes.is_empty() { Err(Refusal::Empty(SCOPES)) } else { Ok(scopes) }
}

/// Undoes the header encoding of MCP's SEP-2243.
fn decode(value: &HeaderValue) -> Option<String> {
    let text = printable(value)?;
    let Some(wrapped) = text.strip_prefix("=?base64?") else { return Some(text.to_owned()) };
    let bytes = STANDARD.decode(wrapped.strip_suffix("?=")?).ok()?;
    String::from_utf8(bytes).ok()
}

fn printable(value: &HeaderValue) -> Option<&str> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?;
    let sent_plainly = text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && !text.starts_with(' ')
        && !text.ends_with(' ');
    sent_plainly.then_some(text)
}

const SUBJECT: &str = "X-Postern-Subject";
const ISSUER: &str = "X-Postern-Issuer";
const CLIENT_ID: &str = "X-Postern-Client-Id";
const SCOPES: &str = "X-Postern-Scopes";

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn valid() -> HeaderMap {
        let mut headers = HeaderMap::new();
        set(&mut headers, SUBJECT, "ada");
        set(&mut headers, ISSUER, "https://id.example");
        set(&mut headers, CLIENT_ID, "editor");
        set(&mut headers, SCOPES, "tools:read tools:call");
        headers
    }

    fn set(headers: &mut HeaderMap, name: &str, value: &str) {
        headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
    }

    fn repeat(headers: &mut HeaderMap, name: &str) {
        let value = headers.get(name).unwrap().clone();
        headers.append(HeaderName::try_from(name).unwrap(), value);
    }

    /// Spoil one header of a valid request; it must be refused for exactly that.
    #[track_caller]
    fn refuses(refusal: Refusal, spoil: impl FnOnce(&mut HeaderMap)) {
        let mut headers = valid();
        spoil(&mut headers);
        assert_eq!(Identity::from_headers(&headers), Err(refusal));
    }

    /// Send another subject; it must be read as this one.
    #[track_caller]
    fn reads_subject(sent: &str, read: &str) {
        let mut headers = valid();
        set(&mut headers, SUBJECT, sent);
        assert_eq!(Identity::from_headers(&headers).unwrap().subject(), read);
    }

    #[track_caller]
    fn refuses_subject(sent: &[u8]) {
        refuses(Refusal::Undecodable(SUBJECT), |headers| {
            headers.insert("x-postern-subject", HeaderValue::from_bytes(sent).unwrap());
        });
    }

    #[test]
    fn reads_every_header_of_the_proxy() {
        let identity = Identity::from_headers(&valid()).unwrap();
        assert_eq!(identity.subject(), "ada");
        assert_eq!(identity.issuer(), "https://id.example");
        assert_eq!(identity.client_id(), Some("editor"));
        assert_eq!(identity.scopes(), ["tools:read", "tools:call"]);
    }

    #[test]
    fn needs_no_client_and_no_scopes() {
        let mut headers = valid();
        headers.remove(CLIENT_ID);
        headers.remove(SCOPES);
        let identity = Identity::from_headers(&headers).unwrap();
        assert_eq!((identity.client_id(), identity.scopes()), (None, [].as_slice()));
    }

    #[test]
    fn refuses_a_request_without_a_subject() {
        refuses(Refusal::Missing(SUBJECT), |headers| drop(headers.remove(SUBJECT)));
    }

    #[test]
    fn refuses_a_request_without_an_issuer() {
        refuses(Refusal::Missing(ISSUER), |headers| drop(headers.remove(ISSUER)));
    }

    #[test]
    fn refuses_a_repeated_subject() {
        refuses(Refusal::Repeated(SUBJECT), |headers| repeat(headers, SUBJECT));
    }

    #[test]
    fn refuses_a_repeated_issuer() {
        refuses(Refusal::Repeated(ISSUER), |headers| repeat(headers, ISSUER));
    }

    #[test]
    fn refuses_a_repeated_client() {
        refuses(Refusal::Repeated(CLIENT_ID), |headers| repeat(headers, CLIENT_ID));
    }

    #[test]
    fn refuses_repeated_scopes() {
        refuses(Refusal::Repeated(SCOPES), |headers| repeat(headers, SCOPES));
    }

    #[test]
    fn refuses_an_empty_subject() {
        refuses(Refusal::Empty(SUBJECT), |headers| set(headers, SUBJECT, ""));
    }

    #[test]
    fn refuses_an_empty_issuer() {
        refuses(Refusal::Empty(ISSUER), |headers| set(headers, ISSUER, ""));
    }

    #[test]
    fn refuses_an_empty_client() {
        refuses(Refusal::Empty(CLIENT_ID), |headers| set(headers, CLIENT_ID, ""));
    }

    #[test]
    fn refuses_empty_scopes() {
        refuses(Refusal::Empty(SCOPES), |headers| set(headers, SCOPES, ""));
    }

    #[test]
    fn refuses_a_subject_that_is_empty_once_decoded() {
        refuses(Refusal::Empty(SUBJECT), |headers| set(headers, SUBJECT, "=?base64??="));
    }

    #[test]
    fn refuses_scopes_that_are_only_spaces() {
        refuses(Refusal::Empty(SCOPES), |headers| set(headers, SCOPES, "=?base64?ICA=?="));
    }

    #[test]
    fn reads_a_subject_sent_as_base64() {
        reads_subject("=?base64?QWTDqGxl?=", "Adèle");
    }

    #[test]
    fn reads_a_subject_that_looks_encoded_and_was_therefore_encoded() {
        reads_subject("=?base64?PT9iYXNlNjQ/eD89?=", "=?base64?x?=");
    }

    #[test]
    fn reads_markers_in_another_case_as_plain_text() {
        reads_subject("=?BASE64?QWTDqGxl?=", "=?BASE64?QWTDqGxl?=");
    }

    #[test]
    fn reads_spaces_inside_a_subject() {
        reads_subject("ada of london", "ada of london");
    }

    #[test]
    fn refuses_base64_without_its_end() {
        refuses_subject(b"=?base64?QWTDqGxl");
    }

    #[test]
    fn refuses_base64_whose_end_overlaps_its_beginning() {
        refuses_subject(b"=?base64?=");
    }

    #[test]
    fn refuses_base64_without_padding() {
        refuses_subject(b"=?base64?YQ?=");
    }

    #[test]
    fn refuses_base64_of_the_url_alphabet() {
        refuses_subject(b"=?base64?_-8_?=");
    }

    #[test]
    fn refuses_base64_of_bytes_that_are_no_text() {
        refuses_subject(b"=?base64?//8=?=");
    }

    #[test]
    fn refuses_raw_utf8() {
        refuses_subject("Adèle".as_bytes());
    }

    #[test]
    fn refuses_a_tab() {
        refuses_subject(b"ada\tlovelace");
    }

    #[test]
    fn refuses_a_leading_space() {
        refuses_subject(b" ada");
    }

    #[test]
    fn refuses_a_trailing_space() {
        refuses_subject(b"ada ");
    }

    #[test]
    fn takes_no_identity_from_a_name_that_only_resembles_ours() {
        refuses(Refusal::Missing(SUBJECT), |headers| {
            let subject = headers.remove(SUBJECT).unwrap();
            headers.insert("x_postern_subject", subject);
        });
    }
}

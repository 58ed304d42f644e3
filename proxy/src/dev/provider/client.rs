//! Clients, and how each proves at the token endpoint that it is the one it says.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::Serialize;

use super::parameters::Parameters;
use super::redirect;
use super::refusal::Refusal;
use super::store::Store;

#[derive(Clone)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) redirect_uris: Vec<String>,
    pub(super) grant_types: Vec<GrantType>,
    pub(super) secret: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
}

impl GrantType {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "authorization_code" => Some(Self::AuthorizationCode),
            "refresh_token" => Some(Self::RefreshToken),
            "client_credentials" => Some(Self::ClientCredentials),
            _ => None,
        }
    }
}

impl Client {
    pub(super) fn may(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    pub(super) fn may_return_to(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|registered| redirect::matches(registered, uri))
    }

    fn accepts(&self, secret: Option<&str>) -> bool {
        match (&self.secret, secret) {
            (None, None) => true,
            (Some(own), Some(given)) => {
                verify_slices_are_equal(own.as_bytes(), given.as_bytes()).is_ok()
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

/// RFC 6749 §2.3: by a Basic header or by the form, never by both; a public client only says its
/// name.
pub(super) fn authenticate<'a>(
    headers: &HeaderMap,
    form: &Parameters,
    store: &'a Store,
) -> Result<&'a Client, Refusal> {
    let claimed = match headers.get(AUTHORIZATION) {
        None => {
            (form.get("client_id").map(str::to_owned), form.get("client_secret").map(str::to_owned))
        }
        Some(_) if form.get("client_secret").is_some() => return Err(Refusal::TwoCredentials),
        Some(header) => {
            let (id, secret) = basic(header.as_bytes()).ok_or(Refusal::Client)?;
            if form.get("client_id").is_some_and(|other| other != id) {
                return Err(Refusal::TwoCredentials);
            }
            (Some(id), Some(secret))
        }
    };
    let (Some(id), secret) = claimed else { return Err(Refusal::Client) };
    store.client(&id).filter(|client| client.accepts(secret.as_deref())).ok_or(Refusal::Client)
}

/// Form encoding (RFC 6749 §2.3.1) is not undone: it leaves our names and secrets as they are.
fn basic(header: &[u8]) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    pair.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

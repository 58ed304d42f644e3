//! Where an issuer's keys are published, and what is there now.

use std::io;
use std::time::Duration;

use http::header::DATE;
use http::{HeaderMap, HeaderValue, StatusCode};
use url::Url;

use super::metadata::{self, Member};
use super::schedule;
use crate::config::{KeySource, TrustedIssuer};
use crate::files::Watched;
use crate::keys::jwks::{self, Parsed, Unusable};
use crate::outbound::{Document, Failed, Outbound};

/// An issuer's keys, to be looked at again and again.
pub(super) struct Publication {
    issuer: TrustedIssuer,
    place: Place,
    outbound: Outbound,
}

enum Place {
    Metadata,
    Url(Url),
    File(Watched),
}

/// A set that can be used, and for how long it need not be looked at again.
pub(super) struct Found {
    pub(super) keys: Parsed,
    pub(super) fresh_for: Duration,
    /// What time the server says it is.
    pub(super) date: Option<HeaderValue>,
}

impl Publication {
    pub(super) fn new(issuer: &TrustedIssuer, place: &KeySource, outbound: &Outbound) -> Self {
        let outbound = match place {
            KeySource::Url(url) => outbound.on_behalf_of(url),
            KeySource::Discover => outbound.on_behalf_of_issuer(&issuer.issuer),
            KeySource::File(_) => outbound.clone(),
        };
        let place = match place {
            KeySource::Url(url) => Place::Url(url.clone()),
            KeySource::Discover => Place::Metadata,
            KeySource::File(path) => Place::File(Watched::new(path.clone(), MOST_BYTES)),
        };
        Self { issuer: issuer.clone(), place, outbound }
    }

    pub(super) async fn look(&mut self) -> Result<Found, NoKeys> {
        let document = match &mut self.place {
            Place::Metadata => {
                let issuer = &self.issuer.issuer;
                let url = metadata::find(&self.outbound, issuer, Member::Jwks).await?;
                get(&self.outbound, &url).await?
            }
            Place::Url(url) => get(&self.outbound, url).await?,
            Place::File(file) => {
                let content = file.read().await.map_err(NoKeys::File)?;
                Document { status: StatusCode::OK, headers: HeaderMap::new(), body: content.into() }
            }
        };
        let Document { headers, body, .. } = document;
        let keys = jwks::parse(&body, &self.issuer.algorithms).map_err(NoKeys::Unusable)?;
        let date = headers.get(DATE).cloned();
        Ok(Found { keys, fresh_for: schedule::fresh_for(&headers), date })
    }
}

pub(super) async fn get(outbound: &Outbound, url: &Url) -> Result<Document, NoKeys> {
    outbound.get(url).await.map_err(|failed| NoKeys::Fetch(shown(url), failed))
}

/// Without what a reference in the configuration may stand for.
fn shown(url: &Url) -> String {
    url.as_str().split('?').next().unwrap_or_default().to_owned()
}

/// Why an issuer's keys could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoKeys {
    #[error("{0}: {1}")]
    Fetch(String, #[source] Failed),
    #[error("the key file: {0}")]
    File(#[source] io::Error),
    #[error("{0}")]
    Unusable(#[source] Unusable),
    #[error("{0}: not metadata with issuer and {1}")]
    Malformed(String, &'static str),
    #[error("{0}: it describes the issuer {1:?}, which is not the configured one to the letter")]
    OtherIssuer(String, String),
    #[error("{0}: its {1} is not https")]
    Insecure(String, &'static str),
    #[error("the issuer has no place for metadata")]
    NoMetadata,
}

/// As for a set that is fetched.
const MOST_BYTES: u64 = 1 << 20;

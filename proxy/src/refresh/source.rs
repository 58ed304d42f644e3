//! Where an issuer's keys are published, and what is there now.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use url::Url;

use super::{metadata, schedule};
use crate::config::{Issuer, KeySource, TrustedIssuer};
use crate::keys::jwks::{self, Parsed, Unusable};
use crate::outbound::{Document, Failed, Outbound};

/// An issuer's keys, to be looked at again and again.
pub(super) struct Source {
    issuer: TrustedIssuer,
    outbound: Outbound,
}

/// A set that can be used, and for how long it need not be looked at again.
pub(super) struct Found {
    pub(super) keys: Parsed,
    pub(super) fresh_for: Duration,
}

impl Source {
    pub(super) fn new(issuer: &TrustedIssuer, outbound: &Outbound) -> Self {
        let written = match &issuer.keys {
            KeySource::Url(url) => Some(url.clone()),
            KeySource::Discover => Url::parse(issuer.issuer.as_str()).ok(),
            KeySource::File(_) => None,
        };
        let outbound = match written {
            Some(url) => outbound.on_behalf_of(&url),
            None => outbound.clone(),
        };
        Self { issuer: issuer.clone(), outbound }
    }

    pub(super) async fn look(&self) -> Result<Found, NoKeys> {
        let (body, fresh_for) = match &self.issuer.keys {
            KeySource::Discover => {
                let url = self.discover(&self.issuer.issuer).await?;
                self.fetch(&url).await?
            }
            KeySource::Url(url) => self.fetch(url).await?,
            KeySource::File(path) => (read(path).await?.into(), schedule::USUAL),
        };
        let keys = jwks::parse(&body, &self.issuer.algorithms).map_err(NoKeys::Unusable)?;
        Ok(Found { keys, fresh_for })
    }

    async fn fetch(&self, url: &Url) -> Result<(Bytes, Duration), NoKeys> {
        let document = self.get(url).await?;
        Ok((document.body, schedule::fresh_for(&document.headers)))
    }

    /// The key set's address, from the first place that tells one.
    async fn discover(&self, issuer: &Issuer) -> Result<Url, NoKeys> {
        let mut first_failure = None;
        for place in metadata::places(issuer) {
            let found = self.get(&place).await;
            match found.and_then(|found| metadata::key_address(&place, issuer, &found.body)) {
                Ok(address) => return Ok(address),
                // A server may answer everything, with a page for people or with metadata that
                // lacks keys: the next place may have the right one.
                Err(failure) => first_failure = first_failure.or(Some(failure)),
            }
        }
        Err(first_failure.unwrap_or(NoKeys::NoMetadata))
    }

    async fn get(&self, url: &Url) -> Result<Document, NoKeys> {
        self.outbound.get(url).await.map_err(|failed| NoKeys::Fetch(shown(url), failed))
    }
}

/// Only a regular file, and only for so long: a pipe or a dead mount would be waited for for ever.
async fn read(path: &Path) -> Result<Vec<u8>, NoKeys> {
    let reading = async {
        if !tokio::fs::metadata(path).await?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut content = Vec::new();
        let file = tokio::fs::File::open(path).await?;
        file.take(MOST_BYTES).read_to_end(&mut content).await?;
        Ok(content)
    };
    let read = timeout(READING, reading).await.unwrap_or_else(|late| Err(late.into()));
    read.map_err(NoKeys::File)
}

/// Without what a reference in the configuration may stand for.
fn shown(url: &Url) -> String {
    url.as_str().split('?').next().unwrap_or_default().to_owned()
}

/// Why an issuer's keys could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoKeys {
    #[error("{0}: {1}")]
    Fetch(String, #[source] Failed),
    #[error("the key file: {0}")]
    File(#[source] io::Error),
    #[error("{0}")]
    Unusable(#[source] Unusable),
    #[error("{0}: not metadata with issuer and jwks_uri")]
    Malformed(String),
    #[error("{0}: it describes the issuer {1:?}, which is not the configured one to the letter")]
    OtherIssuer(String, String),
    #[error("{0}: its jwks_uri is not https")]
    Insecure(String),
    #[error("the issuer has no place for metadata")]
    NoMetadata,
}

const READING: Duration = Duration::from_secs(5);
/// As for a set that is fetched.
const MOST_BYTES: u64 = 1 << 20;

//! The proxy's public keys: fetched when they are needed, and again when one is not among them.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::JwkSet;
use reqwest::Client;
use tokio::sync::RwLock;
use url::Url;

use crate::settings::KeySource;

/// By their ids, from where they are published.
pub(super) struct Keys {
    source: Source,
    known: RwLock<Known>,
}

enum Source {
    Url(Client, Url),
    File(PathBuf),
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Arc<DecodingKey>>,
    looked: Option<Instant>,
    /// Whether the last look was in vain.
    failed: bool,
}

/// There is no key to judge by.
#[derive(Clone, Copy, Debug)]
pub(super) enum NoKey {
    /// It is not one of the proxy's.
    Unknown,
    /// Which are the proxy's, nobody says.
    Unavailable,
}

impl Keys {
    pub(super) fn new(source: KeySource) -> Result<Self, reqwest::Error> {
        let source = match source {
            KeySource::Url(url) => Source::Url(crate::fetch::client(PATIENCE)?, url),
            KeySource::File(path) => Source::File(path),
        };
        Ok(Self { source, known: RwLock::default() })
    }

    pub(super) async fn find(&self, id: Option<&str>) -> Result<Arc<DecodingKey>, NoKey> {
        let id = id.ok_or(NoKey::Unknown)?;
        if let Some(found) = self.known.read().await.fresh(id) {
            return Ok(found);
        }
        // Whoever waits here finds what the one before has looked up.
        let mut known = self.known.write().await;
        if let Some(found) = known.fresh(id) {
            return Ok(found);
        }
        if known.looked.is_none_or(|looked| looked.elapsed() >= PAUSE) {
            known.look(&self.source).await;
        }
        match known.keys.get(id) {
            Some(key) => Ok(Arc::clone(key)),
            None if known.failed => Err(NoKey::Unavailable),
            None => Err(NoKey::Unknown),
        }
    }
}

impl Known {
    fn fresh(&self, id: &str) -> Option<Arc<DecodingKey>> {
        self.looked.filter(|looked| looked.elapsed() < OLD)?;
        self.keys.get(id).map(Arc::clone)
    }

    /// What is old is kept only while nothing newer can be had, and not for ever.
    async fn look(&mut self, source: &Source) {
        let found = source.read().await;
        self.failed = found.is_none();
        if let Some(keys) = found {
            self.keys = keys;
        } else {
            tracing::warn!("cannot get the proxy's keys (assertion.keys)");
        }
        if self.failed && self.looked.is_some_and(|looked| looked.elapsed() >= OLD) {
            self.keys.clear();
        }
        self.looked = Some(Instant::now());
    }
}

impl Source {
    async fn read(&self) -> Option<HashMap<String, Arc<DecodingKey>>> {
        let set: JwkSet = match self {
            Self::Url(client, url) => {
                let answer = crate::fetch::fetch(client.get(url.clone())).await.ok()?;
                serde_json::from_value(answer.body?).ok()?
            }
            Self::File(path) => serde_json::from_slice(&tokio::fs::read(path).await.ok()?).ok()?,
        };
        let keys = set.keys.iter().filter_map(|jwk| {
            let key = DecodingKey::from_jwk(jwk).ok()?;
            Some((jwk.common.key_id.clone()?, Arc::new(key)))
        });
        Some(keys.collect())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks, so that made-up ids cost the proxy nothing.
const PAUSE: Duration = Duration::from_secs(4);
/// Keys that were withdrawn are believed for no longer.
const OLD: Duration = Duration::from_hours(1);

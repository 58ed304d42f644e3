//! One issuer, and what is known of it.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use url::Url;

use crate::config::{IntrospectionEndpoint, Source, TrustedIssuer};
use crate::keys::Keyring;

/// An issuer, and where that is kept which it is judged by: its keys, or where it is asked.
#[derive(Clone)]
pub(crate) struct KeyHolder {
    pub(crate) issuer: TrustedIssuer,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) endpoint: Arc<ArcSwapOption<Url>>,
}

impl KeyHolder {
    pub(crate) fn new(issuer: &TrustedIssuer) -> Self {
        let configured = match &issuer.source {
            Source::Introspection(introspection) => match &introspection.endpoint {
                IntrospectionEndpoint::Url(url) => Some(url.clone()),
                IntrospectionEndpoint::Discover => None,
            },
            Source::Keys(_) => None,
        };
        let endpoint = Arc::new(ArcSwapOption::from_pointee(configured));
        Self { issuer: issuer.clone(), keyring: Arc::default(), endpoint }
    }

    /// Whether its tokens can be judged, as far as is known without trying.
    pub(crate) fn is_ready(&self) -> bool {
        match &self.issuer.source {
            Source::Keys(_) => self.keyring.current().is_some(),
            Source::Introspection(_) => self.endpoint.load().is_some(),
        }
    }

    /// The same for other rules, if those change nothing about how it is looked after.
    pub(crate) fn under(&self, issuer: &TrustedIssuer) -> Option<Self> {
        let (old, new) = (&self.issuer, issuer);
        let same = old.issuer == new.issuer
            && old.source == new.source
            && old.algorithms == new.algorithms
            && old.keys_max_age == new.keys_max_age;
        same.then(|| Self { issuer: issuer.clone(), ..self.clone() })
    }
}

impl fmt::Debug for KeyHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyHolder").field(&self.issuer.issuer).field(&self.keyring).finish()
    }
}

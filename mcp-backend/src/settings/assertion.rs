//! `assertion`: what the proxy signs with, and for whom.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::problem::Problems;
use super::value;

#[derive(Debug)]
pub(crate) struct AssertionSettings {
    pub(crate) keys: KeySource,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// Whether nothing else is believed, wherever a request comes from.
    pub(crate) required: bool,
}

/// Where the proxy's public keys are.
#[derive(Debug)]
pub(crate) enum KeySource {
    Url(Url),
    File(PathBuf),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    keys: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
    required: bool,
}

impl File {
    pub(super) fn check(self, problems: &mut Problems) -> Option<AssertionSettings> {
        let mut needed = |key, value: Option<String>, what: &str| {
            let given = value.filter(|value| !value.is_empty());
            given.ok_or_else(|| problems.note(key, format!("missing; write {what}"))).ok()
        };
        let keys = needed(
            "assertion.keys",
            self.keys,
            "the proxy's http://…/assertion-keys, or the path of a copy",
        );
        let issuer =
            needed("assertion.issuer", self.issuer, "the origin of the proxy's resource.url");
        let audience = needed("assertion.audience", self.audience, "the proxy's forward.assertion");
        let keys = keys.and_then(|text| {
            if text.starts_with('/') {
                return Some(KeySource::File(text.into()));
            }
            let url = value::endpoint(&text).map(KeySource::Url);
            url.map_err(|told| problems.note("assertion.keys", told)).ok()
        });
        let required = self.required;
        Some(AssertionSettings { keys: keys?, issuer: issuer?, audience: audience?, required })
    }
}

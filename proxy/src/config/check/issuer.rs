//! Whose tokens are believed, and where their keys come from.

use super::value;
use crate::config::file::Section;
use crate::config::invalid::Wrong;
use crate::config::{KeySource, Resource, TrustedIssuer};

/// The section `issuers`.
pub(super) fn all(
    root: &mut Section<'_>,
    resource: Option<&Resource>,
) -> Option<Vec<TrustedIssuer>> {
    let fix =
        "name at least one authorization server: issuers: [{issuer: https://auth.example.com}]";
    if !root.has("issuers") {
        root.required("issuers", value::text, fix)?;
    }
    let sections = root.sections("issuers")?;
    if sections.is_empty() {
        root.wrong("issuers", Some("an empty list".into()), Wrong::new("nobody is trusted", fix));
    }
    let mut issuers: Vec<TrustedIssuer> = Vec::new();
    let mut all_good = true;
    for mut section in sections {
        match issuer(&mut section, resource) {
            Some(new) if issuers.iter().any(|old| old.issuer == new.issuer) => {
                let wrong = Wrong::new("it is listed twice", "keep one of the two entries");
                section.wrong("issuer", section.written("issuer"), wrong);
            }
            Some(new) => issuers.push(new),
            None => all_good = false,
        }
    }
    (all_good && !issuers.is_empty()).then_some(issuers)
}

fn issuer(section: &mut Section<'_>, resource: Option<&Resource>) -> Option<TrustedIssuer> {
    let fix = "write the authorization server's issuer, exactly as its metadata spells it";
    let issuer = section.required("issuer", value::issuer, fix);
    let keys = keys(section);
    let audiences = match section.list("audiences", value::text) {
        Some(audiences) if audiences.is_empty() => {
            let wrong = Wrong::new("no token could match it", "name an audience, or leave it out");
            section.wrong("audiences", Some("an empty list".into()), wrong);
            None
        }
        Some(audiences) => Some(audiences),
        None => resource.map(|resource| vec![resource.as_str().to_owned()]),
    };
    let algorithms = section.list("algorithms", value::algorithm);
    if algorithms.as_ref().is_some_and(Vec::is_empty) {
        let wrong = Wrong::new("no token could match it", "name one, or leave it out");
        section.wrong("algorithms", Some("an empty list".into()), wrong);
    }
    Some(TrustedIssuer {
        issuer: issuer?,
        keys: keys?,
        audiences: audiences?,
        algorithms: algorithms.unwrap_or_else(|| value::ALGORITHMS.to_vec()),
    })
}

fn keys(section: &mut Section<'_>) -> Option<KeySource> {
    if !section.has("keys") || section.is_text("keys") {
        section.optional("keys", value::discover);
        return Some(KeySource::Discover);
    }
    let mut source = section.section("keys")?;
    let url = source.optional("url", value::link);
    let file = source.optional("file", value::path);
    match (url, file) {
        (Some(url), None) => Some(KeySource::Url(url)),
        (None, Some(file)) => Some(KeySource::File(file)),
        (Some(_), Some(_)) | (None, None) => {
            let fix = "write keys: discover, keys: {url: …} or keys: {file: …}";
            section.wrong("keys", None, Wrong::new("one source of keys is expected", fix));
            None
        }
    }
}

//! Whose tokens are believed, and what they are judged by.

use std::time::Duration;

use super::value;
use crate::config::file::Section;
use crate::config::invalid::Wrong;
use crate::config::{
    ClaimNames, ClientAuthentication, Introspection, IntrospectionEndpoint, KeySource, Source,
    TokenType, TrustedIssuer, units,
};

/// The section `issuers`.
pub(super) fn all(root: &mut Section<'_>, several_sites: bool) -> Option<Vec<TrustedIssuer>> {
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
        match issuer(&mut section, several_sites) {
            Some(new) if issuers.iter().any(|old| old.issuer == new.issuer) => {
                let wrong = Wrong::new("it is listed twice", "keep one of the two entries");
                section.wrong("issuer", section.written("issuer"), wrong);
            }
            Some(new) if is_asked(&new) && issuers.iter().any(is_asked) => {
                let reason = "an opaque token does not say whose it is, so that both issuers would be \
                              shown each other's tokens";
                let fix = "keep introspection in one entry; write keys in the other, or run a \
                           gateway for each";
                section.wrong("introspection", None, Wrong::new(reason, fix));
            }
            Some(new) => issuers.push(new),
            None => all_good = false,
        }
    }
    (all_good && !issuers.is_empty()).then_some(issuers)
}

fn is_asked(issuer: &TrustedIssuer) -> bool {
    matches!(issuer.source, Source::Introspection(_))
}

fn issuer(section: &mut Section<'_>, several_sites: bool) -> Option<TrustedIssuer> {
    let fix = "write the authorization server's issuer, exactly as its metadata spells it";
    let issuer = section.required("issuer", value::issuer, fix);
    let source = source(section);
    let audiences = match section.list("audiences", value::text) {
        Some(audiences) if audiences.is_empty() => {
            let wrong = Wrong::new("no token could match it", "name an audience, or leave it out");
            section.wrong("audiences", Some("an empty list".into()), wrong);
            None
        }
        Some(_) if several_sites => {
            let reason = "a token for one site would be good at all of them";
            let fix = "leave it out: a token must then name the resource.url of the site it is for";
            section.wrong("audiences", None, Wrong::new(reason, fix));
            None
        }
        // None: the resource is the audience.
        audiences => Some(audiences.unwrap_or_default()),
    };
    let algorithms = section.list("algorithms", value::algorithm);
    if algorithms.as_ref().is_some_and(Vec::is_empty) {
        let wrong = Wrong::new("no token could match it", "name one, or leave it out");
        section.wrong("algorithms", Some("an empty list".into()), wrong);
    }
    let typ = section.optional("typ", value::token_type).unwrap_or(TokenType::Strict);
    let leeway = section.optional("leeway", value::leeway);
    let max_lifetime = section.optional("max_lifetime", units::duration);
    let azp_as_audience = section.optional("insecure_azp_as_audience", value::yes_or_no);
    let claims = claims(section);
    let keys_max_age = section.optional("keys_max_age", value::keys_max_age);
    Some(TrustedIssuer {
        issuer: issuer?,
        source: source?,
        audiences: audiences?,
        algorithms: algorithms.unwrap_or_else(|| value::ALGORITHMS.to_vec()),
        typ,
        leeway: leeway.unwrap_or(Duration::from_secs(30)),
        max_lifetime,
        azp_as_audience: azp_as_audience.unwrap_or(false),
        claims,
        keys_max_age: keys_max_age.unwrap_or(value::KEYS_MAX_AGE),
    })
}

fn claims(section: &mut Section<'_>) -> ClaimNames {
    let mut names = ClaimNames::default();
    let Some(mut section) = section.section("claims") else { return names };
    names.subject = section.optional("subject", value::claim).unwrap_or(names.subject);
    names.client = section.optional("client", value::claim);
    for (key, slot) in
        [("scopes", &mut names.scopes), ("roles", &mut names.roles), ("groups", &mut names.groups)]
    {
        *slot = section.list(key, value::claim).unwrap_or_else(|| std::mem::take(slot));
    }
    apart(&section, &names);
    names
}

/// A role that counted as a scope would be a way around every rule about scopes.
fn apart(section: &Section<'_>, names: &ClaimNames) {
    for (key, others) in [("roles", &names.roles), ("groups", &names.groups)] {
        if let Some(shared) = others.iter().find(|path| names.scopes.contains(path)) {
            let reason = "the same claim is read for scopes: what somebody is would be taken for \
                          what the token allows";
            let wrong = Wrong::new(reason, "give scopes and roles a claim each");
            section.wrong(key, Some(shared.as_str().to_owned()), wrong);
        }
    }
}

fn source(section: &mut Section<'_>) -> Option<Source> {
    if !section.has("introspection") {
        return keys(section).map(Source::Keys);
    }
    if section.has("keys") {
        keys(section);
        let reason = "there is introspection too, and a token is judged by one of them";
        section.wrong("keys", None, Wrong::new(reason, "keep keys or introspection"));
    }
    for key in ["algorithms", "typ", "insecure_azp_as_audience", "keys_max_age"] {
        if section.has(key) {
            let reason = "it is about signed tokens, and with introspection no signature is read";
            section.wrong(key, None, Wrong::new(reason, "remove it"));
        }
    }
    introspection(&mut section.section("introspection")?).map(Source::Introspection)
}

fn introspection(section: &mut Section<'_>) -> Option<Introspection> {
    let endpoint = section.optional("endpoint", value::introspection_endpoint);
    let fix = "write the id of the client that the issuer lets ask about tokens";
    let client_id = section.required("client_id", value::text, fix);
    let fix = "write that client's secret, for example ${file:/run/secrets/introspection}";
    let client_secret = section.required_secret("client_secret", fix);
    let authentication = section.optional("authentication", value::client_authentication);
    let cache = section.optional("cache", value::cache);
    Some(Introspection {
        endpoint: endpoint.unwrap_or(IntrospectionEndpoint::Discover),
        client_id: client_id?,
        client_secret: client_secret?,
        authentication: authentication.unwrap_or(ClientAuthentication::Basic),
        cache: cache.unwrap_or(Duration::from_secs(30)),
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

//! What there is to say of a stage that had no objection.

use http::header::{HOST, ORIGIN};

use super::Case;
use super::finding::policy::called;
use super::finding::token::{audiences, binding, claims, in_header, keys, shown_time};
use super::step::Step;
use super::words::{claim, listed, plain};
use crate::config::{KeySource, Scope, Source};
use crate::pipeline::authorize::Ruling;
use crate::pipeline::claims::texts;
use crate::pipeline::session::SESSION_ID;

/// None if there was nothing to judge.
pub(super) fn detail(step: Step, case: &Case) -> Option<String> {
    let said = |name: &str| claim(claims(case).and_then(|claims| claims.get(name)));
    let is_bound = claims(case).is_some_and(|claims| claims.get("cnf").is_some());
    let header = |name| case.request.headers.get(name).and_then(|value| value.to_str().ok());
    Some(match step {
        Step::Request => {
            let (method, path) = (&case.request.method, case.request.uri.path());
            format!("{method} {} for {}", plain(path), plain(header(HOST).unwrap_or_default()))
        }
        Step::Route => case.site.as_ref().map_or_else(
            || "a public place".to_owned(),
            |site| format!("within {}", site.resource.as_str()),
        ),
        Step::Origin => format!("a page of {} may call", plain(header(ORIGIN)?)),
        Step::Token => token(case),
        Step::Issuer => issuer(case),
        Step::Keys => format!("{}: {}", place(case), keys(case)),
        Step::Type if case.told.is_some() => format!("token_type {}", said("token_type")),
        Step::Type => format!("typ {}", in_header(case, "typ")),
        Step::Audience => audience(case),
        Step::Times => shown_time("exp", case),
        Step::Signature => {
            format!("holds, {} by key {}", in_header(case, "alg"), in_header(case, "kid"))
        }
        Step::Binding => is_bound.then(|| format!("the token is {}", binding(case)))?,
        Step::Subject => subject(case),
        Step::Revocation => {
            case.config.rules.revocations.as_ref().map(|_| "not on the list".to_owned())?
        }
        Step::Proof => is_bound.then(|| {
            "holds; whether it was used before, only the running gateway knows".to_owned()
        })?,
        Step::Content => "method, headers and announced length are fine".to_owned(),
        Step::Call => case.ruling.as_ref()?.call().map(|_| called(case))?,
        Step::Policy => policy(case),
        Step::Session => header(SESSION_ID)
            .map(|_| "this caller's, or of no meaning in this version".to_owned())?,
        Step::Limits => "counted by the running gateway, not here".to_owned(),
    })
}

fn audience(case: &Case) -> String {
    let ours = audiences(case);
    let named = claims(case).map(|claims| texts(claims.get("aud")));
    let named = named.and_then(Result::ok).unwrap_or_default();
    let met = ours.iter().map(String::as_str).filter(|our| named.contains(our));
    plain(&listed(met))
}

fn policy(case: &Case) -> String {
    let required = case.site.iter().flat_map(|site| site.scopes.iter().map(Scope::as_str));
    let scopes = match listed(required).as_str() {
        "none" => "no scope is required of all".to_owned(),
        required => format!("{required} held"),
    };
    match case.ruling.as_ref().and_then(Ruling::shadow) {
        Some(rule) => format!("{scopes}; the rule {rule} would refuse it, were it not in shadow"),
        None => scopes,
    }
}

fn token(case: &Case) -> String {
    let Some(shown) = &case.shown else { return "none".to_owned() };
    if shown.header.is_none() {
        return format!("opaque, {} characters", shown.bytes);
    }
    let (alg, kid) = (in_header(case, "alg"), in_header(case, "kid"));
    format!("a JWT of {} characters, alg {alg}, kid {kid}", shown.bytes)
}

fn issuer(case: &Case) -> String {
    let name = case.issuer.as_ref().map_or("none", |issuer| issuer.issuer.as_str());
    match case.told {
        Some(_) => format!("{name} was asked, and says that the token is active"),
        None => format!("{name} is trusted"),
    }
}

fn place(case: &Case) -> &'static str {
    match case.issuer.as_ref().map(|issuer| &issuer.source) {
        Some(Source::Keys(KeySource::File(_))) => "from the file",
        Some(Source::Keys(KeySource::Discover | KeySource::Url(_))) => "fetched now",
        Some(Source::Introspection(_)) | None => "none",
    }
}

fn subject(case: &Case) -> String {
    let names = case.issuer.as_ref().map(|issuer| &issuer.claims);
    let of = |name: &str| claim(claims(case).and_then(|claims| claims.get(name)));
    let subject = names.and_then(|names| claims(case)?.at(&names.subject));
    let client = match of("client_id").as_str() {
        "none" => of("azp"),
        client => client.to_owned(),
    };
    format!("{}, client {client}", claim(subject))
}

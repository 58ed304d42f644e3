//! What was expected of a token, and what it says.

use std::time::Duration;

use jsonwebtoken::Algorithm;

use super::Finding;
use crate::config::TokenType;
use crate::explain::Case;
use crate::explain::words::{claim, listed, moment, plain, seen_from, since_epoch, slip, span};
use crate::pipeline::authenticate::Rejected;
use crate::pipeline::claims::Claims;
use crate::pipeline::token::Shown;

pub(super) fn finding(why: Rejected, case: &Case) -> Finding {
    match why {
        Rejected::NotAJwt => Finding::found(shape(case)),
        Rejected::Algorithm => Finding::found(format!("alg {}", in_header(case, "alg"))),
        Rejected::AlgorithmNotListed => Finding::new(
            case.issuer.as_ref().map_or_else(String::new, |issuer| algorithms(&issuer.algorithms)),
            format!("alg {}", in_header(case, "alg")),
        ),
        Rejected::Critical => Finding::found("crit or b64 in the header"),
        Rejected::KeyId => Finding::found("a longer kid"),
        Rejected::Issuer => issuer(case),
        Rejected::NoKeys | Rejected::Unasked => Finding::default(),
        Rejected::Inactive => Finding::found("\"active\": false"),
        Rejected::Type => Finding::new(accepted_types(case), typ(case)),
        Rejected::Kind => Finding::found(marks(case)),
        Rejected::Audience => audience(case),
        Rejected::Expired => expired(case),
        Rejected::NotYetValid => not_yet_valid(case),
        Rejected::TooLong => too_long(case),
        Rejected::UnknownKey(_) | Rejected::KeyWithdrawn => Finding::new(
            format!("a key of the issuer: {}", keys(case)),
            format!("kid {}, alg {}", in_header(case, "kid"), in_header(case, "alg")),
        ),
        Rejected::Signature => signature(case),
        Rejected::Bound => Finding::found(format!("the token is {}", binding(case))),
        Rejected::Claim(name) => {
            let value = claims(case).and_then(|claims| claims.get(name));
            let found = value.map_or("none", |value| match value {
                serde_json::Value::String(_) => "a text",
                serde_json::Value::Number(_) => "a number",
                serde_json::Value::Array(_) => "a list",
                serde_json::Value::Object(_) => "an object",
                serde_json::Value::Null => "null",
                serde_json::Value::Bool(_) => "true or false",
            });
            Finding::new(expected_claim(name), format!("{name}: {found}"))
        }
        Rejected::Revoked => Finding::found(format!(
            "sub {}, jti {}, iat {} match an entry",
            of_claim(case, "sub"),
            of_claim(case, "jti"),
            of_claim(case, "iat")
        )),
    }
}

/// What is judged: the issuer's answer if there is one, else what the token says.
pub(in crate::explain) fn claims(case: &Case) -> Option<&Claims> {
    match &case.told {
        Some(told) => told.said(),
        None => case.shown.as_ref()?.claims.as_ref(),
    }
}

fn of_claim(case: &Case, name: &str) -> String {
    claim(claims(case).and_then(|claims| claims.get(name)))
}

pub(in crate::explain) fn in_header(case: &Case, name: &str) -> String {
    let header = case.shown.as_ref().and_then(|shown| shown.header.as_ref());
    claim(header.and_then(|header| header.get(name)))
}

pub(in crate::explain) fn algorithms(all: &[Algorithm]) -> String {
    let names: Vec<String> = all.iter().map(|algorithm| format!("{algorithm:?}")).collect();
    format!("one of {}", names.join(", "))
}

fn shape(case: &Case) -> String {
    let Some(shown) = &case.shown else { return "no token".to_owned() };
    let Shown { bytes, parts, .. } = shown;
    match (parts, &shown.header, &shown.claims) {
        (1, ..) => format!("{bytes} characters without a dot: an opaque token, or no token at all"),
        (2, Some(_), _) => "two parts: the signature is gone, the token was cut".to_owned(),
        (3, Some(_), Some(_)) if shown.signature == 0 => {
            "no signature after the last dot".to_owned()
        }
        (3, Some(_), None) => {
            "three parts, but the claims are no JSON object: cut or changed".to_owned()
        }
        (3, None, _) => "three parts, but the first is no JSON object: not a JWT".to_owned(),
        (5, ..) => {
            "five parts: an encrypted token (JWE), which only its audience can read".to_owned()
        }
        _ => format!("{parts} parts in {bytes} characters"),
    }
}

fn issuer(case: &Case) -> Finding {
    let trusted = case.config.rules.issuers.iter().map(|trusted| trusted.issuer.as_str());
    let found = claims(case).and_then(|claims| claims.text("iss")).unwrap_or_default();
    Finding::new(listed(trusted.clone()), with_slip(found, trusted))
}

fn audience(case: &Case) -> Finding {
    let ours = audiences(case);
    let named = claims(case).and_then(|claims| claims.get("aud"));
    let only = named.and_then(serde_json::Value::as_str);
    let found = match only {
        Some(only) => with_slip(only, ours.iter().map(String::as_str)),
        None => claim(named),
    };
    let found = match claims(case).filter(|claims| only.is_some() && is_client(claims, only)) {
        Some(_) => format!("{found}: the client itself, as in an ID token"),
        None => found,
    };
    Finding::new(listed(ours.iter().map(String::as_str)), format!("aud {found}"))
}

fn is_client(claims: &Claims, audience: Option<&str>) -> bool {
    ["azp", "client_id"].iter().any(|name| claims.text(name) == audience)
}

pub(in crate::explain) fn audiences(case: &Case) -> Vec<String> {
    match (&case.issuer, &case.site) {
        (Some(issuer), _) if !issuer.audiences.is_empty() => issuer.audiences.clone(),
        (_, Some(site)) => vec![site.resource.as_str().to_owned()],
        (_, None) => Vec::new(),
    }
}

fn with_slip<T: AsRef<str>>(found: &str, mut expected: impl Iterator<Item = T>) -> String {
    let slip = expected.find_map(|expected| slip(found, expected.as_ref()));
    match slip {
        Some(slip) => format!("{} (differs by {slip})", plain(found)),
        None => plain(found),
    }
}

fn accepted_types(case: &Case) -> String {
    let policy = case.issuer.as_ref().map(|issuer| issuer.typ);
    match policy {
        Some(TokenType::JwtOrAccessToken) => "typ at+jwt or JWT (issuers[].typ: jwt-or-at)",
        Some(TokenType::AbsentOk) => "typ at+jwt, JWT or none (issuers[].typ: absent-ok)",
        Some(TokenType::Strict) | None => "typ at+jwt (issuers[].typ: strict)",
    }
    .to_owned()
}

fn typ(case: &Case) -> String {
    format!("typ {}; {}", in_header(case, "typ"), marks(case))
}

/// What speaks for and against an access token.
fn marks(case: &Case) -> String {
    let has = |names: &[&'static str]| {
        let said = |name: &&&str| claims(case).is_some_and(|claims| claims.get(name).is_some());
        listed(names.iter().filter(said).copied())
    };
    let (other, access) = (
        has(&["nonce", "at_hash", "c_hash", "s_hash", "events"]),
        has(&["scope", "scp", "client_id"]),
    );
    match (other.as_str(), access.as_str()) {
        ("none", "none") => "its claims have no scope and no client_id".to_owned(),
        ("none", access) => format!("its claims have {access}, as an access token's"),
        (other, _) => format!("its claims have {other}: an ID token, or of another kind"),
    }
}

fn expired(case: &Case) -> Finding {
    let expected = format!("an exp no more than {} past (issuers[].leeway)", leeway(case));
    Finding::new(expected, shown_time("exp", case))
}

fn not_yet_valid(case: &Case) -> Finding {
    Finding::new(
        format!("nbf and iat no more than {} ahead (issuers[].leeway)", leeway(case)),
        format!("{}; {}", shown_time("nbf", case), shown_time("iat", case)),
    )
}

fn too_long(case: &Case) -> Finding {
    let longest = case.issuer.as_ref().and_then(|issuer| issuer.max_lifetime);
    let lasts = time("exp", case).zip(time("iat", case)).map(|(exp, iat)| exp.saturating_sub(iat));
    Finding::new(
        format!("at most {} (issuers[].max_lifetime)", span(longest.unwrap_or_default())),
        format!("{} from iat to exp", span(lasts.unwrap_or_default())),
    )
}

fn time(name: &str, case: &Case) -> Option<Duration> {
    claims(case).and_then(|claims| claims.time(name).ok().flatten())
}

pub(in crate::explain) fn shown_time(name: &str, case: &Case) -> String {
    match time(name, case) {
        Some(at) => {
            format!("{name} {}, {}", moment(at), seen_from(since_epoch(case.now), at))
        }
        None => format!("no {name}"),
    }
}

fn leeway(case: &Case) -> String {
    span(case.issuer.as_ref().map_or(Duration::ZERO, |issuer| issuer.leeway))
}

pub(in crate::explain) fn keys(case: &Case) -> String {
    let Some(keys) = &case.keys else { return "none".to_owned() };
    let names: Vec<String> = keys.keys().take(6).map(|key| format!("{key:?}")).collect();
    let more = keys.size().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    plain(&names.join(", ")) + &more
}

fn signature(case: &Case) -> Finding {
    let expected = format!("a signature by key {} of the issuer", in_header(case, "kid"));
    let bytes = case.shown.as_ref().map_or(0, |shown| shown.signature) * 3 / 4;
    let usual: Option<usize> = match in_header(case, "alg").as_str() {
        "ES256" | "EdDSA" | "Ed25519" => Some(64),
        "ES384" => Some(96),
        // RSA's are as long as the key, which is no shorter here.
        alg if alg.starts_with("RS") || alg.starts_with("PS") => Some(256),
        _ => None,
    };
    Finding::new(
        expected,
        match usual {
            Some(usual) if bytes < usual => {
                format!(
                    "a signature of {bytes} bytes where {usual} are expected: the token was cut"
                )
            }
            _ => "a whole signature, but not that key's over these claims".to_owned(),
        },
    )
}

/// What `cnf` says: by what it is proven, never by which key.
pub(in crate::explain) fn binding(case: &Case) -> String {
    match claims(case).and_then(|claims| claims.get("cnf")) {
        None => "not bound".to_owned(),
        Some(serde_json::Value::Object(members)) => {
            let names = members.keys().map(|name| match name.as_str() {
                "jkt" => "a key (jkt)",
                "x5t#S256" => "a client certificate (x5t#S256)",
                other => other,
            });
            format!("bound to {}", plain(&listed(names)))
        }
        Some(_) => "bound to something malformed".to_owned(),
    }
}

fn expected_claim(name: &str) -> &'static str {
    match name {
        "exp" | "iat" | "nbf" => "a number: seconds since 1970",
        "aud" | "scope" | "roles" | "groups" => "a text, or a list of texts",
        _ => "a text that is not empty",
    }
}

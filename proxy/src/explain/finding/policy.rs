//! What the caller lacks, or which rule is in the way.

use http::HeaderName;
use serde_json::Value;

use super::{Finding, header};
use crate::explain::Case;
use crate::explain::words::{claim, listed, plain};
use crate::pipeline::authorize::Ruling;
use crate::pipeline::token::Principal;

/// What the client is told to ask for, and what it has.
pub(super) fn scopes(challenge: &str, principal: &Principal, case: &Case) -> Finding {
    let wanted = challenge.split_once("scope=\"").and_then(|(_, rest)| rest.split('"').next());
    let wanted = || wanted.unwrap_or_default().split(' ');
    let held = match &*principal.scopes {
        "" => "no scope at all",
        held => held,
    };
    let missing = wanted().filter(|scope| !principal.has_scope(scope));
    let rule = case.ruling.as_ref().and_then(Ruling::rule);
    let rule = rule.map(|rule| format!(" (policy.scopes: {rule})")).unwrap_or_default();
    Finding::new(listed(wanted()) + &rule, format!("{}; missing: {}", plain(held), listed(missing)))
}

pub(super) fn denied(case: &Case) -> Finding {
    let rule = case.ruling.as_ref().and_then(Ruling::rule).unwrap_or_default();
    let why = match rule {
        "default" => "no rule under policy.allow names it".to_owned(),
        "unclear-uri" => "its URI can be read in more than one way".to_owned(),
        rule if case.ruling.as_ref().and_then(Ruling::failed).is_some() => {
            format!("a condition of the rule {rule} cannot be evaluated: a value may be missing")
        }
        rule => format!("the rule {rule} denies it"),
    };
    let failed = case.ruling.as_ref().and_then(Ruling::failed);
    let failed = failed.map(|rule| format!("; the condition of {rule} was neither true nor false"));
    Finding::found(format!("{}: {why}{}", called(case), failed.unwrap_or_default()))
}

/// What the policy was asked about.
pub(in crate::explain) fn called(case: &Case) -> String {
    match case.ruling.as_ref().and_then(Ruling::call) {
        Some(call) => {
            let name = call.name().map(|name| format!(" {}", plain(name)));
            plain(call.method()) + &name.unwrap_or_default()
        }
        None => "the request".to_owned(),
    }
}

/// What headers and body say, as far as anybody can read it.
pub(super) fn unclear(case: &Case) -> Finding {
    let said = |name| header(case, &HeaderName::from_static(name));
    let body: Value = serde_json::from_slice(&case.body).unwrap_or_default();
    let name = body.pointer("/params/name").or_else(|| body.pointer("/params/uri"));
    Finding::found(format!(
        "in the headers {}, {}; in the body of {} bytes, sent as {}: {}, {}",
        said("mcp-method"),
        said("mcp-name"),
        case.body.len(),
        said("content-type"),
        claim(body.get("method")),
        claim(name),
    ))
}

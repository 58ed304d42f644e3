//! What was expected and what was found, where a request was refused. The pipeline has judged it;
//! here the values that it judged by are put side by side.

mod credentials;
pub(super) mod policy;
pub(super) mod token;

use http::HeaderName;
use http::header::{HOST, ORIGIN};

use super::words::{harmless, listed, plain};
use super::{Case, sent};
use crate::config::{Origins, Site};
use crate::pipeline::answer::Answer;
use crate::pipeline::framing::Misframed;
use crate::pipeline::proof::Unproven;
use crate::pipeline::session::SESSION_ID;

/// Side by side; where nothing special can be said, what the registry says of the reason must do.
#[derive(Default)]
pub(super) struct Finding {
    pub(super) expected: Option<String>,
    pub(super) found: Option<String>,
}

impl Finding {
    fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: Some(expected.into()), found: Some(found.into()) }
    }

    /// What is expected is always the same.
    fn found(found: impl Into<String>) -> Self {
        Self { expected: None, found: Some(found.into()) }
    }
}

pub(super) fn of(answer: &Answer, case: &Case) -> Finding {
    let header = |name: HeaderName| header(case, &name);
    match answer {
        Answer::ForeignHost => Finding::new(names(case), format!("Host: {}", header(HOST))),
        Answer::NotFound | Answer::Ambiguous => {
            Finding::new(paths(case), plain(case.request.uri.path()))
        }
        Answer::WrongMethod(allowed) => Finding::new(*allowed, case.request.method.as_str()),
        Answer::ForeignOrigin => Finding::new(origins(case), header(ORIGIN)),
        Answer::Misframed(why) => framing(*why, case),
        Answer::NoCredentials(_) | Answer::BadCredentials(_) => credentials::found(case),
        Answer::InvalidToken(_, why) => token::finding(*why, case),
        Answer::NoKeys | Answer::NoIntrospection => {
            Finding { expected: None, found: case.trouble.as_deref().map(harmless) }
        }
        Answer::Unproven(_, why, _) => proof(*why, case),
        Answer::InsufficientScope(challenge, who) => {
            policy::scopes(challenge.text(), who.principal(), case)
        }
        Answer::Denied(_) => policy::denied(case),
        Answer::Unclear(_) => policy::unclear(case),
        Answer::UnknownSession(_) => Finding::found(format!(
            "a session of {} characters that does not open for this caller with {}",
            header(SESSION_ID).len(),
            if case.config.rules.session_keys.is_empty() {
                "a key made at start: the running gateway has another, so set session.keys to try this"
            } else {
                "session.keys"
            }
        )),
        Answer::Throttled(spent, _) => Finding::found(spent.to_string()),
        Answer::Metadata(_)
        | Answer::MetadataPreflight(_)
        | Answer::Front(_)
        | Answer::Landing(_)
        | Answer::Healthy
        | Answer::Preflight(_)
        | Answer::ProofsFull
        | Answer::NoAudit(_)
        | Answer::BackendDown(_)
        | Answer::BackendFull(_)
        | Answer::BadGateway
        | Answer::Untrusted(_)
        | Answer::GatewayTimeout
        | Answer::Internal => Finding::default(),
    }
}

pub(super) fn header(case: &Case, name: &HeaderName) -> String {
    let values = case.request.headers.get_all(name).iter();
    let values: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    plain(&listed(values.iter().map(AsRef::as_ref)))
}

fn names(case: &Case) -> String {
    let names: Vec<String> = case.config.rules.sites.iter().flat_map(Site::names).collect();
    listed(names.iter().map(String::as_str))
}

fn paths(case: &Case) -> String {
    let paths = case.config.rules.sites.iter().map(|site| match site.resource.path() {
        "" => "/",
        path => path,
    });
    format!("{}, or a path below", listed(paths))
}

fn origins(case: &Case) -> String {
    let Some(site) = &case.site else { return "none".to_owned() };
    let own = site.resource.origin();
    match &site.origins {
        Origins::Any => "any origin but null".to_owned(),
        Origins::Only(all) => listed(std::iter::once(own.as_str()).chain(all.iter().map(|o| &**o))),
    }
}

fn framing(why: Misframed, case: &Case) -> Finding {
    let limits = &case.config.boot.limits;
    let headers = &case.request.headers;
    match why {
        Misframed::Host => Finding::found(format!("Host: {}", header(case, &HOST))),
        Misframed::Method => Finding::found(case.request.method.as_str()),
        Misframed::TargetTooLong => Finding::new(
            format!("at most {} bytes (limits.target_bytes)", limits.target_bytes),
            format!("{} bytes", case.request.uri.path_and_query().map_or(0, |t| t.as_str().len())),
        ),
        Misframed::HeadTooLarge => Finding::new(
            format!(
                "at most {} fields in {} bytes (limits.headers, limits.header_bytes)",
                limits.headers, limits.header_bytes
            ),
            format!(
                "{} fields with {} bytes of values",
                headers.len(),
                headers.values().map(http::HeaderValue::len).sum::<usize>()
            ),
        ),
        Misframed::BodyTooLarge => Finding::new(
            format!("at most {} bytes (limits.body_bytes)", limits.body_bytes),
            format!("{} bytes", header(case, &http::header::CONTENT_LENGTH)),
        ),
        Misframed::Version
        | Misframed::Length
        | Misframed::Target
        | Misframed::Repeated
        | Misframed::Torn
        | Misframed::Handshake
        | Misframed::TooSlow => Finding::found(why.to_string()),
    }
}

fn proof(why: Unproven, case: &Case) -> Finding {
    let scheme = sent::credentials(&case.request).map_or("none", |(scheme, _)| scheme);
    match why {
        Unproven::SentAsBearer | Unproven::NotBound | Unproven::Required => {
            Finding::found(format!("scheme {scheme}; the token is {}", token::binding(case)))
        }
        Unproven::NoCertificate => Finding::found(
            "explain has no TLS connection; what it can say of the token stands above",
        ),
        Unproven::Target => Finding::new(
            case.site.as_ref().map_or_else(String::new, |site| {
                format!("htu {}{}", site.resource.origin(), plain(case.request.uri.path()))
            }),
            why.to_string(),
        ),
        Unproven::Method => Finding::new(format!("htm {}", case.request.method), why.to_string()),
        Unproven::OtherCertificate
        | Unproven::NoProof
        | Unproven::Repeated
        | Unproven::NotAJwt
        | Unproven::Critical
        | Unproven::Claim(_)
        | Unproven::Type
        | Unproven::Algorithm
        | Unproven::Signature
        | Unproven::Key
        | Unproven::Nonce
        | Unproven::Time
        | Unproven::OtherToken
        | Unproven::OtherKey
        | Unproven::Replayed
        | Unproven::Full => Finding::found(why.to_string()),
    }
}

//! The issuer's own endpoints, for clients that know only where the MCP server is: what they send goes on,
//! in the issuer's words, and nothing else of their requests does.

use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::Serializer;

use super::parameters::Parameters;
use super::{Caller, Front, mirror};
use crate::config::front::RESOURCE;
use crate::outbound::{Content, Document, Failed, Question};
use crate::pipeline::front::{Place, Reply};
use crate::reason::Reason;

pub(super) async fn answer(front: &Front, caller: Caller<'_>) -> Reply {
    let Some(metadata) = front.metadata().await else { return mirror::unavailable() };
    let (authorize, register) =
        (caller.visit.place == Place::Authorize, caller.visit.place == Place::Register);
    let name = match (authorize, register) {
        (true, _) => "authorization_endpoint",
        (false, true) => "registration_endpoint",
        (false, false) => "token_endpoint",
    };
    let there = metadata.get(name).and_then(Value::as_str).and_then(|text| Url::parse(text).ok());
    let Some(there) = there else {
        let why = "the authorization server has no such endpoint";
        return Reply::error(Reason::FrontRequest, StatusCode::NOT_FOUND, "invalid_request", why);
    };
    if authorize {
        return go(front, caller, there);
    }
    let question = if register { registration(caller) } else { grant(front, caller) };
    pass_on(front, &there, question).await
}

/// Where people are sent the issuer checks: it registered the client.
fn go(front: &Front, caller: Caller<'_>, mut there: Url) -> Reply {
    let query = caller.request.uri.query().unwrap_or_default();
    let Some(asked) = Parameters::read(query.as_bytes()) else { return muddled() };
    {
        let mut query = there.query_pairs_mut();
        for (name, value) in translated(front, &asked) {
            query.append_pair(&name, &value);
        }
    }
    Reply::redirect(Reason::Front, there.as_str()).unwrap_or_else(muddled)
}

fn registration(caller: Caller<'_>) -> Option<Question> {
    // Read and written again: the issuer gets what everybody would read in it.
    let asked: Map<String, Value> = serde_json::from_slice(caller.body).ok()?;
    let content = Some(Content::Json(Value::Object(asked).to_string()));
    Some(Question { method: Method::POST, headers: HeaderMap::new(), content })
}

fn grant(front: &Front, caller: Caller<'_>) -> Option<Question> {
    let asked = Parameters::read(caller.body)?;
    let mut form = Serializer::new(String::new());
    form.extend_pairs(translated(front, &asked));
    // Who the client is may stand there rather than in the form.
    let shown = caller.request.headers.get(header::AUTHORIZATION).cloned();
    let headers = shown.into_iter().map(|shown| (header::AUTHORIZATION, shown)).collect();
    Some(Question { method: Method::POST, headers, content: Some(Content::Form(form.finish())) })
}

/// In the issuer's words.
fn translated(front: &Front, asked: &Parameters) -> Vec<(String, String)> {
    let asking = &front.rules.asking;
    let pair = |(name, value): (&str, &str)| match name {
        RESOURCE => asking.resource(value).map(|(name, value)| (name.into(), value.into())),
        SCOPE => Some((SCOPE.to_owned(), asking.scopes(value))),
        _ => Some((name.to_owned(), value.to_owned())),
    };
    asked.iter().filter_map(pair).collect()
}

async fn pass_on(front: &Front, there: &Url, question: Option<Question>) -> Reply {
    let Some(question) = question else { return muddled() };
    let outbound = front.outbound.on_behalf_of_issuer(&front.rules.issuer);
    match outbound.ask(there, question).await {
        Ok(answer) => said(&answer),
        Err(why) => {
            tracing::warn!(%why, "the issuer cannot be asked for a client");
            match why {
                Failed::Unreachable(_) => mirror::unavailable(),
                Failed::Insecure | Failed::Refused(_) | Failed::Status(_) | Failed::TooLarge => {
                    unreadable()
                }
            }
        }
    }
}

/// Its status and its JSON, and no header of it.
fn said(answer: &Document) -> Reply {
    let told: Option<Map<String, Value>> = serde_json::from_slice(&answer.body).ok();
    let reason = match answer.status {
        StatusCode::OK | StatusCode::CREATED => Reason::Front,
        status if status.is_client_error() => Reason::FrontGrant,
        _ => return unreadable(),
    };
    told.map_or_else(unreadable, |told| Reply::json(reason, answer.status, &Value::Object(told)))
}

fn muddled() -> Reply {
    let why = "a parameter is repeated, or the body is not what it may be";
    Reply::error(Reason::FrontRequest, StatusCode::BAD_REQUEST, "invalid_request", why)
}

fn unreadable() -> Reply {
    let why = "the authorization server gave no answer that could be passed on";
    Reply::error(Reason::FrontIssuer, StatusCode::BAD_GATEWAY, "server_error", why)
}

const SCOPE: &str = "scope";

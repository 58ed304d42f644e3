//! A login through a broker of identities that speaks a dialect of its own: it is asked where to send
//! people, and gives tokens for a code, each by a POST whose parameters stand in the address. It knows
//! neither state nor PKCE; so what ties its answer to the browser that asked is ours alone.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::json;
use url::Url;

use super::Login;
use super::issuer::unasked;
use super::pending::Pending;
use super::refused::Refused;
use super::tokens::{Kind, Tokens};
use crate::config::front::Broker;
use crate::front::secrets::uuid;
use crate::outbound::{Content, Document, Question};
use crate::pipeline::claims::Claims;

/// Where it says that the browser is to go.
pub(super) async fn authorize(
    login: &Login,
    broker: &Broker,
    pending: &mut Pending,
) -> Result<String, Refused> {
    let mut url = broker.authorize.clone();
    url.query_pairs_mut().append_pair("callback_url", &login.rules.redirect_uri);
    let Document { status, body, .. } = ask(login, broker, &url, Sent::Nothing).await?;
    if status != StatusCode::OK {
        return Err(Refused::Answer("it does not say where to go"));
    }
    let members = Claims::read(&body);
    let to = members.as_ref().and_then(|members| members.text("redirect_url"));
    let to = to.and_then(|to| Url::parse(to).ok()).ok_or(Refused::Answer("redirect_url"))?;
    tie(to, &broker.authorize, pending)
}

/// Has the browser bring back a state that only it was given: ours, or the one that is there.
fn tie(mut to: Url, broker: &Url, pending: &mut Pending) -> Result<String, Refused> {
    let is_safe = to.scheme() == "https" || (to.scheme() == "http" && broker.scheme() == "http");
    if !is_safe || !to.username().is_empty() || to.password().is_some() {
        return Err(Refused::Answer("redirect_url is not https"));
    }
    let mut states = to.query_pairs().filter(|(name, _)| name == "state");
    match (states.next(), states.next()) {
        // Whoever is asked there compares it: it comes back, or nothing does.
        (Some((_, state)), None) if state.len() >= LEAST_STATE => {
            let state = state.into_owned();
            pending.state = state;
        }
        (None, _) => drop(to.query_pairs_mut().append_pair("state", &pending.state)),
        (Some(_), _) => return Err(Refused::Answer("the state in redirect_url could be guessed")),
    }
    Ok(to.into())
}

/// Tokens for a code.
pub(super) async fn redeem(login: &Login, broker: &Broker, code: &str) -> Result<Tokens, Refused> {
    let mut url = broker.login.clone();
    let callback = &login.rules.redirect_uri;
    url.query_pairs_mut().append_pair("code", code).append_pair("callback_url", callback);
    let answer = ask(login, broker, &url, Sent::NoJson).await?;
    read(&answer, Refused::Code)
}

/// Tokens for a refresh token.
pub(super) async fn renew(login: &Login, broker: &Broker, token: &str) -> Result<Tokens, Refused> {
    let body = json!({ "refresh_token": token }).to_string();
    let answer = ask(login, broker, &broker.refresh, Sent::Json(body)).await?;
    read(&answer, Refused::RefreshToken)
}

fn read(answer: &Document, refusal: Refused) -> Result<Tokens, Refused> {
    if answer.status == StatusCode::OK {
        return Tokens::read(&answer.body, Kind::Understood).map_err(Refused::Answer);
    }
    // Its words for what is wrong are its own, and not repeated.
    Err(if answer.status.is_client_error() { refusal } else { Refused::Answer("its status") })
}

/// What goes along.
enum Sent {
    Nothing,
    /// It wants to hear of JSON where there is none, too.
    NoJson,
    Json(String),
}

async fn ask(login: &Login, broker: &Broker, url: &Url, sent: Sent) -> Result<Document, Refused> {
    let trace = uuid().map_err(|_| Refused::Internal)?;
    let mut headers = HeaderMap::new();
    let name = HeaderValue::from_str(&trace).map_err(|_| Refused::Internal)?;
    headers.insert(broker.trace_header.clone(), name);
    let content = match sent {
        Sent::Nothing => None,
        Sent::NoJson => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            None
        }
        Sent::Json(json) => Some(Content::Json(json)),
    };
    let question = Question { method: Method::POST, headers, content };
    let answered = login.outbound.ask(url, question).await.map_err(|why| unasked(&why))?;
    let status = answered.status;
    if status != StatusCode::OK {
        tracing::warn!(status = status.as_u16(), trace, "the broker refused");
    }
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        return Err(Refused::Unavailable);
    }
    Ok(answered)
}

/// What has fewer letters somebody else could hit upon.
const LEAST_STATE: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn tied(to: &str) -> Result<(String, String), Refused> {
        let mut pending = Pending::new(None, SystemTime::UNIX_EPOCH)?;
        let broker = Url::parse("https://broker.example/authorize").unwrap();
        let to = tie(Url::parse(to).unwrap(), &broker, &mut pending)?;
        Ok((to, pending.state))
    }

    #[test]
    fn our_state_goes_along_where_there_is_none() {
        let (to, state) = tied("https://id.example/authorize?client_id=a").unwrap();
        assert_eq!(to, format!("https://id.example/authorize?client_id=a&state={state}"));
        let (to, state) = tied("https://id.example/authorize?upstate=x").unwrap();
        assert!(to.ends_with(&format!("?upstate=x&state={state}")));
    }

    #[test]
    fn a_state_that_is_there_becomes_ours_unless_it_could_be_guessed() {
        let (to, state) = tied("https://id.example/a?state=0123456789abcdef&x=y").unwrap();
        assert_eq!(to, "https://id.example/a?state=0123456789abcdef&x=y");
        assert_eq!(state, "0123456789abcdef");
        for to in
            ["https://id.example/a?state=1", "https://id.example/a?state=0123456789abcdef&state="]
        {
            assert!(matches!(tied(to), Err(Refused::Answer(_))), "{to}");
        }
    }

    #[test]
    fn nobody_is_sent_where_no_browser_should_go() {
        for to in ["http://id.example/", "javascript:alert(1)", "https://a@id.example/", "data:,x"]
        {
            assert!(tied(to).is_err(), "{to}");
        }
    }
}

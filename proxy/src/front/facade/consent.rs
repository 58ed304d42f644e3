//! Asks people for their consent, and goes on to the issuer with it.
//!
//! The issuer knows one client for all who come here, and may ask nobody a second time; so whoever gets a
//! program registered here could have people's tokens at a click. That is why they are asked here, each
//! time, by a page that only their own browser can answer.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::authorize::PATIENCE;
use super::client::Client;
use super::refused::Refused;
use super::{CONSENT, Desk, Pending, back, endpoint};
use crate::front::page::{Page, escaped};
use crate::front::parameters::Parameters;
use crate::front::seal::{For, Unopened};
use crate::front::secrets::{challenge, secret};
use crate::pipeline::front::Reply;
use crate::reason::Reason;

/// What goes to the issuer and comes back from it, as `state`.
#[derive(Serialize, Deserialize)]
pub(super) struct UnderWay {
    pub(super) pending: Pending,
    pub(super) verifier: String,
}

impl Desk<'_> {
    pub(super) async fn consent(&self) -> Result<Reply, Refused> {
        let Self { front, caller, .. } = *self;
        // A page of another site could send this form as well, were it not for the cookie.
        let from = caller.request.headers.get("sec-fetch-site");
        if from.is_some_and(|from| from != "same-origin") {
            return Err(Refused::State);
        }
        let form = Parameters::read(caller.body).ok_or(Refused::Request("repeated"))?;
        let sealed = form.get("request").ok_or(Refused::Request("request"))?;
        let browser = self.browser().read(&caller.request.headers).ok_or(Refused::State)?;
        let whom = [self.origin(), browser];
        let to = For { purpose: "consent", whom: &whom };
        let pending: Pending = front.seal.open(to, sealed, caller.now).map_err(unopened)?;
        if form.has("deny") {
            let to = back(&pending, self.origin(), &[("error", "access_denied")]);
            return Reply::redirect(Reason::FrontDenied, &to).ok_or(Refused::Internal);
        }
        let metadata = front.metadata().await.ok_or(Refused::Unavailable)?;
        let mut to = endpoint(&metadata, "authorization_endpoint").ok_or(Refused::Issuer)?;
        let under_way = UnderWay { pending, verifier: secret().map_err(|_| Refused::Internal)? };
        let state = For { purpose: "state", whom: &whom };
        let until = caller.now + PATIENCE;
        let state =
            front.seal.seal(state, &under_way, until).ok_or(Refused::Request("too long"))?;
        let asking = &front.rules.asking;
        let UnderWay { pending, verifier } = &under_way;
        {
            let mut query = to.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &self.rules.client.id)
                .append_pair("redirect_uri", &self.callback())
                .append_pair("state", &state)
                .append_pair("code_challenge", &challenge(verifier))
                .append_pair("code_challenge_method", "S256");
            if let Some(scope) = &pending.scope {
                query.append_pair("scope", &asking.scopes(scope));
            }
            if let Some((name, value)) = asking.resource(&pending.resource) {
                query.append_pair(name, value);
            }
        }
        // The same browser is to come back, and has the whole time for it.
        let cookie = self.browser().set(browser, PATIENCE.as_secs()).ok_or(Refused::Internal)?;
        let reply = Reply::redirect(Reason::Front, to.as_str()).ok_or(Refused::Issuer)?;
        Ok(reply.with_cookie(cookie))
    }
}

/// Who asks, for what, and where it leads: all of it others' words.
pub(super) fn consent_page(client: &Client, pending: &Pending, sealed: &str) -> Reply {
    let name = client.name.as_deref().unwrap_or("A program");
    let known = match &client.host {
        Some(host) => format!("It belongs to <code>{}</code>.", escaped(host)),
        None => "That is what it calls itself; nobody has checked it.".to_owned(),
    };
    let scope = pending.scope.as_deref().unwrap_or("whatever you are allowed there");
    let body = format!(
        "<p><strong>{}</strong> wants to use <code>{}</code> in your name. {known}</p>\
         <dl><dt>It may</dt><dd><code>{}</code></dd>\
         <dt>You will be sent to</dt><dd><code>{}</code></dd></dl>\
         <p>Go on only if you have just started this yourself.</p>\
         <form method=\"post\" action=\"{CONSENT}\">\
         <input type=\"hidden\" name=\"request\" value=\"{}\">\
         <p class=\"actions\"><button class=\"first\">Allow</button>\
         <button name=\"deny\" value=\"deny\">Deny</button></p></form>",
        escaped(name),
        escaped(&pending.resource),
        escaped(scope),
        escaped(&pending.redirect_uri),
        escaped(sealed),
    );
    let title = "Let a program in?";
    Page { title, body: &body, script: None }.reply(Reason::Front, StatusCode::OK)
}

pub(super) fn unopened(why: Unopened) -> Refused {
    match why {
        Unopened::Foreign => Refused::State,
        Unopened::Expired => Refused::Late,
    }
}

//! A client sends somebody to be asked.

use std::time::Duration;

use super::client::Client;
use super::consent::consent_page;
use super::refused::Refused;
use super::{Desk, Pending, back};
use crate::front::parameters::Parameters;
use crate::front::seal::For;
use crate::front::secrets::{digest_of, secret};
use crate::pipeline::front::Reply;
use crate::reason::Reason;

impl Desk<'_> {
    /// Until it is known where people may be sent, nothing is said but here.
    pub(super) async fn authorize(&self) -> Result<Reply, Refused> {
        let query = self.caller.request.uri.query().unwrap_or_default();
        let asked = Parameters::read(query.as_bytes()).ok_or(Refused::Request("repeated"))?;
        let id = asked.get("client_id").ok_or(Refused::Request("client_id"))?;
        let client = self.client(id).await?;
        let redirect_uri = asked.get("redirect_uri").ok_or(Refused::Request("redirect_uri"))?;
        if !client.may_send_to(self, redirect_uri) {
            return Err(Refused::RedirectUri);
        }
        let state = asked.get("state").map(str::to_owned);
        if state.as_ref().is_some_and(|state| state.len() > LONGEST_STATE) {
            return Err(Refused::Request("state is too long"));
        }
        let mut pending = Pending {
            client: digest_of(id),
            redirect_uri: redirect_uri.to_owned(),
            challenge: String::new(),
            state,
            scope: None,
            resource: String::new(),
        };
        match self.fill_in(&asked, &mut pending) {
            Ok(()) => self.ask(&client, &pending),
            Err((code, reason)) => {
                let to = back(&pending, self.origin(), &[("error", code)]);
                Reply::redirect(reason, &to).ok_or(Refused::RedirectUri)
            }
        }
    }

    /// What is wrong with this the client is told, where people are sent back to.
    fn fill_in(
        &self,
        asked: &Parameters,
        pending: &mut Pending,
    ) -> Result<(), (&'static str, Reason)> {
        let wrong = |code| (code, Reason::FrontRequest);
        if asked.get("response_type") != Some("code") {
            return Err(wrong("unsupported_response_type"));
        }
        if asked.has("request") {
            return Err(wrong("request_not_supported"));
        }
        if asked.has("request_uri") {
            return Err(wrong("request_uri_not_supported"));
        }
        if asked.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(wrong("invalid_request"));
        }
        // RFC 7636: without a method a challenge is the verifier itself, for everybody to read.
        let challenge = asked.get("code_challenge").filter(|text| is_challenge(text));
        let method = asked.get("code_challenge_method");
        let challenge = challenge.filter(|_| method == Some("S256"));
        challenge.ok_or(wrong("invalid_request"))?.clone_into(&mut pending.challenge);
        let known = self.front.resources(self.origin());
        let resource = match asked.get("resource") {
            Some(named) => known.iter().find(|known| known.0 == named),
            // Clients from before RFC 8707.
            None => known.first().filter(|_| known.len() == 1),
        };
        let (resource, scopes) = *resource.ok_or(wrong("invalid_target"))?;
        pending.resource.clone_from(resource);
        let scope = asked.get("scope").filter(|scope| is_scope(scope)).map(str::to_owned);
        if scope.is_none() && asked.has("scope") {
            return Err(wrong("invalid_scope"));
        }
        pending.scope = scope.or_else(|| Some(scopes.clone()).filter(|scopes| !scopes.is_empty()));
        Ok(())
    }

    /// Asks people whether that is what they want.
    fn ask(&self, client: &Client, pending: &Pending) -> Result<Reply, Refused> {
        // A browser keeps its mark, so that two that ask at once do not get into each other's way.
        let known = self.browser().read(&self.caller.request.headers);
        let browser = match known.filter(|mark| is_challenge(mark)) {
            Some(mark) => mark.to_owned(),
            None => secret().map_err(|_| Refused::Internal)?,
        };
        let to = For { purpose: "consent", whom: &[self.origin(), &browser] };
        let until = self.caller.now + PATIENCE;
        let sealed =
            self.front.seal.seal(to, pending, until).ok_or(Refused::Request("too long"))?;
        let cookie = self.browser().set(&browser, PATIENCE.as_secs()).ok_or(Refused::Internal)?;
        Ok(consent_page(client, pending, &sealed).with_cookie(cookie))
    }
}

/// 256 bits as a text: a challenge of RFC 7636, or one of our own marks.
fn is_challenge(text: &str) -> bool {
    text.len() == 43
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// RFC 6749 section 3.3, and an end.
fn is_scope(text: &str) -> bool {
    text.len() <= LONGEST_STATE
        && text.bytes().all(|byte| matches!(byte, b' ' | 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}

/// People read, and log in at the issuer.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);
const LONGEST_STATE: usize = 1024;

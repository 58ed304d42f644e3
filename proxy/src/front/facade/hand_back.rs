//! The issuer sends people back, and we send them on to who asked.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::consent::{UnderWay, unopened};
use super::refused::Refused;
use super::{Desk, back};
use crate::front::parameters::Parameters;
use crate::front::seal::For;
use crate::pipeline::front::Reply;
use crate::reason::Reason;

/// What a client gets instead of the issuer's code: that, and who may use it.
#[derive(Serialize, Deserialize)]
pub(super) struct Code {
    /// The issuer's.
    pub(super) theirs: String,
    pub(super) verifier: String,
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) resource: String,
}

impl Desk<'_> {
    pub(super) async fn hand_back(&self) -> Result<Reply, Refused> {
        let Self { front, caller, .. } = *self;
        let query = caller.request.uri.query().unwrap_or_default();
        let told = Parameters::read(query.as_bytes()).ok_or(Refused::Request("repeated"))?;
        let state = told.get("state").ok_or(Refused::Request("state"))?;
        let browser = self.browser().read(&caller.request.headers).ok_or(Refused::State)?;
        let to = For { purpose: "state", whom: &[self.origin(), browser] };
        let UnderWay { pending, verifier } =
            front.seal.open(to, state, caller.now).map_err(unopened)?;
        self.check_issuer(told.get("iss")).await?;
        if !front.used.take(state) {
            return Err(Refused::Used);
        }
        let reply = |reason, says: &[(&str, &str)]| {
            Reply::redirect(reason, &back(&pending, self.origin(), says)).ok_or(Refused::Internal)
        };
        let Some(code) = told.get("code") else {
            let error = told.get("error").ok_or(Refused::Request("code"))?;
            let known = KNOWN_ERRORS.into_iter().find(|known| *known == error);
            return reply(Reason::FrontDenied, &[("error", known.unwrap_or("server_error"))]);
        };
        let code = Code {
            theirs: code.to_owned(),
            verifier,
            client: pending.client.clone(),
            redirect_uri: pending.redirect_uri.clone(),
            challenge: pending.challenge.clone(),
            resource: pending.resource.clone(),
        };
        let to = For { purpose: "code", whom: &[self.origin()] };
        let sealed = front.seal.seal(to, &code, caller.now + CODE_LASTS).ok_or(Refused::Issuer)?;
        reply(Reason::Front, &[("code", &sealed)])
    }

    /// RFC 9207: an answer that names another server is another server's. One that says that it names
    /// itself must.
    async fn check_issuer(&self, named: Option<&str>) -> Result<(), Refused> {
        if let Some(named) = named {
            let is_ours = named == self.front.rules.issuer.as_str();
            return is_ours.then_some(()).ok_or(Refused::OtherIssuer);
        }
        let metadata = self.front.metadata().await.ok_or(Refused::Unavailable)?;
        let says_so = metadata.get("authorization_response_iss_parameter_supported");
        match says_so.and_then(Value::as_bool) {
            Some(true) => Err(Refused::OtherIssuer),
            Some(false) | None => Ok(()),
        }
    }
}

/// A program fetches its tokens at once.
const CODE_LASTS: Duration = Duration::from_mins(1);

/// RFC 6749 section 4.1.2.1 and those of `OpenID` Connect Core that a client can do something about.
const KNOWN_ERRORS: [&str; 11] = [
    "access_denied",
    "invalid_request",
    "invalid_scope",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_response_type",
    "invalid_target",
    "login_required",
    "consent_required",
    "interaction_required",
];

//! The last step: the issuer has sent the browser back, and its answer becomes tokens.

use std::time::Instant;

use super::page::{Ending, for_people, refusal};
use super::pending::Pending;
use super::refused::{self, Refused};
use super::tokens::Tokens;
use super::{Login, Query, broker, issuer};
use crate::config::front::Through;
use crate::front::{Caller, Front};
use crate::pipeline::front::Reply;

/// What the issuer's answer holds, of whatever is in the address.
struct Response {
    state: String,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

impl Response {
    fn read(mut query: Query) -> Result<Self, Refused> {
        Ok(Self {
            state: query.take("state")?.ok_or(Refused::Nothing)?,
            code: query.take("code")?,
            error: query.take("error")?,
            iss: query.take("iss")?,
        })
    }

    /// The code, if that is what the answer is, and from whom it should be (RFC 9207 section 2.4: an
    /// error must be as well).
    fn code(&self, pending: &Pending, issuer: &str) -> Result<&str, Refused> {
        match self.iss.as_deref() {
            Some(iss) if iss != issuer => return Err(Refused::OtherIssuer),
            None if pending.signed_off => return Err(Refused::OtherIssuer),
            Some(_) | None => (),
        }
        match (&self.error, &self.code) {
            (Some(error), _) => Err(refused::by_name(error)),
            (None, Some(code)) if !code.is_empty() => Ok(code),
            (None, _) => Err(Refused::NoCode),
        }
    }
}

impl Login {
    pub(in crate::front) async fn finish(&self, front: &Front, caller: Caller<'_>) -> Reply {
        let for_people = for_people(&caller.request.headers);
        let refuse = |refused| refusal(refused, for_people, &self.again);
        let (response, pending) = match self.recognise(front, caller) {
            Ok(known) => known,
            // What is not this browser's takes nothing from it either.
            Err(refused) => return refuse(refused),
        };
        // From here on it is over, however it ends.
        let reply = match self.redeem(front, &response, &pending, caller).await {
            Ok(tokens) => {
                let return_to = pending.return_to.as_deref();
                let ending = Ending {
                    tokens: &tokens,
                    resource: self.rules.resource.as_str(),
                    return_to: return_to.filter(|to| self.leads_to(to)),
                    again: &self.again,
                };
                if for_people { ending.page() } else { ending.json() }
            }
            Err(refused) => refuse(refused),
        };
        match self.jar(&caller.request.headers).forget(&pending.tag()) {
            Some(forget) => reply.with_cookie(forget),
            None => reply,
        }
    }

    /// The login that this is the answer to: begun in this browser, and not used yet.
    fn recognise(&self, front: &Front, caller: Caller<'_>) -> Result<(Response, Pending), Refused> {
        let Caller { request, now, .. } = caller;
        let response = Response::read(Query::of(request))?;
        let jar = self.jar(&request.headers);
        let pending = Pending::find(&response.state, jar, self.seals(front), now)?;
        if !self.used.take(pending.tag().as_str()) {
            return Err(Refused::Used);
        }
        Ok((response, pending))
    }

    async fn redeem(
        &self,
        front: &Front,
        response: &Response,
        pending: &Pending,
        caller: Caller<'_>,
    ) -> Result<Tokens, Refused> {
        let code = response.code(pending, self.issuer.0.issuer.as_str())?;
        match &self.rules.through {
            Through::Issuer { client, scopes } => {
                // The ID token is younger than the request that brings it about.
                let began = Instant::now();
                let metadata = front.metadata().await.ok_or(Refused::Unavailable)?;
                let tokens = issuer::redeem(self, client, &metadata, (code, pending)).await?;
                if scopes.iter().any(|scope| scope == "openid") {
                    let now = caller.now + began.elapsed();
                    issuer::believe(self, client, pending, &tokens, now).await?;
                }
                Ok(tokens)
            }
            Through::Broker(broker) => broker::redeem(self, broker, code).await,
        }
    }

    /// The rules may be others than when it began.
    fn leads_to(&self, target: &str) -> bool {
        self.rules.return_to.iter().any(|listed| listed == target)
    }
}

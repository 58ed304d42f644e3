//! The first step: to the issuer, with what ties its answer to this browser.

use super::Query;
use super::page::{for_people, refusal};
use super::pending::{GOOD_FOR, Pending};
use super::refused::Refused;
use super::{Login, broker, issuer};
use crate::config::front::Through;
use crate::front::{Caller, Front};
use crate::pipeline::front::Reply;
use crate::reason::Reason;

impl Login {
    pub(in crate::front) async fn begin(&self, front: &Front, caller: Caller<'_>) -> Reply {
        match self.try_to_begin(front, caller).await {
            Ok(reply) => reply,
            Err(refused) => refusal(refused, for_people(&caller.request.headers), &self.again),
        }
    }

    async fn try_to_begin(&self, front: &Front, caller: Caller<'_>) -> Result<Reply, Refused> {
        let Caller { request, now, .. } = caller;
        let return_to = self.target(Query::of(request).take("return_to")?)?;
        let mut pending = Pending::new(return_to, now)?;
        let to = match &self.rules.through {
            Through::Issuer { client, scopes } => {
                let metadata = front.metadata().await.ok_or(Refused::Unavailable)?;
                issuer::authorize(self, (client, scopes), &metadata, &mut pending)?
            }
            Through::Broker(broker) => broker::authorize(self, broker, &mut pending).await?,
        };
        let jar = self.jar(&request.headers);
        let kept = pending.seal(self.seals(front), now)?;
        let kept = jar.keep(&pending.tag(), &kept, GOOD_FOR.as_secs()).ok_or(Refused::Internal)?;
        let reply = Reply::redirect(Reason::LoginBegun, &to).ok_or(Refused::Internal)?;
        let surplus = Pending::surplus(jar, self.seals(front), now);
        let gone = surplus.iter().filter_map(|tag| jar.forget(tag));
        Ok(gone.fold(reply.with_cookie(kept), Reply::with_cookie))
    }

    /// A target is one of those that are listed, letter by letter: no reader's idea of what else may mean
    /// the same matters.
    pub(super) fn target(&self, asked: Option<String>) -> Result<Option<String>, Refused> {
        match asked {
            Some(asked) if !self.rules.return_to.contains(&asked) => Err(Refused::ReturnTo),
            asked => Ok(asked),
        }
    }
}

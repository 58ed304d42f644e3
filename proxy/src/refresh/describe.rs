//! Keeps what an issuer says of itself known, for those who pass it on.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::metadata;
use super::schedule::{USUAL, after};
use crate::config::Issuer;
use crate::outbound::Outbound;

/// What is known of an issuer's metadata. It is fetched in its own time, so that nobody who asks here makes
/// us ask there; what was known stays when that fails.
pub(crate) struct Description {
    issuer: Issuer,
    told: watch::Receiver<Told>,
    again: Arc<Notify>,
    task: AbortHandle,
}

#[derive(Clone, Default)]
struct Told {
    looked: bool,
    last: Option<(Arc<Map<String, Value>>, Instant)>,
}

impl Description {
    pub(crate) fn start(issuer: &Issuer, outbound: &Outbound, tasks: &mut JoinSet<()>) -> Self {
        let (tell, told) = watch::channel(Told::default());
        let again = Arc::new(Notify::new());
        let outbound = outbound.on_behalf_of_issuer(issuer);
        let keeping = keep_known(issuer.clone(), outbound, tell, Arc::clone(&again));
        Self { issuer: issuer.clone(), told, again, task: tasks.spawn(keeping) }
    }

    /// Whose it is.
    pub(crate) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// What it said last, if that is not too long ago. Waits for the first look, and not for long.
    pub(crate) async fn told(&self) -> Option<Arc<Map<String, Value>>> {
        let mut told = self.told.clone();
        let looked = timeout(PATIENCE, told.wait_for(|told| told.looked)).await.ok()?.ok()?;
        let (document, at) = looked.last.as_ref()?;
        (at.elapsed() < MOST_STALE).then(|| Arc::clone(document))
    }

    /// Whoever has changed the rules wants to see what there is now.
    pub(crate) fn look_again(&self) {
        self.again.notify_one();
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_known(
    issuer: Issuer,
    outbound: Outbound,
    tell: watch::Sender<Told>,
    again: Arc<Notify>,
) {
    let mut failures = 0;
    loop {
        let fresh_for = match metadata::description(&outbound, &issuer).await {
            Ok((document, fresh_for)) => {
                failures = 0;
                let last = Some((Arc::new(document), Instant::now()));
                tell.send_replace(Told { looked: true, last });
                fresh_for
            }
            Err(why) => {
                failures += 1;
                let kept = tell.borrow().last.is_some();
                tracing::warn!(issuer = issuer.as_str(), %why, kept, "no metadata to pass on");
                tell.send_modify(|told| told.looked = true);
                USUAL
            }
        };
        drop(timeout(after(failures, fresh_for), again.notified()).await);
        if failures > 0 {
            // However often somebody asks for another look, the issuer is left in peace for a moment.
            sleep(BREATH).await;
        }
    }
}

/// As for keys: less than a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What it said a day ago is not what it says.
const MOST_STALE: Duration = Duration::from_hours(24);
const BREATH: Duration = Duration::from_millis(100);

//! An open stream outlasts the moment at which its token was judged, but not the token.

mod events;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::pipeline::authenticate::{Rejected, Standing};
use crate::snapshot::Snapshot;
use crate::upstream::Line;
pub(crate) use events::Events;

/// Ends one stream when its token does. Dropped with the request, however that ends.
pub(crate) struct Watch {
    ended: Arc<OnceLock<Rejected>>,
    task: AbortHandle,
}

impl Watch {
    /// `changes` tells when keys or revocations are others than before.
    pub(crate) fn start(
        snapshot: Arc<Snapshot>,
        standing: Standing,
        line: Arc<Line>,
        changes: Changes,
    ) -> Self {
        let ended = Arc::new(OnceLock::new());
        let tell = Arc::clone(&ended);
        let task = tokio::spawn(async move {
            let why = end(&snapshot, &standing, changes).await;
            // Told before it is done: who sees the end must find the reason.
            if tell.set(why).is_ok() {
                line.cut();
            }
        });
        Self { ended, task: task.abort_handle() }
    }

    /// Why the stream was ended, if it was.
    pub(crate) fn ended(&self) -> Option<Rejected> {
        self.ended.get().copied()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a token's standing may change with.
#[derive(Clone)]
pub(crate) struct Changes {
    pub(crate) keys: watch::Receiver<u64>,
    pub(crate) revocations: watch::Receiver<u64>,
}

/// Waits until the token no longer holds.
async fn end(snapshot: &Snapshot, standing: &Standing, mut changes: Changes) -> Rejected {
    loop {
        let now = now();
        if let Err(why) = snapshot.pipeline.recheck(standing, now) {
            return why;
        }
        // Looked at again now and then: the clock may be set, and the machine may sleep.
        let soon = standing.lasts(now).map_or(LOOK, |left| left.min(LOOK));
        drop(timeout(soon, changes.any()).await);
    }
}

impl Changes {
    /// Where nobody is left to tell, nothing changes any more.
    async fn any(&mut self) {
        tokio::select! {
            Ok(()) = self.keys.changed() => (),
            Ok(()) = self.revocations.changed() => (),
            else => std::future::pending().await,
        }
    }
}

/// The end of a stream is told by the clock, like its beginning.
#[expect(clippy::disallowed_methods, reason = "a stream goes on between requests")]
fn now() -> SystemTime {
    SystemTime::now()
}

const LOOK: Duration = Duration::from_secs(30);

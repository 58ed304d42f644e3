//! An open stream outlasts the moment at which its token was judged, but not the token, nor us.

mod events;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::pipeline::authenticate::{Rejected, Standing};
use crate::reason::Reason;
use crate::snapshot::Snapshot;
use crate::upstream::Line;
pub(crate) use events::{Events, are_events};

/// Ends one stream when its token does, or when we do. Dropped with the request, however that ends.
pub(crate) struct Watch {
    end: Arc<OnceLock<End>>,
    task: AbortHandle,
}

/// Which came first. Only one can.
#[derive(Debug)]
enum End {
    Early(Cause),
    OfTheStream,
}

/// Why a stream was ended that would have gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    /// Its token does not hold any more.
    #[error("{0}")]
    Token(Rejected),
    /// We were told to stop a while ago.
    #[error("the time is up that streams are given when the gateway stops")]
    Leaving,
}

impl Cause {
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::Token(why) => why.reason(),
            Self::Leaving => Reason::Stopping,
        }
    }
}

impl Watch {
    /// `changes` tells when keys or revocations are others than before.
    pub(crate) fn start(
        snapshot: Arc<Snapshot>,
        standing: Standing,
        line: Arc<Line>,
        changes: Changes,
    ) -> Self {
        Self::until(async move { end(&snapshot, &standing, changes).await }, line)
    }

    fn until(time_is_up: impl Future<Output = Cause> + Send + 'static, line: Arc<Line>) -> Self {
        let end = Arc::new(OnceLock::new());
        let tell = Arc::clone(&end);
        let task = tokio::spawn(async move {
            let why = time_is_up.await;
            // Told before it is done: who sees the end must find the reason.
            if tell.set(End::Early(why)).is_ok() {
                line.cut();
            }
        });
        Self { end, task: task.abort_handle() }
    }

    /// The stream has ended by itself, and its connection may be another request's from now on: it is
    /// not cut any more. Unless it is being cut now, and must be nobody's.
    pub(crate) fn let_go(&self) -> Result<(), Cause> {
        match self.end.get_or_init(|| End::OfTheStream) {
            End::OfTheStream => Ok(()),
            End::Early(why) => Err(*why),
        }
    }

    /// Why the stream was ended, if it was.
    pub(crate) fn ended(&self) -> Option<Cause> {
        match self.end.get() {
            Some(End::Early(why)) => Some(*why),
            Some(End::OfTheStream) | None => None,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What ends streams, and what a token's standing may change with.
#[derive(Clone)]
pub(crate) struct Changes {
    pub(crate) keys: watch::Receiver<u64>,
    pub(crate) revocations: watch::Receiver<u64>,
    /// True when no stream may go on.
    pub(crate) leaving: watch::Receiver<bool>,
}

/// Waits until the token no longer holds, or nobody's would.
async fn end(snapshot: &Snapshot, standing: &Standing, mut changes: Changes) -> Cause {
    loop {
        let now = now();
        if let Err(why) = snapshot.pipeline.recheck(standing, now) {
            return Cause::Token(why);
        }
        if *changes.leaving.borrow_and_update() {
            return Cause::Leaving;
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
            Ok(()) = self.leaving.changed() => (),
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::pin::pin;

    use tokio::sync::oneshot;
    use tokio::task::yield_now;

    use super::*;

    /// A watch, what ends its token, and the other side of its connection.
    fn watched() -> (Watch, oneshot::Sender<()>, UnixStream, Arc<Line>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let line = Arc::new(Line::Unix(ours));
        let (ends, token) = oneshot::channel();
        let token_ends = async {
            drop(token.await);
            Cause::Token(Rejected::Revoked)
        };
        (Watch::until(token_ends, Arc::clone(&line)), ends, theirs, line)
    }

    #[tokio::test]
    async fn a_stream_that_ended_by_itself_is_not_cut_any_more() {
        let (watch, ends, mut theirs, line) = watched();
        assert_eq!(watch.let_go(), Ok(()));
        ends.send(()).unwrap();
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(watch.ended(), None);
        let Line::Unix(ours) = &*line else { panic!() };
        (&mut &*ours).write_all(b"next").unwrap();
        theirs.read_exact(&mut [0; 4]).unwrap();
    }

    #[tokio::test]
    async fn a_stream_that_is_cut_lets_nobody_have_its_connection() {
        let (watch, ends, mut theirs, _line) = watched();
        ends.send(()).unwrap();
        let mut cut = pin!(async {
            while watch.ended().is_none() {
                yield_now().await;
            }
        });
        timeout(Duration::from_secs(5), &mut cut).await.unwrap();
        let why = Cause::Token(Rejected::Revoked);
        assert_eq!(watch.let_go(), Err(why));
        assert_eq!(watch.ended(), Some(why), "still the reason");
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
    }
}

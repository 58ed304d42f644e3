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
    end: Arc<OnceLock<End>>,
    task: AbortHandle,
}

/// Which came first. Only one can.
#[derive(Debug)]
enum End {
    OfTheToken(Rejected),
    OfTheStream,
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

    fn until(token_ends: impl Future<Output = Rejected> + Send + 'static, line: Arc<Line>) -> Self {
        let end = Arc::new(OnceLock::new());
        let tell = Arc::clone(&end);
        let task = tokio::spawn(async move {
            let why = token_ends.await;
            // Told before it is done: who sees the end must find the reason.
            if tell.set(End::OfTheToken(why)).is_ok() {
                line.cut();
            }
        });
        Self { end, task: task.abort_handle() }
    }

    /// The stream has ended by itself, and its connection may be another request's from now on: it is
    /// not cut any more. Unless it is being cut now, and must be nobody's.
    pub(crate) fn let_go(&self) -> Result<(), Rejected> {
        match self.end.get_or_init(|| End::OfTheStream) {
            End::OfTheStream => Ok(()),
            End::OfTheToken(why) => Err(*why),
        }
    }

    /// Why the stream was ended, if it was.
    pub(crate) fn ended(&self) -> Option<Rejected> {
        match self.end.get() {
            Some(End::OfTheToken(why)) => Some(*why),
            Some(End::OfTheStream) | None => None,
        }
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
            Rejected::Revoked
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
        assert_eq!(watch.let_go(), Err(Rejected::Revoked));
        assert_eq!(watch.ended(), Some(Rejected::Revoked), "still the reason");
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
    }
}

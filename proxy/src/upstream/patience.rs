//! How long an answer may take to begin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::dial::Line;

/// Ends a connection on which no answer begins in time: pingora's own deadline would be one for all that
/// follows, too. Dropped with the request, however that ends.
#[derive(Debug)]
pub(crate) struct Patience {
    line: Arc<Line>,
    wait: Duration,
    state: Arc<AtomicU8>,
    task: AbortHandle,
}

impl Patience {
    /// From now on.
    pub(crate) fn begin(line: &Arc<Line>, wait: Duration) -> Self {
        let (line, state) = (Arc::clone(line), Arc::new(AtomicU8::new(WAITING)));
        let task = timer(Arc::clone(&line), wait, Arc::clone(&state));
        Self { line, wait, state, task }
    }

    /// Anew: the request is still on its way.
    pub(crate) fn renew(&mut self) {
        self.task.abort();
        self.task = timer(Arc::clone(&self.line), self.wait, Arc::clone(&self.state));
    }

    /// The answer has begun. What comes first counts: a connection that is kept is not ended later.
    pub(crate) fn answered(&self) {
        settle(&self.state, ANSWERED);
    }

    /// Whether it was too late.
    pub(crate) fn is_over(&self) -> bool {
        self.state.load(Ordering::Relaxed) == OVER
    }
}

fn timer(line: Arc<Line>, wait: Duration, state: Arc<AtomicU8>) -> AbortHandle {
    let over = async move {
        sleep(wait).await;
        if settle(&state, OVER) {
            line.cut();
        }
    };
    tokio::spawn(over).abort_handle()
}

fn settle(state: &AtomicU8, to: u8) -> bool {
    state.compare_exchange(WAITING, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

impl Drop for Patience {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const WAITING: u8 = 0;
const ANSWERED: u8 = 1;
const OVER: u8 = 2;

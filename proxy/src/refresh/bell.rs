//! The side of those who wait: a request rings when it meets a key that it does not know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, timeout};

use crate::keys::Keyring;
use crate::pipeline::token::Digest;
use crate::record::KeyGauges;

/// What came of looking again.
pub(crate) enum Looked {
    /// The issuer has said what its keys are now.
    Again,
    /// It could not be asked: nobody can say whether the key is good.
    InVain,
}

/// One issuer's: any number may ring, and all of them share the next look.
pub(crate) struct Bell {
    call: Arc<Call>,
    seen: watch::Receiver<Progress>,
    waiting: Semaphore,
    keyring: Arc<Keyring>,
    /// Ids that a look has not found, and the generation of the set that lacked them.
    absent: Cache<Digest, u64>,
    gauges: KeyGauges,
}

/// Looks begun and ended so far.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    started: u64,
    finished: u64,
    good: bool,
    /// When those who ring can next be served.
    earned: Instant,
}

/// Which look is wanted.
#[derive(Default)]
struct Call {
    wanted: AtomicU64,
    wake: Notify,
}

impl Bell {
    pub(super) fn new(keyring: Arc<Keyring>, gauges: KeyGauges) -> (Self, Watchman) {
        let start = Progress { started: 0, finished: 0, good: false, earned: Instant::now() };
        let (progress, seen) = watch::channel(start);
        let call = Arc::new(Call::default());
        let absent = Cache::builder()
            .max_capacity(MOST_ABSENT)
            .time_to_live(ABSENT_FOR)
            // A flood of ids shall push itself out.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let waiting = Semaphore::new(MOST_WAITING);
        let watchman = Watchman { call: Arc::clone(&call), progress };
        (Self { call, seen, waiting, keyring, absent, gauges }, watchman)
    }

    /// Waits for a look at the issuer's keys that began after this call. All who wait share it.
    pub(crate) async fn look_again(&self, mark: Digest) -> Looked {
        if self.is_absent(mark) {
            return Looked::Again;
        }
        let mut seen = self.seen.clone();
        let before = *seen.borrow_and_update();
        let Some(_place) = self.place(before.earned) else {
            self.gauges.refused();
            return Looked::InVain;
        };
        let wanted = before.started + 1;
        self.call.wanted.fetch_max(wanted, Ordering::Relaxed);
        self.call.wake.notify_one();
        match timeout(PATIENCE, seen.wait_for(|now| now.finished >= wanted)).await {
            Ok(Ok(now)) if now.good => {
                self.absent.insert(mark, self.generation());
                Looked::Again
            }
            Ok(Ok(_) | Err(_)) | Err(_) => Looked::InVain,
        }
    }

    /// An id that was looked for a moment ago is not looked for again, unless the set has changed.
    fn is_absent(&self, mark: Digest) -> bool {
        self.absent.get(&mark).is_some_and(|generation| generation == self.generation())
    }

    fn generation(&self) -> u64 {
        self.keyring.current().map_or(0, |keys| keys.generation())
    }

    /// Many may wait for an answer that is on its way, and few for a look that must be earned first:
    /// during a flood nearly all are strangers, and the few are enough to have the look made.
    fn place(&self, earned: Instant) -> Option<SemaphorePermit<'_>> {
        let taken = MOST_WAITING.saturating_sub(self.waiting.available_permits());
        let full = taken >= MOST_WAITING_LONG && earned > Instant::now();
        if full { None } else { self.waiting.try_acquire().ok() }
    }
}

/// The side of the one who looks.
pub(super) struct Watchman {
    call: Arc<Call>,
    progress: watch::Sender<Progress>,
}

impl Watchman {
    /// Ends when somebody waits for a look that has not begun.
    pub(super) async fn rung(&self) {
        while self.call.wanted.load(Ordering::Relaxed) <= self.progress.borrow().started {
            self.call.wake.notified().await;
        }
    }

    /// A look begins; who rings from now on waits for the one after it.
    pub(super) fn begin(&self, earned: Instant) {
        self.progress.send_modify(|progress| {
            progress.started += 1;
            progress.earned = earned;
        });
    }

    pub(super) fn end(&self, good: bool) {
        self.progress.send_modify(|progress| {
            progress.finished = progress.started;
            progress.good = good;
        });
    }
}

/// How long a request waits for keys: less than a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than come at once when an issuer turns all its tokens over to a new key.
const MOST_WAITING: usize = 1024;
const MOST_WAITING_LONG: usize = 64;
/// Short, because an id may be published a moment after it was looked for.
const ABSENT_FOR: Duration = Duration::from_secs(10);
const MOST_ABSENT: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Recorder;

    fn bell() -> (Arc<Bell>, Watchman) {
        let gauges = Recorder::new().unwrap().keys("https://id.example");
        let (bell, watchman) = Bell::new(Arc::default(), gauges);
        (Arc::new(bell), watchman)
    }

    async fn ring(
        bell: &Arc<Bell>,
        watchman: &Watchman,
        id: &str,
    ) -> tokio::task::JoinHandle<bool> {
        let (bell, mark) = (Arc::clone(bell), Digest::of(id.as_bytes()));
        let waiting =
            tokio::spawn(async move { matches!(bell.look_again(mark).await, Looked::Again) });
        watchman.rung().await;
        waiting
    }

    #[tokio::test]
    async fn a_look_that_began_before_the_ring_does_not_count() {
        let (bell, watchman) = bell();
        let now = Instant::now();
        watchman.begin(now);
        let waiting = ring(&bell, &watchman, "1").await;
        watchman.end(true);
        assert!(!waiting.is_finished());
        watchman.begin(now);
        watchman.end(true);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn who_rings_during_a_flood_is_told_at_once_to_come_back() {
        let (bell, watchman) = bell();
        watchman.begin(Instant::now() + Duration::from_hours(1));
        watchman.end(true);
        let mut few = Vec::new();
        for number in 0..MOST_WAITING_LONG {
            few.push(ring(&bell, &watchman, &number.to_string()).await);
        }
        while bell.waiting.available_permits() > MOST_WAITING - MOST_WAITING_LONG {
            tokio::task::yield_now().await;
        }
        assert!(matches!(bell.look_again(Digest::of(b"more")).await, Looked::InVain));
        watchman.begin(Instant::now());
        watchman.end(true);
        for waiting in few {
            assert!(waiting.await.unwrap());
        }
    }

    #[tokio::test]
    async fn an_id_that_is_not_there_costs_one_look_until_the_set_changes() {
        let (bell, watchman) = bell();
        watchman.begin(Instant::now());
        watchman.end(true);
        let waiting = ring(&bell, &watchman, "1").await;
        watchman.begin(Instant::now());
        watchman.end(true);
        assert!(waiting.await.unwrap());
        assert!(matches!(bell.look_again(Digest::of(b"1")).await, Looked::Again), "at once");

        bell.keyring.replace(Vec::new());
        let waiting = ring(&bell, &watchman, "1").await;
        watchman.begin(Instant::now());
        watchman.end(false);
        assert!(!waiting.await.unwrap(), "it was looked for again, and nobody knows");
    }
}

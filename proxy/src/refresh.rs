//! Fetches issuers' keys in the background: on time, and at once when a token names an unknown one.
//!
//! Each issuer has a worker, the only writer of its keyring, and a bell, where requests ring. A look is
//! made when it is due, or when somebody waits for one and two budgets allow it: the issuer's own and
//! one that all issuers share.

mod bell;
mod budget;
mod describe;
mod endpoint;
mod keep;
mod metadata;
mod schedule;
mod source;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::{Mutex, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::config::{KeySource, Source};
use crate::holder::KeyHolder;
use crate::keys::jwks::Skipped;
use crate::outbound::Outbound;
use crate::record::Recorder;
use bell::Watchman;
use budget::Budget;
use keep::Keep;
use source::{Found, Publication};

pub(crate) use bell::{Bell, Looked};
pub(crate) use describe::Description;
pub(crate) use metadata::described;
pub(crate) use source::NoKeys;

/// Starts looking after issuers, and holds what all of them share.
pub(crate) struct Refresh {
    outbound: Outbound,
    recorder: Recorder,
    tell: watch::Sender<u64>,
    everybody: Arc<Mutex<Budget>>,
}

impl Refresh {
    pub(crate) fn new(outbound: Outbound, recorder: Recorder) -> Self {
        let everybody = Arc::new(Mutex::new(Budget::of_all(Instant::now())));
        Self { outbound, recorder, tell: watch::Sender::new(0), everybody }
    }

    /// Starts fetching an issuer's keys.
    pub(crate) fn start(
        &self,
        holder: &KeyHolder,
        place: &KeySource,
        tasks: &mut JoinSet<()>,
    ) -> (Bell, AbortHandle) {
        let gauges = self.recorder.keys(holder.issuer.issuer.as_str());
        let (bell, watchman) = Bell::new(Arc::clone(&holder.keyring), gauges.clone());
        let worker = Worker {
            source: Publication::new(&holder.issuer, place, &self.outbound),
            place: place.clone(),
            keep: Keep::new(holder, gauges, self.tell.clone()),
            watchman,
            budget: Budget::of_one(Instant::now()),
            everybody: Arc::clone(&self.everybody),
        };
        (bell, tasks.spawn(worker.run()))
    }

    /// Starts looking where an issuer is asked.
    pub(crate) fn keep_endpoint(&self, holder: &KeyHolder, tasks: &mut JoinSet<()>) -> AbortHandle {
        tasks.spawn(endpoint::keep_known(holder.clone(), self.outbound.clone()))
    }

    /// Drops the keys of an issuer that is not trusted any more.
    pub(crate) fn forget(&self, holder: &KeyHolder) {
        if holder.keyring.empty() {
            self.tell.send_modify(|changes| *changes += 1);
        }
    }

    /// Ticks when any issuer's keys change, or go.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.tell.subscribe()
    }
}

/// What else was seen at an issuer.
#[derive(Default)]
pub(crate) struct Sight {
    /// Entries of its set that were passed over.
    pub(crate) skipped: Vec<Skipped>,
    /// What time it says it is.
    pub(crate) date: Option<HeaderValue>,
}

/// One look, for whoever runs no proxy: what is found is in force.
pub(crate) async fn look_once(holder: &KeyHolder, outbound: &Outbound) -> Result<Sight, NoKeys> {
    match &holder.issuer.source {
        Source::Keys(place) => {
            let found = Publication::new(&holder.issuer, place, outbound).look().await?;
            holder.keyring.replace(found.keys.keys);
            Ok(Sight { skipped: found.keys.skipped, date: found.date })
        }
        Source::Introspection(introspection) => {
            endpoint::look(holder, introspection, outbound).await.map(|_| Sight::default())
        }
    }
}

/// Looks after one issuer's keys.
struct Worker {
    source: Publication,
    place: KeySource,
    keep: Keep,
    watchman: Watchman,
    budget: Budget,
    /// What all issuers may do together. Its queue is fair: no issuer's flood starves another.
    everybody: Arc<Mutex<Budget>>,
}

impl Worker {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            self.watchman.begin(self.budget.next());
            let found = self.look().await;
            let good = found.is_ok();
            failures = if good { 0 } else { failures + 1 };
            let pause = self.settle(found, failures);
            self.keep.next_look_in(pause);
            self.watchman.end(good);
            self.rest(pause).await;
        }
    }

    /// However long the answer takes, keys that are too old go on time.
    async fn look(&mut self) -> Result<Found, NoKeys> {
        let looking = self.source.look();
        tokio::pin!(looking);
        loop {
            tokio::select! {
                found = &mut looking => return found,
                () = self.keep.too_old() => self.keep.drop_keys(),
            }
        }
    }

    /// Takes over what was found; tells how long it is good for.
    fn settle(&mut self, found: Result<Found, NoKeys>, failures: u32) -> Duration {
        let fresh_for = match found {
            Ok(found) => {
                self.keep.take_over(found.keys, Instant::now());
                found.fresh_for.min(self.keep.longest_pause())
            }
            Err(why) => {
                self.keep.could_not(&why, failures);
                schedule::USUAL
            }
        };
        schedule::jittered(schedule::pause(&self.place, fresh_for, failures), random())
    }

    /// Until it is time, or until somebody needs a key and the budgets allow a look.
    async fn rest(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                () = called(&self.watchman, &mut self.budget, &self.everybody) => return,
                () = self.keep.too_old() => self.keep.drop_keys(),
            }
        }
    }
}

/// Ends when somebody waits and a look is paid for. Nothing is spent if this is given up before.
async fn called(watchman: &Watchman, budget: &mut Budget, everybody: &Mutex<Budget>) {
    watchman.rung().await;
    sleep_until(budget.next()).await;
    let mut everybody = everybody.lock().await;
    sleep_until(everybody.next()).await;
    let now = Instant::now();
    budget.spend(now);
    everybody.spend(now);
}

/// Without randomness replicas ask together, and nothing worse.
fn random() -> u16 {
    let mut bytes = [0; 2];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return u16::MAX / 2;
    }
    u16::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests;

//! Fetches an issuer's keys in the background: on time, and at once when a token names an unknown one.

mod metadata;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use url::Url;

use crate::config::{Issuer, KeySource};
use crate::keys::jwks::{self, Parsed, Unusable};
use crate::outbound::{Failed, Outbound};
use crate::pipeline::authenticate::UnknownKey;
use crate::record::{KeyGauges, Recorder};
use crate::snapshot::KeyHolder;

/// Where requests ring when they meet an unknown key. One bell an issuer.
pub(crate) struct Refreshers {
    bells: Vec<Bell>,
    changes: watch::Receiver<u64>,
}

impl Refreshers {
    /// Starts fetching for every issuer.
    pub(crate) fn start(
        holders: &[KeyHolder],
        outbound: &Outbound,
        recorder: &Recorder,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (tell, changes) = watch::channel(0);
        let start = |holder: &KeyHolder| {
            let (progress, seen) = watch::channel(Progress::default());
            let wake = Arc::new(Notify::new());
            let worker = Worker {
                holder: holder.clone(),
                outbound: on_behalf_of(holder, outbound),
                gauges: recorder.keys(holder.issuer.issuer.as_str()),
                wake: Arc::clone(&wake),
                progress,
                tell: tell.clone(),
            };
            tasks.spawn(worker.run());
            Bell { wake, seen }
        };
        Self { bells: holders.iter().map(start).collect(), changes }
    }

    /// Ticks when any issuer's keys change, or go.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Waits for a look at the issuer's keys that began after this call. All who wait share it.
    pub(crate) async fn look_again(&self, key: UnknownKey) -> Looked {
        let Some(bell) = self.bells.get(key.issuer) else { return Looked::InVain };
        let mut seen = bell.seen.clone();
        let before = *seen.borrow_and_update();
        bell.wake.notify_one();
        let done = |now: &Progress| now.finished > before.started || now.declined > before.declined;
        match timeout(PATIENCE, seen.wait_for(done)).await {
            Ok(Ok(now)) if now.finished > before.started && now.good => Looked::Again,
            Ok(Ok(_) | Err(_)) | Err(_) => Looked::InVain,
        }
    }
}

/// Where the operator said that keys are.
fn on_behalf_of(holder: &KeyHolder, outbound: &Outbound) -> Outbound {
    let written = match &holder.issuer.keys {
        KeySource::Url(url) => Some(url.clone()),
        KeySource::Discover => Url::parse(holder.issuer.issuer.as_str()).ok(),
        KeySource::File(_) => None,
    };
    match written {
        Some(url) => outbound.on_behalf_of(&url),
        None => outbound.clone(),
    }
}

/// What came of looking again.
pub(crate) enum Looked {
    /// The issuer has said what its keys are now.
    Again,
    /// It could not be asked: nobody can say whether the key is good.
    InVain,
}

struct Bell {
    wake: Arc<Notify>,
    seen: watch::Receiver<Progress>,
}

/// Fetches begun and ended so far, and calls for one that were over budget.
#[derive(Clone, Copy, Default)]
struct Progress {
    started: u64,
    finished: u64,
    declined: u64,
    good: bool,
}

/// The one writer of an issuer's keyring.
struct Worker {
    holder: KeyHolder,
    outbound: Outbound,
    gauges: KeyGauges,
    wake: Arc<Notify>,
    progress: watch::Sender<Progress>,
    tell: watch::Sender<u64>,
}

impl Worker {
    async fn run(self) {
        let mut budget = Budget::new(Instant::now());
        let mut failures = 0;
        loop {
            self.progress.send_modify(|progress| progress.started += 1);
            let good = self.refresh().await;
            failures = if good { 0 } else { failures + 1 };
            self.progress.send_modify(|progress| {
                progress.finished = progress.started;
                progress.good = good;
            });
            self.rest(self.pause(failures), &mut budget).await;
        }
    }

    /// Fetches and takes over. What was there before stays when that fails.
    async fn refresh(&self) -> bool {
        let issuer = self.holder.issuer.issuer.as_str();
        match self.fetch().await {
            Ok(parsed) => {
                let count = parsed.keys.len();
                if self.holder.keyring.replace(parsed.keys) {
                    self.tell.send_modify(|changes| *changes += 1);
                    tracing::info!(issuer, keys = count, "new keys");
                    for skipped in &parsed.skipped {
                        let id = skipped.id.as_deref().unwrap_or("-");
                        tracing::warn!(issuer, key = id, why = %skipped.why, "key skipped");
                    }
                }
                self.gauges.fetched(count);
                true
            }
            Err(why) => {
                let kept = self.holder.keyring.current().is_some();
                tracing::warn!(issuer, %why, kept, "keys not fetched");
                self.gauges.failed();
                false
            }
        }
    }

    async fn fetch(&self) -> Result<Parsed, NoKeys> {
        let body = match &self.holder.issuer.keys {
            KeySource::Discover => {
                let url = self.discover(&self.holder.issuer.issuer).await?;
                self.get(&url).await?
            }
            KeySource::Url(url) => self.get(url).await?,
            KeySource::File(path) => read(path).await?.into(),
        };
        jwks::parse(&body, &self.holder.issuer.algorithms).map_err(NoKeys::Unusable)
    }

    /// The key set's address, from the first place that tells one.
    async fn discover(&self, issuer: &Issuer) -> Result<Url, NoKeys> {
        let mut first_failure = None;
        for place in metadata::places(issuer) {
            let body = self.get(&place).await;
            match body.and_then(|body| metadata::key_address(&place, issuer, &body)) {
                Ok(address) => return Ok(address),
                // A server may answer everything, with a page for people or with metadata that
                // lacks keys: the next place may have the right one.
                Err(failure) => first_failure = first_failure.or(Some(failure)),
            }
        }
        Err(first_failure.unwrap_or(NoKeys::NoMetadata))
    }

    async fn get(&self, url: &Url) -> Result<Bytes, NoKeys> {
        let found = self.outbound.get(url).await;
        found.map(|found| found.body).map_err(|failed| NoKeys::Fetch(shown(url), failed))
    }

    /// Until it is time, or until somebody needs a key and the budget allows a look.
    async fn rest(&self, pause: Duration, budget: &mut Budget) {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.wake.notified() => {
                    if budget.spend(Instant::now()) {
                        return;
                    }
                    self.progress.send_modify(|progress| progress.declined += 1);
                }
            }
        }
    }

    fn pause(&self, failures: u32) -> Duration {
        let usual = match self.holder.issuer.keys {
            KeySource::Discover | KeySource::Url(_) => EVERY,
            KeySource::File(_) => EVERY_FILE,
        };
        match failures {
            0 => usual,
            _ => FIRST_RETRY.saturating_mul(1 << failures.min(6)).min(usual).min(LAST_RETRY),
        }
    }
}

/// Only a regular file, and only for so long: a pipe or a dead mount would be waited for for ever.
async fn read(path: &Path) -> Result<Vec<u8>, NoKeys> {
    let reading = async {
        if !tokio::fs::metadata(path).await?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut content = Vec::new();
        let file = tokio::fs::File::open(path).await?;
        file.take(MOST_BYTES).read_to_end(&mut content).await?;
        Ok(content)
    };
    let read = timeout(PATIENCE, reading).await.unwrap_or_else(|late| Err(late.into()));
    read.map_err(NoKeys::File)
}

/// Without what a reference in the configuration may stand for.
fn shown(url: &Url) -> String {
    url.as_str().split('?').next().unwrap_or_default().to_owned()
}

/// Why an issuer's keys could not be had.
#[derive(Debug, thiserror::Error)]
enum NoKeys {
    #[error("{0}: {1}")]
    Fetch(String, #[source] Failed),
    #[error("the key file: {0}")]
    File(#[source] io::Error),
    #[error("{0}")]
    Unusable(#[source] Unusable),
    #[error("{0}: not metadata with issuer and jwks_uri")]
    Malformed(String),
    #[error("{0}: it describes the issuer {1:?}, which is not the configured one to the letter")]
    OtherIssuer(String, String),
    #[error("{0}: its jwks_uri is not https")]
    Insecure(String),
    #[error("the issuer has no place for metadata")]
    NoMetadata,
}

/// How often strangers may make us ask: a handful at once, then one every few seconds.
struct Budget {
    left: u32,
    since: Instant,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self { left: BUDGET, since: now }
    }

    fn spend(&mut self, now: Instant) -> bool {
        let earned = (now - self.since).as_secs() / EARN.as_secs();
        let earned = u32::try_from(earned).unwrap_or(BUDGET);
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(BUDGET);
            self.since = now;
        }
        let spent = self.left.checked_sub(1);
        self.left = spent.unwrap_or(0);
        spent.is_some()
    }
}

const EVERY: Duration = Duration::from_mins(5);
/// A look at a file costs nothing.
const EVERY_FILE: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(15);
/// How long a request waits for keys: less than a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// As for a set that is fetched.
const MOST_BYTES: u64 = 1 << 20;
const BUDGET: u32 = 8;
const EARN: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_budget_runs_out_and_comes_back() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert_eq!((0..20).filter(|_| budget.spend(start)).count(), BUDGET as usize);
        assert!(budget.spend(start + EARN));
        assert!(!budget.spend(start + EARN));
    }
}

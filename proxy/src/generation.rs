//! Makes each generation of the rules: the first one, and those that take its place at run time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::config::{Boot, Config, DenyList, Limits, Rules};
use crate::holder::KeyHolder;
use crate::outbound::Outbound;
use crate::pipeline::proof::Ledger;
use crate::pipeline::revocation::Revocations;
use crate::record::Recorder;
use crate::revoke::{NoList, Watcher};
use crate::snapshot::{Live, Snapshot};
use crate::stream::Changes;
use crate::trust::{Minders, Trust};

/// The generation in force, and what the next one is made of.
pub(crate) struct Generations {
    boot: Boot,
    makings: Makings,
    minders: Minders,
    /// The list of what is revoked, and who watches it.
    list: Option<(PathBuf, AbortHandle)>,
    tasks: JoinSet<()>,
    live: Arc<Live>,
}

impl Generations {
    /// The first one.
    pub(crate) fn begin(
        boot: &Boot,
        rules: &Rules,
        mut makings: Makings,
        outbound: &Outbound,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let mut minders = Minders::new(outbound.clone(), makings.recorder.clone());
        let trust = minders.mind(&rules.issuers, &mut tasks);
        minders.only(trust.clone(), &mut tasks);
        let list = makings.read.take();
        let list = rules.revocations.clone().zip(list.map(|list| tasks.spawn(list.run())));
        let live = Arc::new(Live::new(makings.snapshot(rules, trust)));
        Self { boot: boot.clone(), makings, minders, list, tasks, live }
    }

    /// The next one: all of it, or nothing of it and why. What can fail comes first.
    pub(crate) async fn next(&mut self, config: &Config) -> Result<(), NotTaken> {
        let Config { boot, rules } = config;
        let changed = self.boot.differences(boot);
        if !changed.is_empty() {
            return Err(NotTaken::NeedsRestart(changed.join(", ")));
        }
        self.watch_list(rules).await?;
        let trust = self.minders.mind(&rules.issuers, &mut self.tasks);
        // The tokens of an issuer that has just come are not turned away if it answers soon.
        drop(timeout(FIRST_LOOK, all_ready(&trust)).await);
        self.minders.only(trust.clone(), &mut self.tasks);
        self.live.swap(self.makings.snapshot(rules, trust));
        Ok(())
    }

    async fn watch_list(&mut self, rules: &Rules) -> Result<(), NoList> {
        let now = self.list.as_ref().map(|(file, _)| file);
        if now == rules.revocations.as_ref() {
            return Ok(());
        }
        let read = self.makings.read_list(rules).await?;
        let watch = read.map(|list| self.tasks.spawn(list.run()));
        let list = rules.revocations.clone().zip(watch);
        if list.is_none() {
            self.makings.forget_list();
        }
        if let Some((_, watch)) = std::mem::replace(&mut self.list, list) {
            watch.abort();
        }
        Ok(())
    }

    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Whatever may end a stream.
    pub(crate) fn changes(&self) -> Changes {
        let revocations = self.makings.revoked.subscribe();
        Changes { keys: self.minders.changes(), revocations }
    }

    /// What runs beside the requests for as long as they come.
    pub(crate) fn tasks(&mut self) -> &mut JoinSet<()> {
        &mut self.tasks
    }
}

async fn all_ready(trust: &Trust) {
    while !trust.holders().all(KeyHolder::is_ready) {
        sleep(OFTEN).await;
    }
}

/// What all generations share.
pub(crate) struct Makings {
    limits: Limits,
    revocations: Arc<Revocations>,
    revoked: watch::Sender<u64>,
    ledger: Arc<Ledger>,
    recorder: Recorder,
    /// The list of what is revoked, until it is watched.
    read: Option<Watcher>,
}

impl Makings {
    pub(crate) async fn new(
        limits: &Limits,
        rules: &Rules,
        recorder: &Recorder,
        ledger: Arc<Ledger>,
    ) -> Result<Self, NoList> {
        let mut makings = Self {
            limits: limits.clone(),
            revocations: Arc::default(),
            revoked: watch::Sender::new(0),
            ledger,
            recorder: recorder.clone(),
            read: None,
        };
        makings.read = makings.read_list(rules).await?;
        Ok(makings)
    }

    /// Reads the list of what is revoked, which is in force then.
    async fn read_list(&self, rules: &Rules) -> Result<Option<Watcher>, NoList> {
        let Some(file) = rules.revocations.clone() else { return Ok(None) };
        let issuers = rules.issuers.iter().map(|trusted| trusted.issuer.clone()).collect();
        let (cell, gauges) = (Arc::clone(&self.revocations), self.recorder.revocations());
        Watcher::start(file, issuers, cell, gauges, self.revoked.clone()).await.map(Some)
    }

    fn forget_list(&self) {
        self.revocations.replace(DenyList::default());
        self.recorder.revocations().taken(0);
    }

    fn snapshot(&self, rules: &Rules, trust: Trust) -> Snapshot {
        let (revocations, ledger) = (Arc::clone(&self.revocations), Arc::clone(&self.ledger));
        Snapshot::new(rules, &self.limits, trust, revocations, ledger)
    }
}

/// Why the rules are still the old ones.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("{0}: it cannot change while the proxy runs; restart it, or write there what it was")]
    NeedsRestart(String),
    #[error("{0}")]
    Revocations(#[from] NoList),
}

const FIRST_LOOK: Duration = Duration::from_secs(5);
const OFTEN: Duration = Duration::from_millis(20);

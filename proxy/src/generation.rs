//! Makes each generation of the rules: the first one, and those that take its place at run time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::{Boot, Config, Limits, Rules};
use crate::front::{self, Front, Used};
use crate::holder::KeyHolder;
use crate::outbound::Outbound;
use crate::pipeline::proof::Ledger;
use crate::pipeline::revocation::Revocations;
use crate::record::Recorder;
use crate::refresh::Description;
use crate::revoke::{NoList, Orders, Watcher};
use crate::snapshot::{Live, Parts, Snapshot};
use crate::stream::Changes;
use crate::trust::{Minders, Trust};
use crate::upstream::{Fleet, NotUsable, Pools, examine};

/// The generation in force, and what the next one is made of.
pub(crate) struct Generations {
    boot: Boot,
    makings: Makings,
    minders: Minders,
    fleet: Fleet,
    outbound: Outbound,
    /// What the issuer of the OAuth front says of itself.
    description: Option<Arc<Description>>,
    list: Orders,
    tasks: JoinSet<()>,
    live: Arc<Live>,
}

impl Generations {
    /// The first one.
    pub(crate) fn begin(
        boot: &Boot,
        rules: &Rules,
        (makings, watcher): (Makings, Watcher),
        outbound: &Outbound,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let mut minders = Minders::new(outbound.clone(), makings.recorder.clone());
        let trust = minders.mind(&rules.issuers, &mut tasks);
        minders.only(trust.clone(), &mut tasks);
        let mut fleet = Fleet::new(boot.limits.body_timeout, makings.recorder.clone());
        let pools = fleet.tend(&rules.sites, &mut tasks);
        fleet.only(pools.clone());
        let (list, watching) = watcher.run();
        tasks.spawn(watching);
        let description = describe(None, rules, outbound, &mut tasks);
        let front = makings.front(rules, description.as_ref(), outbound, &trust);
        let live = Arc::new(Live::new(makings.snapshot(rules, trust, pools, front)));
        let (boot, outbound) = (boot.clone(), outbound.clone());
        Self { boot, makings, minders, fleet, outbound, description, list, tasks, live }
    }

    /// The next one: all of it, or nothing of it and why. What can fail comes first.
    pub(crate) async fn next(&mut self, config: &Config) -> Result<(), NotTaken> {
        let Config { boot, rules } = config;
        let changed = self.boot.differences(boot);
        if !changed.is_empty() {
            return Err(NotTaken::NeedsRestart(changed.join(", ")));
        }
        examine(&rules.sites).await?;
        let trust = self.minders.mind(&rules.issuers, &mut self.tasks);
        let pools = self.fleet.tend(&rules.sites, &mut self.tasks);
        // The tokens of an issuer that has just come are not turned away if it answers soon.
        drop(timeout(FIRST_LOOK, all_ready(&trust, &pools)).await);
        if let Err(why) = self.list.watch(rules).await {
            self.minders.let_go(&trust);
            self.fleet.let_go(&pools);
            return Err(why.into());
        }
        self.minders.only(trust.clone(), &mut self.tasks);
        let known = self.description.take();
        self.description = describe(known, rules, &self.outbound, &mut self.tasks);
        let front = self.makings.front(rules, self.description.as_ref(), &self.outbound, &trust);
        self.live.swap(self.makings.snapshot(rules, trust, pools.clone(), front));
        self.fleet.only(pools);
        Ok(())
    }

    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Whatever may end a stream, beside our leaving.
    pub(crate) fn changes(&self, leaving: watch::Receiver<bool>) -> Changes {
        let revocations = self.makings.revoked.subscribe();
        Changes { keys: self.minders.changes(), revocations, leaving }
    }

    /// Ends when every issuer's tokens can be judged.
    pub(crate) async fn ready(&self) {
        while !self.live.pin().issuers.is_ready() {
            sleep(OFTEN).await;
        }
    }

    /// What runs beside the requests for as long as they come.
    pub(crate) fn tasks(&mut self) -> &mut JoinSet<()> {
        &mut self.tasks
    }
}

/// What the front's issuer says of itself: what is known of it goes on while it is the same.
fn describe(
    known: Option<Arc<Description>>,
    rules: &Rules,
    outbound: &Outbound,
    tasks: &mut JoinSet<()>,
) -> Option<Arc<Description>> {
    let issuer = &rules.front.as_ref()?.issuer;
    match known.filter(|known| known.issuer() == issuer) {
        Some(known) => {
            known.look_again();
            Some(known)
        }
        None => Some(Arc::new(Description::start(issuer, outbound, tasks))),
    }
}

async fn all_ready(trust: &Trust, pools: &Pools) {
    while !trust.holders().all(KeyHolder::is_ready) || !pools.are_known() {
        sleep(OFTEN).await;
    }
}

/// What all generations share.
pub(crate) struct Makings {
    limits: Limits,
    revocations: Arc<Revocations>,
    revoked: watch::Sender<u64>,
    ledger: Arc<Ledger>,
    /// Which logins are over.
    used: Used,
    recorder: Recorder,
}

impl Makings {
    /// With the list of what is revoked, which is in force then.
    pub(crate) async fn new(
        limits: &Limits,
        rules: &Rules,
        recorder: &Recorder,
        ledger: Arc<Ledger>,
    ) -> Result<(Self, Watcher), NoList> {
        let makings = Self {
            limits: limits.clone(),
            revocations: Arc::default(),
            revoked: watch::Sender::new(0),
            ledger,
            used: Used::new(),
            recorder: recorder.clone(),
        };
        let (cell, tell) = (Arc::clone(&makings.revocations), makings.revoked.clone());
        let mut watcher = Watcher::new(cell, recorder.revocations(), tell);
        watcher.watch(rules).await?;
        Ok((makings, watcher))
    }

    fn front(
        &self,
        rules: &Rules,
        description: Option<&Arc<Description>>,
        outbound: &Outbound,
        issuers: &Trust,
    ) -> Option<Front> {
        let (description, secret) = (Arc::clone(description?), self.ledger.secret());
        let used = &self.used;
        Front::new(rules, front::Surroundings { description, outbound, issuers, used, secret })
    }

    fn snapshot(
        &self,
        rules: &Rules,
        issuers: Trust,
        pools: Pools,
        front: Option<Front>,
    ) -> Snapshot {
        let (revocations, ledger) = (Arc::clone(&self.revocations), Arc::clone(&self.ledger));
        Snapshot::new(rules, &self.limits, Parts { issuers, pools, revocations, ledger, front })
    }
}

/// Why the rules are still the old ones.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("{0}: it cannot change while the proxy runs; restart it, or write there what it was")]
    NeedsRestart(String),
    #[error("{0}")]
    Revocations(#[from] NoList),
    #[error("{0}")]
    Upstream(#[from] NotUsable),
}

const FIRST_LOOK: Duration = Duration::from_secs(5);
const OFTEN: Duration = Duration::from_millis(20);

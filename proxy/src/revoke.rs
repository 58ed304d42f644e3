//! Watches the list of what is revoked, and puts each new version into force.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::config::{DenyList, Issuer, Rules};
use crate::files::Watched;
use crate::pipeline::revocation::Revocations;
use crate::record::RevocationGauges;

/// The one writer of the list in force.
pub(crate) struct Watcher {
    list: Option<List>,
    revocations: Arc<Revocations>,
    gauges: RevocationGauges,
    tell: watch::Sender<u64>,
}

/// What is watched.
struct List {
    file: Watched,
    issuers: Vec<Issuer>,
    /// What was in the file, good or not, and what came of it.
    seen: Vec<u8>,
    taken: Result<(), NoList>,
    complained: Option<String>,
}

/// To watch another file, or none.
struct Order {
    path: Option<PathBuf>,
    issuers: Vec<Issuer>,
    done: oneshot::Sender<Result<(), NoList>>,
}

/// How a watcher at work is told what to watch.
pub(crate) struct Orders(mpsc::Sender<Order>);

impl Orders {
    /// See [`Watcher::watch`].
    pub(crate) async fn watch(&self, rules: &Rules) -> Result<(), NoList> {
        let path = rules.revocations.clone();
        let gone = NoList::new(path.as_deref().unwrap_or(Path::new("")), &"nobody watches it");
        let (done, outcome) = oneshot::channel();
        let order = Order { path, issuers: trusted(rules), done };
        if self.0.send(order).await.is_err() {
            return Err(gone);
        }
        outcome.await.unwrap_or(Err(gone))
    }
}

fn trusted(rules: &Rules) -> Vec<Issuer> {
    rules.issuers.iter().map(|trusted| trusted.issuer.clone()).collect()
}

impl Watcher {
    /// Of no list yet.
    pub(crate) fn new(
        revocations: Arc<Revocations>,
        gauges: RevocationGauges,
        tell: watch::Sender<u64>,
    ) -> Self {
        Self { list: None, revocations, gauges, tell }
    }

    /// From now on the list that these rules name is in force. If there is to be one and it cannot be read,
    /// nothing changes.
    pub(crate) async fn watch(&mut self, rules: &Rules) -> Result<(), NoList> {
        self.move_to(rules.revocations.clone(), trusted(rules)).await
    }

    async fn move_to(&mut self, path: Option<PathBuf>, issuers: Vec<Issuer>) -> Result<(), NoList> {
        let Some(path) = path else {
            if self.list.take().is_some() {
                self.revocations.replace(DenyList::default());
                self.gauges.taken(0);
            }
            return Ok(());
        };
        if let Some(list) = self.list.as_mut().filter(|list| list.file.path() == path) {
            list.issuers = issuers;
            return Ok(());
        }
        let before = self.list.replace(List::new(path, issuers));
        let looked = self.look().await;
        if looked.is_err() {
            self.list = before;
        }
        looked
    }

    /// Looks again for ever, and does as it is told.
    pub(crate) fn run(mut self) -> (Orders, impl Future<Output = ()> + Send) {
        let (orders, mut told) = mpsc::channel::<Order>(1);
        let work = async move {
            loop {
                tokio::select! {
                    Some(Order { path, issuers, done }) = told.recv() => {
                        // Whoever does not wait for the outcome does not want it.
                        done.send(self.move_to(path, issuers).await).ok();
                    }
                    () = sleep(EVERY) => self.look_again().await,
                }
            }
        };
        (Orders(orders), work)
    }

    async fn look_again(&mut self) {
        let looked = self.look().await;
        let Some(list) = &mut self.list else { return };
        self.gauges.current(looked.is_ok());
        match looked {
            Ok(()) => list.complained = None,
            Err(why) => list.complain(&why),
        }
    }

    /// Takes over what has changed. A list that cannot be read or understood changes nothing.
    async fn look(&mut self) -> Result<(), NoList> {
        let Some(list) = &mut self.list else { return Ok(()) };
        let read = list.file.read().await;
        let content = read.map_err(|error| NoList::new(list.file.path(), &error))?;
        if content != list.seen {
            list.seen.clone_from(&content);
            list.taken = list.parse(content).await.map(|parsed| {
                list.doubt(&parsed);
                self.gauges.taken(parsed.size());
                self.gauges.current(true);
                self.revocations.replace(parsed);
                self.tell.send_modify(|version| *version += 1);
            });
        }
        list.taken.clone()
    }
}

impl List {
    fn new(path: PathBuf, issuers: Vec<Issuer>) -> Self {
        let taken = Err(NoList::new(&path, &"it is empty"));
        let (seen, file) = (Vec::new(), Watched::new(path, MOST_BYTES));
        Self { file, issuers, seen, taken, complained: None }
    }

    async fn parse(&self, content: Vec<u8>) -> Result<DenyList, NoList> {
        // A long list takes long to read, and requests must not wait for it.
        let reading = spawn_blocking(move || {
            let text = String::from_utf8(content).map_err(|error| error.to_string())?;
            DenyList::parse(&text).map_err(|error| error.to_string())
        });
        let list = reading.await.unwrap_or_else(|broken| Err(broken.to_string()));
        let list = list.map_err(|why| NoList::new(self.file.path(), &why))?;
        tracing::info!(file = %self.file.path().display(), entries = list.size(), "revocations");
        Ok(list)
    }

    /// Tells of entries that turn nobody away: issuers are compared to the letter. No mistake for
    /// sure, for gateways may share a list.
    fn doubt(&self, list: &DenyList) {
        let trusted = |named: &str| self.issuers.iter().any(|issuer| issuer.as_str() == named);
        let named = list.issuers().into_iter();
        for (issuer, subject) in named.filter(|(issuer, _)| !trusted(issuer)).take(MOST_DOUBTS) {
            tracing::warn!(issuer, subject, "revocation without effect: no such issuer is trusted");
        }
    }

    /// Once for each trouble, not once a second.
    fn complain(&mut self, why: &NoList) {
        let why = why.to_string();
        if self.complained.as_ref() != Some(&why) {
            tracing::error!(%why, "revocations unchanged: the list cannot be taken over");
            self.complained = Some(why);
        }
    }
}

/// Why there is no list.
#[derive(Clone, Debug, thiserror::Error)]
#[error("revocations.file: {0}: {1}")]
pub(crate) struct NoList(String, String);

impl NoList {
    fn new(path: &Path, why: &dyn fmt::Display) -> Self {
        Self(path.display().to_string(), why.to_string())
    }
}

const EVERY: Duration = Duration::from_secs(1);
/// Enough to find a slip by; a shared list may name very many.
const MOST_DOUBTS: usize = 10;

/// Room for some hundred thousand entries.
const MOST_BYTES: u64 = 16 << 20;

//! Watches the list of what is revoked, and puts each new version into force.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::config::{DenyList, Issuer};
use crate::files::Watched;
use crate::pipeline::revocation::Revocations;
use crate::record::RevocationGauges;

/// The one writer of the list in force.
pub(crate) struct Watcher {
    file: Watched,
    issuers: Vec<Issuer>,
    revocations: Arc<Revocations>,
    gauges: RevocationGauges,
    tell: watch::Sender<u64>,
    /// What was in the file, good or not, and what came of it.
    seen: Vec<u8>,
    taken: Result<(), NoList>,
    complained: Option<String>,
}

impl Watcher {
    /// Reads the list for the first time: without it, nothing is served.
    pub(crate) async fn start(
        path: PathBuf,
        issuers: Vec<Issuer>,
        revocations: Arc<Revocations>,
        gauges: RevocationGauges,
        tell: watch::Sender<u64>,
    ) -> Result<Self, NoList> {
        let taken = Err(NoList::new(&path, &"it is empty"));
        let seen = Vec::new();
        let file = Watched::new(path, MOST_BYTES);
        let mut watcher =
            Self { file, issuers, revocations, gauges, tell, seen, taken, complained: None };
        watcher.look().await?;
        Ok(watcher)
    }

    /// Looks again for ever.
    pub(crate) async fn run(mut self) {
        loop {
            sleep(EVERY).await;
            match self.look().await {
                Ok(()) => self.complained = None,
                Err(why) => self.complain(&why),
            }
        }
    }

    /// Takes over what has changed. A list that cannot be read or understood changes nothing.
    async fn look(&mut self) -> Result<(), NoList> {
        let read = self.file.read().await;
        let content = read.map_err(|error| NoList::new(self.file.path(), &error))?;
        if content != self.seen {
            self.taken = self.take_over(content.clone()).await;
            self.seen = content;
        }
        self.gauges.current(self.taken.is_ok());
        self.taken.clone()
    }

    async fn take_over(&self, content: Vec<u8>) -> Result<(), NoList> {
        // A long list takes long to read, and requests must not wait for it.
        let reading = spawn_blocking(move || {
            let text = String::from_utf8(content).map_err(|error| error.to_string())?;
            DenyList::parse(&text).map_err(|error| error.to_string())
        });
        let list = reading.await.unwrap_or_else(|broken| Err(broken.to_string()));
        let list = list.map_err(|why| NoList::new(self.file.path(), &why))?;
        tracing::info!(file = %self.file.path().display(), entries = list.size(), "revocations");
        self.doubt(&list);
        self.gauges.taken(list.size());
        self.revocations.replace(list);
        self.tell.send_modify(|version| *version += 1);
        Ok(())
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
        self.gauges.current(false);
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
    fn new(path: &std::path::Path, why: &dyn fmt::Display) -> Self {
        Self(path.display().to_string(), why.to_string())
    }
}

const EVERY: Duration = Duration::from_secs(1);
/// Enough to find a slip by; a shared list may name very many.
const MOST_DOUBTS: usize = 10;

/// Room for some hundred thousand entries.
const MOST_BYTES: u64 = 16 << 20;

//! Notices that the configuration is another one, and keeps what came of that.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::config::{self, Config};
use crate::files::{Settling, Watched};
use crate::record::ReloadGauges;

/// Watches the file, and those that it refers to.
pub(crate) struct Reloader {
    file: Watched,
    referred: Vec<Watched>,
    settling: Settling<Look>,
    hangup: Signal,
    reports: Arc<Reports>,
    gauges: ReloadGauges,
}

/// What is there now.
type Look = Result<Contents, String>;

/// The file, and each that it refers to.
#[derive(Clone, PartialEq, Eq)]
struct Contents {
    text: String,
    referred: Vec<Vec<u8>>,
}

/// What is to be put into force, and what it is called.
pub(crate) struct Proposal {
    pub(crate) config: Config,
    pub(crate) sha256: String,
}

/// Where the configuration was read, and what was read there; and how we are told to look again.
pub(crate) struct Origin {
    path: PathBuf,
    text: String,
    hangup: Signal,
}

impl Origin {
    /// From now on the signal does not end the process.
    pub(crate) fn new(path: PathBuf, text: String) -> io::Result<Self> {
        Ok(Self { path, text, hangup: signal(SignalKind::hangup())? })
    }
}

impl Reloader {
    /// What is in force was made of `origin`.
    pub(crate) fn new(origin: Origin, gauges: ReloadGauges) -> Self {
        let Origin { path, text, hangup } = origin;
        let paths = config::files_meant(&text);
        let now = paths.iter().map(|path| fs::read(path).unwrap_or_default()).collect();
        let in_force = Report { generation: 1, sha256: sha256(&text), refused: None };
        gauges.current(true);
        Self {
            file: Watched::new(path, MOST_BYTES),
            referred: paths.into_iter().map(|path| Watched::new(path, MOST_BYTES)).collect(),
            settling: Settling::new(Ok(Contents { text, referred: now })),
            hangup,
            reports: Arc::new(Reports(ArcSwap::from_pointee(in_force))),
            gauges,
        }
    }

    pub(crate) fn reports(&self) -> Arc<Reports> {
        Arc::clone(&self.reports)
    }

    /// Ends when there is another configuration that may be taken over, or when we are told to take over
    /// what there is. What may not is told of and left alone until it changes.
    pub(crate) async fn proposed(&mut self) -> Proposal {
        loop {
            let told = tokio::select! {
                _ = self.hangup.recv() => true,
                () = sleep(EVERY) => false,
            };
            let now = self.look().await;
            if told {
                self.settling.hurry(&now);
            } else if !self.settling.has_settled(&now) {
                continue;
            }
            match self.read(now).await {
                Ok(proposal) => return proposal,
                Err((sha256, why)) => self.refused(sha256, why),
            }
        }
    }

    /// It is in force.
    pub(crate) fn taken(&self, sha256: String) {
        let generation = self.reports.current().generation + 1;
        tracing::info!(generation, %sha256, "configuration taken over");
        self.gauges.taken();
        self.reports.0.store(Arc::new(Report { generation, sha256, refused: None }));
    }

    /// What was in force before still is.
    pub(crate) fn refused(&self, sha256: Option<String>, why: String) {
        tracing::error!(%why, "configuration unchanged: the new one cannot be taken over");
        self.gauges.refused();
        let refused = Some(Refused { sha256, why });
        let now = self.reports.current();
        self.reports.0.store(Arc::new(Report { refused, ..Report::clone(&now) }));
    }

    async fn look(&mut self) -> Look {
        let read = self.file.read().await;
        let shown =
            |error: &dyn std::fmt::Display| format!("{}: {error}", self.file.path().display());
        let text = read.map_err(|error| shown(&error))?;
        let text = String::from_utf8(text).map_err(|error| shown(&error))?;
        let paths = config::files_meant(&text);
        if !self.referred.iter().map(Watched::path).eq(paths.iter().map(PathBuf::as_path)) {
            self.referred = paths.into_iter().map(|path| Watched::new(path, MOST_BYTES)).collect();
        }
        let mut referred = Vec::new();
        for file in &mut self.referred {
            // Of one that cannot be read the check says so, and where it is referred to.
            referred.push(file.read().await.unwrap_or_default());
        }
        Ok(Contents { text, referred })
    }

    /// Off the threads that serve requests: a secret may be on a mount that hangs.
    async fn read(&self, look: Look) -> Result<Proposal, (Option<String>, String)> {
        let text = look.map_err(|why| (None, why))?.text;
        let sha256 = sha256(&text);
        let path = self.file.path().to_owned();
        let reading =
            spawn_blocking(move || Config::of(&path, &text).map_err(|why| why.to_string()));
        let read = match timeout(PATIENCE, reading).await {
            Ok(Ok(read)) => read,
            Ok(Err(broken)) => Err(broken.to_string()),
            Err(late) => Err(format!("it cannot be read: {late}")),
        };
        match read {
            Ok(config) => Ok(Proposal { config, sha256 }),
            Err(why) => Err((Some(sha256), why)),
        }
    }
}

/// What came of the file, as of now. Only the reloader writes.
pub(crate) struct Reports(ArcSwap<Report>);

impl Reports {
    pub(crate) fn current(&self) -> Arc<Report> {
        self.0.load_full()
    }
}

/// For operators, and for `postern reload`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    /// 1 since the start; one more for each configuration that was taken over.
    pub(crate) generation: u64,
    /// Of the file that is in force.
    pub(crate) sha256: String,
    /// If the file is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<Refused>,
}

/// A configuration that changed nothing.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Refused {
    /// Of the file, if it could be read.
    pub(crate) sha256: Option<String>,
    pub(crate) why: String,
}

/// By which a file is known again.
pub(crate) fn sha256(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

const EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
const MOST_BYTES: u64 = 4 << 20;

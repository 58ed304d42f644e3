//! All that a start needs besides its addresses.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use pingora_core::listeners::tls::Acceptor;
use tokio::sync::watch;

use crate::config::{Boot, Config, Rules, Tls};
use crate::edge::descriptors::{self, TooFew};
use crate::edge::tls::{self, NoTls};
use crate::outbound::{CannotFetch, Outbound};
use crate::pipeline::proof::Ledger;
use crate::record::Recorder;
use crate::revoke::{NoList, Watcher};
use crate::snapshot::Snapshot;

/// Made, and good; nothing is bound and nobody was asked.
pub(crate) struct Prepared {
    pub(crate) boot: Boot,
    pub(crate) rules: Rules,
    pub(crate) snapshot: Snapshot,
    pub(crate) outbound: Outbound,
    pub(super) acceptor: Option<Acceptor>,
    pub(super) recorder: Recorder,
    pub(super) list: Option<Watcher>,
    pub(super) revoked: watch::Receiver<u64>,
}

impl Prepared {
    /// Looks at everything, to tell all obstacles at once.
    pub(crate) async fn new(config: Config) -> Result<Self, CannotStart> {
        let Config { boot, rules } = config;
        let recorder = Recorder::new().map_err(Obstacle::Metrics)?;
        let snapshot = Snapshot::new(&rules, &boot.limits, ledger()?);
        let mut obstacles = Obstacles::default();
        obstacles.none(descriptors::make_room(&boot.limits));
        let acceptor = obstacles.none(acceptor(&boot.tls));
        let (revoke, revoked) = watch::channel(0);
        let list = obstacles.none(list(&rules, &snapshot, &recorder, revoke).await);
        let outbound = obstacles.none(Outbound::new(&boot.outbound));
        match (acceptor, list, outbound) {
            (Some(acceptor), Some(list), Some(outbound)) if obstacles.0.is_empty() => {
                Ok(Self { boot, rules, snapshot, outbound, acceptor, recorder, list, revoked })
            }
            _ => Err(CannotStart(obstacles.0)),
        }
    }
}

fn acceptor(tls: &Tls) -> Result<Option<Acceptor>, NoTls> {
    match tls {
        Tls::Here { certificate, key, client_certificates } => {
            tls::acceptor(certificate, key, *client_certificates).map(Some)
        }
        Tls::Off => Ok(None),
    }
}

async fn list(
    rules: &Rules,
    snapshot: &Snapshot,
    recorder: &Recorder,
    revoke: watch::Sender<u64>,
) -> Result<Option<Watcher>, NoList> {
    let Some(file) = rules.revocations.clone() else { return Ok(None) };
    let cell = Arc::clone(&snapshot.revocations);
    let issuers = rules.issuers.iter().map(|trusted| trusted.issuer.clone()).collect();
    Watcher::start(file, issuers, cell, recorder.revocations(), revoke).await.map(Some)
}

fn ledger() -> Result<Arc<Ledger>, Obstacle> {
    let mut secret = [0; 32];
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| Obstacle::Random)?;
    Ok(Arc::new(Ledger::new(secret)))
}

#[derive(Default)]
struct Obstacles(Vec<Obstacle>);

impl Obstacles {
    /// What was made; else the reason is kept.
    fn none<T>(&mut self, made: Result<T, impl Into<Obstacle>>) -> Option<T> {
        made.map_err(|why| self.0.push(why.into())).ok()
    }
}

/// Why a good configuration does not run here: every reason that was found.
#[derive(Debug)]
pub(crate) struct CannotStart(Vec<Obstacle>);

/// One of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Obstacle {
    #[error("{0}: {1} cannot be used: {2}")]
    Bind(&'static str, SocketAddr, #[source] io::Error),
    #[error("{0}")]
    Descriptors(#[from] TooFew),
    #[error("tls: {0}")]
    Tls(#[from] NoTls),
    #[error("{0}")]
    Revocations(#[from] NoList),
    #[error("{0}")]
    Outbound(#[from] CannotFetch),
    #[error("the system gives no random numbers")]
    Random,
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl From<Obstacle> for CannotStart {
    fn from(only: Obstacle) -> Self {
        Self(vec![only])
    }
}

impl fmt::Display for CannotStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = &*self.0 {
            return only.fmt(f);
        }
        write!(f, "{} obstacles", self.0.len())?;
        self.0.iter().try_for_each(|obstacle| write!(f, "\n\n  {obstacle}"))
    }
}

impl std::error::Error for CannotStart {}

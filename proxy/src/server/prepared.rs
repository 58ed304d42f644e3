//! All that a start needs besides its addresses.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::{self, CannotWrite};
use crate::config::{Boot, Config, Rules, Tls};
use crate::edge::descriptors::{self, TooFew};
use crate::edge::tls::{Authorities, Certificates, NoCertificate, Terms};
use crate::generation::Makings;
use crate::outbound::{CannotFetch, Outbound};
use crate::pipeline::proof::Ledger;
use crate::record::Recorder;
use crate::revoke::{NoList, Watcher};
use crate::upstream::{NotUsable, examine};

/// Made, and good; nothing is bound and nobody was asked.
pub(crate) struct Prepared {
    pub(crate) boot: Boot,
    pub(crate) rules: Rules,
    pub(crate) outbound: Outbound,
    pub(super) tls: Option<Secure>,
    pub(super) recorder: Recorder,
    pub(super) makings: (Makings, Watcher),
}

impl Prepared {
    /// Looks at everything, to tell all obstacles at once.
    pub(crate) async fn new(config: Config) -> Result<Self, CannotStart> {
        let Config { boot, rules } = config;
        let recorder = Recorder::new().map_err(Obstacle::Metrics)?;
        let ledger = ledger()?;
        let mut obstacles = Obstacles::default();
        obstacles.none(descriptors::make_room(&boot.limits));
        let tls = obstacles.none(tls(&boot.tls, &recorder));
        obstacles.none(audit::examine(boot.audit.as_ref()));
        obstacles.none(examine(&rules.sites).await);
        let outbound = obstacles.none(Outbound::new(&boot.outbound));
        let makings = Makings::new(&boot.limits, &rules, &recorder, ledger).await;
        let makings = obstacles.none(makings);
        match (tls, outbound, makings) {
            (Some(tls), Some(outbound), Some(makings)) if obstacles.0.is_empty() => {
                Ok(Self { boot, rules, outbound, tls, recorder, makings })
            }
            _ => Err(CannotStart(obstacles.0)),
        }
    }
}

/// TLS of our own, and who looks after it.
pub(super) struct Secure {
    pub(super) terms: Arc<Terms>,
    pub(super) certificates: Certificates,
    pub(super) authorities: Option<Authorities>,
}

fn tls(tls: &Tls, recorder: &Recorder) -> Result<Option<Secure>, Obstacle> {
    let Tls::Here { shown, others, clients } = tls else { return Ok(None) };
    let gauges = |path: &Path| recorder.certificate(path);
    let certificates = Certificates::start(shown, others, gauges)?;
    let (terms, authorities) = Authorities::start(clients, certificates.shown(), gauges)?;
    Ok(Some(Secure { terms, certificates, authorities }))
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
    #[error(
        "LISTEN_FDS: a socket at {0} was handed over, and no setting asks for one there: make listen, admin.listen or \
         redirect.listen the same, or remove it from the .socket unit"
    )]
    Unasked(SocketAddr),
    #[error(
        "an issuer's keys or endpoint could not be had within {0:?}, and the process before this one has \
         them; the log says why"
    )]
    NotReady(Duration),
    #[error("{0}")]
    Descriptors(#[from] TooFew),
    #[error("tls: {0}")]
    Certificate(#[from] NoCertificate),
    #[error("{0}")]
    Revocations(#[from] NoList),
    #[error("{0}")]
    Upstream(#[from] NotUsable),
    #[error("{0}")]
    Audit(#[from] CannotWrite),
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

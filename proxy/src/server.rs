//! Puts the parts together and runs them.

mod leave;
mod prepared;
mod sockets;

use std::future::pending;
use std::mem;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use pingora_core::apps::HttpServerOptions;
use pingora_core::protocols::http::v2::server::H2Options;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::HttpProxy;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::admin::{Admin, Page};
use crate::audit::Audit;
use crate::config::{Boot, Config, Limits, TrustedProxies};
use crate::edge::{Edge, Entrance};
use crate::gateway::Gateway;
use crate::generation::Generations;
use crate::handover::{Inherited, Predecessor};
use crate::record::log::Volume;
use crate::record::{Recorder, Traffic, UpgradeCounts};
use crate::redirect::Redirect;
use crate::reload::{Origin, Proposal, Reloader};
use crate::spans::Spans;
pub(crate) use leave::Departure;
pub(crate) use prepared::{CannotStart, Prepared};
use prepared::{Obstacle, Secure};
use sockets::Listeners;

/// The proxy at work: both listeners and what runs beside them.
pub(crate) struct Server {
    gateway: Edge,
    admin: Edge,
    redirect: Option<Edge>,
    generations: Generations,
    reloader: Option<Reloader>,
    volume: Option<Volume>,
    audit: Audit,
    spans: Spans,
    stopping: Arc<AtomicBool>,
    /// True when no stream may go on.
    leaving: watch::Sender<bool>,
    /// A second handle on each socket that listens.
    sockets: Vec<OwnedFd>,
    upgrades: UpgradeCounts,
    shutdown_delay: Option<Duration>,
    shutdown_timeout: Duration,
}

impl Server {
    /// Binds, then serves. Nothing is bound unless everything can be. `origin` is where the configuration
    /// came from, if it may change, and what of the log changes with it. Whoever succeeds another process
    /// serves when it can judge tokens, and not before.
    pub(crate) async fn start(
        config: Config,
        origin: Option<(Origin, Volume)>,
        mut inherited: Inherited,
    ) -> Result<Self, CannotStart> {
        let Prepared { boot, rules, outbound, tls, recorder, makings } =
            Prepared::new(config).await?;
        let (origin, volume) = origin.unzip();
        let reloader = origin.map(|origin| Reloader::new(origin, recorder.reloads()));
        let predecessor = inherited.predecessor();
        let listeners = Listeners::bind(&boot, inherited)?;

        let mut generations = Generations::begin(&boot, &rules, makings, &outbound);
        let tls = tls.map(|Secure { terms, certificates, authorities }| {
            generations.tasks().spawn(certificates.run());
            authorities.map(|authorities| generations.tasks().spawn(authorities.run()));
            terms
        });
        let (audit, spans) = told(&boot, &recorder, generations.tasks())?;
        let live = generations.live();
        let leaving = watch::Sender::new(false);
        let changes = generations.changes(leaving.subscribe());
        let tells = (audit.clone(), spans.clone());
        let gateway = Gateway::new(Arc::clone(live), changes, recorder.clone(), tells, &boot);
        let stopping = Arc::new(AtomicBool::new(false));
        let admin = Admin {
            live: Arc::clone(live),
            reports: reloader.as_ref().map(Reloader::reports),
            recorder: recorder.clone(),
            has_looked: AtomicBool::new(false),
            stopping: Arc::clone(&stopping),
            page: Page::new(),
        };

        let redirect = Redirect { live: Arc::clone(live), recorder: recorder.clone() };
        let redirect = listeners.redirect.map(|at| start_redirect(redirect, at, &boot));
        let redirect = redirect.transpose()?;
        let proxy = Arc::new(proxy(gateway, &boot.limits));
        let entrance = Entrance { tls, ..entrance(&boot, &recorder) };
        let admin_entrance = plain_entrance(&boot.limits, ADMIN_CONNECTIONS)?;
        if predecessor.is_some() {
            let ready = timeout(KEYS_WITHIN, generations.ready()).await;
            ready.map_err(|_| Obstacle::NotReady(KEYS_WITHIN))?;
        }
        let server = Self {
            gateway: Edge::start(listeners.gateway, entrance, proxy)
                .map_err(|error| Obstacle::Bind("listen", boot.listen, error))?,
            admin: Edge::start(listeners.admin, admin_entrance, Arc::new(admin))
                .map_err(|error| Obstacle::Bind("admin.listen", boot.admin, error))?,
            redirect,
            generations,
            reloader,
            volume,
            audit,
            spans,
            stopping,
            leaving,
            sockets: listeners.all,
            upgrades: recorder.upgrades(),
            shutdown_delay: boot.shutdown_delay,
            shutdown_timeout: boot.shutdown_timeout,
        };
        predecessor.iter().for_each(Predecessor::relieve);
        Ok(server)
    }

    /// Where it listens, to be handed on. Whoever has them keeps the sockets open.
    pub(crate) fn sockets(&mut self) -> Vec<OwnedFd> {
        mem::take(&mut self.sockets)
    }

    /// What became of attempts to hand them on.
    pub(crate) fn upgrades(&self) -> UpgradeCounts {
        self.upgrades.clone()
    }

    /// Where clients connect.
    pub(crate) fn gateway(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Where metrics and readiness are.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Where clients come without TLS, if they may.
    pub(crate) fn redirect(&self) -> Option<SocketAddr> {
        self.redirect.as_ref().map(Edge::address)
    }

    /// Takes over what changes, and ends only when something that must run for ever has broken. Without
    /// that keys would never grow old, nobody could be turned away any more, or nobody would hear who
    /// knocks.
    pub(crate) async fn run(&mut self) {
        loop {
            let Self { gateway, admin, redirect, generations, reloader, volume, .. } = self;
            let proposal = tokio::select! {
                () = broken(generations.tasks()) => return,
                () = gateway.broken() => return,
                () = admin.broken() => return,
                () = broken_if_any(redirect) => return,
                proposal = proposed(reloader) => proposal,
            };
            let Some(reloader) = reloader else { continue };
            let Proposal { config, sha256 } = proposal;
            match generations.next(&config).await {
                Ok(()) => {
                    if let Some(volume) = volume {
                        volume.set(&config.boot.log.levels);
                    }
                    reloader.taken(sha256);
                }
                Err(why) => reloader.refused(Some(sha256), why.to_string()),
            }
        }
    }
}

/// Who else hears of requests.
fn told(
    boot: &Boot,
    recorder: &Recorder,
    tasks: &mut JoinSet<()>,
) -> Result<(Audit, Spans), Obstacle> {
    let audit = Audit::start(boot.audit.as_ref(), recorder.audit(), tasks)?;
    let spans = Spans::start(boot.traces.as_ref(), &boot.outbound, recorder.spans(), tasks)?;
    Ok((audit, spans))
}

async fn proposed(reloader: &mut Option<Reloader>) -> Proposal {
    match reloader {
        Some(reloader) => reloader.proposed().await,
        None => pending().await,
    }
}

async fn broken_if_any(edge: &mut Option<Edge>) {
    match edge {
        Some(edge) => edge.broken().await,
        None => pending().await,
    }
}

async fn broken(tasks: &mut JoinSet<()>) {
    // Some have nothing to do, and end by themselves; others are not needed any more.
    while let Some(ended) = tasks.join_next().await {
        if ended.is_err_and(|error| error.is_panic()) {
            return;
        }
    }
    pending::<()>().await;
}

fn start_redirect(
    redirect: Redirect,
    listener: TcpListener,
    boot: &Boot,
) -> Result<Edge, Obstacle> {
    let entrance = Entrance {
        proxies: boot.proxies.clone(),
        ..plain_entrance(&boot.limits, REDIRECT_CONNECTIONS)?
    };
    let at = boot.redirect.unwrap_or(boot.listen);
    Edge::start(listener, entrance, Arc::new(redirect))
        .map_err(|error| Obstacle::Bind("redirect.listen", at, error))
}

fn proxy(gateway: Gateway, limits: &Limits) -> HttpProxy<Gateway> {
    let conf = ServerConf {
        // Upstreams are plain: without this every proxy loads the system's trust store, and one
        // certificate in it that cannot be read panics the process.
        ca_file: Some("/dev/null".into()),
        upstream_keepalive_pool_size: limits.connections.min(POOL),
        ..ServerConf::default()
    };
    let mut proxy = HttpProxy::new(gateway, Arc::new(conf));
    proxy.handle_init_modules();
    let mut options = HttpServerOptions::default();
    options.h2_idle_timeout = Some(limits.idle_timeout);
    proxy.server_options = Some(options);
    let mut h2 = H2Options::new();
    h2.max_concurrent_streams(H2_STREAMS);
    h2.max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
    proxy.h2_options = Some(h2);
    proxy
}

fn entrance(boot: &Boot, recorder: &Recorder) -> Entrance {
    let traffic = recorder.traffic();
    traffic.most.set(i64::try_from(boot.limits.connections).unwrap_or(i64::MAX));
    Entrance { tls: None, proxies: boot.proxies.clone(), limits: boot.limits.clone(), traffic }
}

fn plain_entrance(limits: &Limits, connections: usize) -> Result<Entrance, Obstacle> {
    Ok(Entrance {
        tls: None,
        proxies: TrustedProxies::default(),
        limits: Limits { connections, ..limits.clone() },
        traffic: Traffic::unseen()?,
    })
}

/// Longer than a key fetch takes that is tried again.
const KEYS_WITHIN: Duration = Duration::from_secs(30);
const POOL: usize = 1024;
const H2_STREAMS: u32 = 100;
const ADMIN_CONNECTIONS: usize = 64;
/// Each is over after one answer.
const REDIRECT_CONNECTIONS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_breaks_beside_the_requests_is_noticed_and_what_ends_is_fine() {
        let mut tasks = JoinSet::new();
        tasks.spawn(async {});
        tasks.spawn(pending());
        let patience = Duration::from_millis(20);
        assert!(timeout(patience, broken(&mut tasks)).await.is_err());
        tasks.spawn(async { panic!("as planned") });
        broken(&mut tasks).await;
        let mut none = JoinSet::new();
        assert!(timeout(patience, broken(&mut none)).await.is_err());
    }
}

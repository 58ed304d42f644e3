//! Puts the parts together and runs them.

mod prepared;

use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pingora_core::apps::HttpServerOptions;
use pingora_core::protocols::http::v2::server::H2Options;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::HttpProxy;
use socket2::{Domain, Socket, Type};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::admin::{Admin, Page};
use crate::audit::Audit;
use crate::config::{Config, Limits, TrustedProxies};
use crate::edge::{Edge, Entrance};
use crate::gateway::Gateway;
use crate::generation::Generations;
use crate::record::Traffic;
use crate::record::log::Volume;
use crate::redirect::Redirect;
use crate::reload::{Origin, Proposal, Reloader};
use crate::spans::Spans;
pub(crate) use prepared::{CannotStart, Prepared};
use prepared::{Obstacle, Secure};

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
    shutdown_timeout: Duration,
}

impl Server {
    /// Binds, then serves. Nothing is bound unless everything can be. `origin` is where the configuration
    /// came from, if it may change, and what of the log changes with it.
    pub(crate) async fn start(
        config: Config,
        origin: Option<(Origin, Volume)>,
    ) -> Result<Self, CannotStart> {
        let Prepared { boot, rules, outbound, tls, recorder, makings } =
            Prepared::new(config).await?;
        let (origin, volume) = origin.unzip();
        let reloader = origin.map(|origin| Reloader::new(origin, recorder.reloads()));
        let listener = bind("listen", boot.listen)?;
        let admin_listener = bind("admin.listen", boot.admin)?;
        let redirect =
            boot.redirect.map(|at| Ok::<_, Obstacle>((at, bind("redirect.listen", at)?)));
        let redirect = redirect.transpose()?;

        let mut generations = Generations::begin(&boot, &rules, makings, &outbound);
        let tls = tls.map(|Secure { terms, certificates, authorities }| {
            generations.tasks().spawn(certificates.run());
            authorities.map(|authorities| generations.tasks().spawn(authorities.run()));
            terms
        });
        let audit = Audit::start(boot.audit.as_ref(), recorder.audit(), generations.tasks())
            .map_err(Obstacle::from)?;
        let spans = recorder.spans();
        let spans = Spans::start(boot.traces.as_ref(), &boot.outbound, spans, generations.tasks())
            .map_err(Obstacle::from)?;
        let live = generations.live();
        let changes = generations.changes();
        let gateway = Gateway::new(
            Arc::clone(live),
            changes,
            recorder.clone(),
            (audit.clone(), spans.clone()),
            &boot,
        );
        let stopping = Arc::new(AtomicBool::new(false));
        let admin = Admin {
            live: Arc::clone(live),
            reports: reloader.as_ref().map(Reloader::reports),
            recorder: recorder.clone(),
            has_looked: AtomicBool::new(false),
            stopping: Arc::clone(&stopping),
            page: Page::new(),
        };

        let redirect = redirect.map(|(at, listener)| {
            let app = Arc::new(Redirect { live: Arc::clone(live), recorder: recorder.clone() });
            let entrance = Entrance {
                proxies: boot.proxies.clone(),
                ..plain_entrance(&boot.limits, REDIRECT_CONNECTIONS)?
            };
            Edge::start(listener, entrance, app)
                .map_err(|error| Obstacle::Bind("redirect.listen", at, error))
        });
        let redirect = redirect.transpose()?;
        let proxy = Arc::new(proxy(gateway, &boot.limits));
        let traffic = recorder.traffic();
        traffic.most.set(i64::try_from(boot.limits.connections).unwrap_or(i64::MAX));
        let entrance =
            Entrance { tls, proxies: boot.proxies, limits: boot.limits.clone(), traffic };
        Ok(Self {
            gateway: Edge::start(listener, entrance, proxy)
                .map_err(|error| Obstacle::Bind("listen", boot.listen, error))?,
            admin: Edge::start(
                admin_listener,
                plain_entrance(&boot.limits, ADMIN_CONNECTIONS)?,
                Arc::new(admin),
            )
            .map_err(|error| Obstacle::Bind("admin.listen", boot.admin, error))?,
            redirect,
            generations,
            reloader,
            volume,
            audit,
            spans,
            stopping,
            shutdown_timeout: boot.shutdown_timeout,
        })
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

    /// Says no to probes first, lets requests end, stops the rest last.
    pub(crate) async fn drain(mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(redirect) = self.redirect {
            redirect.drain(PATIENCE).await;
        }
        let cut = self.gateway.drain(self.shutdown_timeout).await;
        if cut > 0 {
            tracing::warn!(connections = cut, "cut at the end of shutdown_timeout");
        }
        tokio::join!(self.audit.finish(), self.spans.finish());
        // A disk that hangs keeps its thread; it goes with the process.
        drop(timeout(PATIENCE, self.generations.tasks().shutdown()).await);
        self.admin.drain(Duration::ZERO).await;
    }
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

fn plain_entrance(limits: &Limits, connections: usize) -> Result<Entrance, Obstacle> {
    Ok(Entrance {
        tls: None,
        proxies: TrustedProxies::default(),
        limits: Limits { connections, ..limits.clone() },
        traffic: Traffic::unseen()?,
    })
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, Obstacle> {
    let listen = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listen().map_err(|error| Obstacle::Bind(key, address, error))
}

/// What runs beside the requests has nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(2);
const BACKLOG: i32 = 1024;
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

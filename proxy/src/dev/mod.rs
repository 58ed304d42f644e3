//! `postern dev`: the gateway on one laptop, with everything it needs to be seen at work.
//!
//! ```text
//! client ─TLS─► gateway ─unix socket─► mcp-backend (child process)
//!                  └─keys─► identity provider (loopback)
//! ```
//!
//! The gateway is the one of `postern run`, fed with a configuration made here. The rest is
//! pretended, lives in one private directory and ends with the command.

use std::fs::Permissions;
use std::future::pending;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener as Seat};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};
use url::Url;

use crate::config::{Config, Invalid, OutboundRules};
use crate::handover::Inherited;
use crate::outbound::Outbound;
use crate::record::log;
use crate::server::{CannotStart, Departure, Server};

use backend::{Backend, BackendFailed};
use banner::Banner;
use certificate::{CannotCertify, Certificate};
use provider::{CLIENT_ID, Provider, Unavailable};
use settings::Settings;

mod backend;
mod banner;
mod certificate;
mod provider;
mod settings;

/// How `postern dev` is asked for.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// The gateway's port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8443)]
    port: u16,

    /// Print one line of JSON instead of the banner, for scripts
    #[arg(long)]
    json: bool,
}

/// Serves until Ctrl-C or SIGTERM.
pub(crate) fn run(options: Options) -> ExitCode {
    match serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            // The reason goes to a person. If nobody reads stderr, the exit code must do.
            drop(writeln!(io::stderr(), "postern: {failed}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options) -> Result<(), Failed> {
    Runtime::new()?.block_on(async {
        let mut stop = Stop::new()?;
        // A signal during the start drops what has started so far, and that ends it.
        let laptop = tokio::select! {
            () = stop.asked() => return Ok(()),
            laptop = Laptop::start(options.port) => laptop?,
        };
        laptop.announce(options.json)?;
        laptop.serve(&mut stop).await
    })
}

/// Why there is no laptop to try things on, or no longer.
#[derive(Debug, Error)]
enum Failed {
    #[error(transparent)]
    System(#[from] io::Error),
    #[error("port {port} cannot be used: {source}; try another with --port, or --port 0")]
    Port { port: u16, source: io::Error },
    #[error(transparent)]
    Certificate(#[from] CannotCertify),
    #[error("the identity provider cannot start: {0}")]
    Provider(#[from] Unavailable),
    #[error(transparent)]
    Backend(#[from] BackendFailed),
    #[error("mcp-backend ended by itself: {0}")]
    BackendEnded(ExitStatus),
    #[error(transparent)]
    Config(#[from] Invalid),
    #[error(transparent)]
    Server(#[from] CannotStart),
    #[error("a part of the gateway that must run for ever has broken: this is a bug")]
    Broken,
    #[error("the gateway is not ready after {} seconds", PATIENCE.as_secs())]
    NotReady,
}

/// All that runs.
struct Laptop {
    server: Server,
    backend: Backend,
    banner: Banner,
    /// Last: what lies in it goes after those who use it.
    _room: TempDir,
}

impl Laptop {
    async fn start(port: u16) -> Result<Self, Failed> {
        let now = now();
        let seat = Seat::bind((Ipv4Addr::LOCALHOST, port))
            .map_err(|source| Failed::Port { port, source })?;
        let port = seat.local_addr()?.port();
        let room = tempfile::Builder::new()
            .prefix("postern-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        let certificate = Certificate::write(room.path(), now)?;
        let backend = Backend::start(room.path()).await?;
        let provider = provide(Settings::resource(port)).await?;
        let settings = Settings {
            port,
            certificate: &certificate,
            issuer: provider.issuer(),
            backend: backend.address(),
        };
        // For `postern explain`; it holds no secret.
        let config_file = room.path().join("postern.yaml");
        std::fs::write(&config_file, settings.yaml())?;
        let server = gateway(&settings, seat).await?;
        let banner = Banner {
            gateway: Settings::resource(port),
            metadata: Settings::metadata(port),
            issuer: provider.issuer().to_owned(),
            token_endpoint: provider.token_endpoint(),
            admin: format!("http://{}", server.admin()),
            ca_file: certificate.authority.display().to_string(),
            config_file: config_file.display().to_string(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: provider.secret().to_owned(),
            token: provider.ready_token(now)?,
            program: std::env::args().next().unwrap_or_else(|| "postern".to_owned()),
        };
        Ok(Self { server, backend, banner, _room: room })
    }

    fn announce(&self, json: bool) -> io::Result<()> {
        let text = if json {
            serde_json::to_string(&self.banner)? + "\n"
        } else {
            self.banner.to_string()
        };
        let mut stdout = io::stdout();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    async fn serve(mut self, stop: &mut Stop) -> Result<(), Failed> {
        let ended = tokio::select! {
            () = stop.asked() => Ok(()),
            status = self.backend.ended() => Err(Failed::BackendEnded(status?)),
            () = self.server.run() => Err(Failed::Broken),
        };
        // Calls in flight may end, unless there is a second Ctrl-C.
        tokio::select! {
            () = stop.asked() => (),
            () = self.server.drain(Departure::Stopped, async || pending().await) => (),
        }
        self.backend.stop().await?;
        ended
    }
}

/// Starts the identity provider. It ends with the runtime.
async fn provide(resource: String) -> Result<Arc<Provider>, Failed> {
    // Any port, and so another issuer each time: clients keep what they registered under its
    // issuer, and this one knows nothing of what the last one registered.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let issuer = format!("http://{}", listener.local_addr()?);
    let provider = Arc::new(Provider::new(issuer, resource)?);
    tokio::spawn(Arc::clone(&provider).serve(listener));
    Ok(provider)
}

/// Starts the gateway on the port that `seat` has kept free for it.
async fn gateway(settings: &Settings<'_>, seat: Seat) -> Result<Server, Failed> {
    let config = Config::parse(&settings.yaml())?;
    log::start(&config.boot.log);
    // Who takes the port right now makes the start fail, and nothing worse.
    drop(seat);
    let server = Server::start(config, None, Inherited::default()).await?;
    ready(server.admin()).await?;
    Ok(server)
}

/// Waits as a probe would.
async fn ready(admin: SocketAddr) -> Result<(), Failed> {
    let probe = Url::parse(&format!("http://{admin}/readyz"));
    let outbound = Outbound::new(&OutboundRules::default());
    let (Ok(probe), Ok(outbound)) = (probe, outbound) else { return Err(Failed::NotReady) };
    let outbound = outbound.on_behalf_of(&probe);
    let asked_often = async {
        while outbound.get(&probe).await.is_err() {
            sleep(OFTEN).await;
        }
    };
    timeout(PATIENCE, asked_often).await.map_err(|_| Failed::NotReady)
}

/// The signals that end the command. A closed terminal is one: the directory must go.
struct Stop([Signal; 3]);

impl Stop {
    fn new() -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn asked(&mut self) {
        let Self([interrupt, terminate, hangup]) = self;
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
            _ = hangup.recv() => (),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "certificate and token are dated by the real clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

const PATIENCE: Duration = Duration::from_secs(15);
const OFTEN: Duration = Duration::from_millis(20);

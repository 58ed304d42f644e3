//! `postern run`: the proxy, until it is told to stop.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{init, refuse};
use crate::config::Config;
use crate::handover::{self, Inherited, Succession};
use crate::record::log::{self, Volume};
use crate::reload::Origin;
use crate::server::{Departure, Server};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The configuration, in YAML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let inherited = match Inherited::take() {
        Ok(inherited) => inherited,
        Err(alien) => return refuse(&alien),
    };
    let read =
        Config::text(&args.config).and_then(|text| Ok((Config::of(&args.config, &text)?, text)));
    let (config, text) = match read {
        Ok(read) => read,
        Err(invalid) => return refuse(&invalid),
    };
    let volume = log::start(&config.boot.log);
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    let code = runtime.block_on(async {
        // Before anything is bound: a signal must never find the default handler in its place.
        match Signals::new(args.config.clone(), text) {
            Ok(signals) => serve(config, signals, (inherited, volume)).await,
            Err(error) => refuse(&error),
        }
    });
    // A thread that a dead mount keeps would be waited for for ever.
    runtime.shutdown_background();
    code
}

/// All that the process may be told from outside.
struct Signals {
    stop: Stop,
    succession: Succession,
    origin: Origin,
}

impl Signals {
    fn new(path: PathBuf, text: String) -> io::Result<Self> {
        init::reap()?;
        Ok(Self {
            stop: Stop::new()?,
            succession: Succession::new()?,
            origin: Origin::new(path, text)?,
        })
    }
}

async fn serve(
    config: Config,
    signals: Signals,
    (inherited, volume): (Inherited, Volume),
) -> ExitCode {
    let Signals { mut stop, succession, origin } = signals;
    let mut server = match Server::start(config, Some((origin, volume)), inherited).await {
        Ok(server) => server,
        Err(why) => return refuse(&why),
    };
    let process = std::process::id();
    tracing::info!(gateway = %server.gateway(), admin = %server.admin(), process, "listening");
    if let Some(address) = server.redirect() {
        tracing::info!(redirect = %address, "leading plain HTTP to https");
    }
    handover::serving();
    let (sockets, upgrades) = (server.sockets(), server.upgrades());
    let (code, why) = tokio::select! {
        () = stop.told() => (ExitCode::SUCCESS, Departure::Stopped),
        () = succession.done(&sockets, upgrades) => (ExitCode::SUCCESS, Departure::Succeeded),
        () = server.run() => {
            // Whoever starts us again gets a whole one.
            tracing::error!("a part that must run for ever has broken: this is a bug");
            (ExitCode::from(EX_SOFTWARE), Departure::Stopped)
        }
    };
    drop(sockets);
    if why == Departure::Stopped {
        handover::stopping();
    }
    tracing::info!(process, "stopping");
    server.drain(why, async || stop.told().await).await;
    tracing::info!(process, "stopped");
    code
}

/// sysexits.h: an internal error.
pub(super) const EX_SOFTWARE: u8 = 70;

/// SIGTERM and SIGINT.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Ends at the next of them.
    pub(super) async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}

//! `postern run`: the proxy, until it is told to stop.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::refuse;
use crate::config::Config;
use crate::record::log::{self, Volume};
use crate::reload::Origin;
use crate::server::Server;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The configuration, in YAML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> ExitCode {
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
    let code = runtime.block_on(serve(config, args.config.clone(), text, volume));
    // A thread that a dead mount keeps would be waited for for ever.
    runtime.shutdown_background();
    code
}

async fn serve(config: Config, path: PathBuf, text: String, volume: Volume) -> ExitCode {
    // Before anything is bound: a signal must never find the default handler in its place.
    let (told, origin) = match (told_to_stop(), Origin::new(path, text)) {
        (Ok(told), Ok(origin)) => (told, origin),
        (Err(error), _) | (_, Err(error)) => return refuse(&error),
    };
    let mut server = match Server::start(config, Some((origin, volume))).await {
        Ok(server) => server,
        Err(why) => return refuse(&why),
    };
    tracing::info!(gateway = %server.gateway(), admin = %server.admin(), "listening");
    if let Some(address) = server.redirect() {
        tracing::info!(redirect = %address, "leading plain HTTP to https");
    }
    let code = tokio::select! {
        () = told => ExitCode::SUCCESS,
        () = server.run() => {
            // Whoever starts us again gets a whole one.
            tracing::error!("a part that must run for ever has broken: this is a bug");
            ExitCode::from(EX_SOFTWARE)
        }
    };
    tracing::info!("stopping");
    server.drain().await;
    tracing::info!("stopped");
    code
}

/// sysexits.h: an internal error.
pub(super) const EX_SOFTWARE: u8 = 70;

/// Ends at SIGTERM or SIGINT.
pub(crate) fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
    })
}

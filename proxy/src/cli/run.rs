//! `postern run`: the proxy, until it is told to stop.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::refuse;
use crate::config::{Config, LogFormat};
use crate::record::log;
use crate::server::Server;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The configuration, in YAML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(invalid) => return refuse(&invalid),
    };
    let json = match config.boot.log.format {
        LogFormat::Auto => None,
        LogFormat::Json => Some(true),
        LogFormat::Text => Some(false),
    };
    log::start(json, config.boot.log.level);
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> ExitCode {
    // Before anything is bound: a signal must never find the default handler in its place.
    let told = match told_to_stop() {
        Ok(told) => told,
        Err(error) => return refuse(&error),
    };
    let server = match Server::start(config).await {
        Ok(server) => server,
        Err(why) => return refuse(&why),
    };
    tracing::info!(gateway = %server.gateway(), admin = %server.admin(), "listening");
    told.await;
    tracing::info!("stopping");
    server.drain().await;
    tracing::info!("stopped");
    ExitCode::SUCCESS
}

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

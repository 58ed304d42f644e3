//! The command line.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::runtime::Runtime;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::offer::Offer;
use crate::settings::Settings;
use crate::signals::{stop_on_signal, stop_with_stdin};
use crate::transport::http::serve;
use crate::transport::listener::{ListenAddress, Listener};
use crate::transport::stdio::serve_stdio;

/// Serves until told to stop.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr(&arguments.log);
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A small MCP server that leaves authentication to the proxy in front of it.
///
/// It speaks MCP 2025-11-25 and earlier (initialize) and 2026-07-28 (stateless).
///
/// Without options it serves the client that started it, on stdin and stdout. With --listen it
/// serves streamable HTTP at /mcp to the Postern proxy, and believes the X-Postern-* headers in
/// which the proxy says who is calling. It verifies no tokens: let nobody but the proxy connect, or
/// have it sign what it says.
#[derive(Debug, Parser)]
#[command(name = "mcp-backend", version)]
struct Arguments {
    /// Serve HTTP on this address instead of stdio
    ///
    /// An IP address and a port (port 0 takes a free one), or unix: and a path. Once it listens,
    /// `listening on ADDRESS` is printed on stdout. A unix socket is the safer choice: only
    /// processes of the same user can connect.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<ListenAddress>,

    /// Believe nothing but the proxy's signed assertions, even from this machine
    ///
    /// The section `assertion` of the file in --config says whose are good. With that section the
    /// server may listen where other machines can reach it.
    #[arg(long, requires_all = ["listen", "config"])]
    require_assertion: bool,

    /// The settings of tools that need some
    ///
    /// A YAML file; README.md has all that it can say.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Offer what the official MCP conformance suite wants to find, and nothing else
    #[arg(long, conflicts_with = "config")]
    conformance: bool,

    /// End when stdin ends, so that this server does not outlive whoever started it
    #[arg(long, requires = "listen")]
    until_stdin_ends: bool,

    /// What to log on stderr: a level, and levels of single modules
    ///
    /// Beware of rmcp=warn, which repeats what clients wrote where it was wrong, and of rmcp=debug,
    /// which logs the arguments and results of tools.
    #[arg(long, value_name = "FILTER", default_value = "info,rmcp=error")]
    log: Targets,
}

fn log_to_stderr(filter: &Targets) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry().with(lines).with(filter.clone()).init();
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new()?;
    let ended = runtime.block_on(run_until_stopped(arguments));
    // Not a plain drop: that waits for a read of stdin that may never return.
    runtime.shutdown_background();
    ended
}

async fn run_until_stopped(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let stop = stop_on_signal()?;
    let settings = arguments.config.as_deref().map(Settings::read).transpose()?;
    let mut settings = settings.unwrap_or_default();
    if arguments.require_assertion {
        settings.require_assertion()?;
    }
    let beyond_loopback = settings.know_assertions();
    let offer = Arc::new(if arguments.conformance {
        Offer::for_conformance()
    } else {
        Offer::new(settings)?
    });
    match &arguments.listen {
        None => {
            tracing::info!("serving MCP on stdin and stdout, until stdin ends");
            serve_stdio(offer, stop).await?;
        }
        Some(address) => {
            let listener = if beyond_loopback {
                Listener::bind_beyond_loopback(address).await?
            } else {
                Listener::bind(address).await?
            };
            if arguments.until_stdin_ends {
                tokio::spawn(stop_with_stdin(stop.clone()));
            }
            announce(&listener.address()?);
            serve(listener, offer, stop).await?;
        }
    }
    tracing::info!("stopped");
    Ok(())
}

/// For whoever started us and waits to connect: it may have let the system choose the port.
fn announce(address: &ListenAddress) {
    tracing::info!(%address, "listening; identity is taken from the proxy's headers only");
    if let Err(error) = writeln!(io::stdout(), "listening on {address}") {
        tracing::warn!(%error, "cannot announce the address on stdout");
    }
}

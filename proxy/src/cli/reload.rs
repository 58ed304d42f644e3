//! `postern reload`: has the running proxy taken its file over?

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};
use url::Url;

use super::{EX_CONFIG, EX_UNAVAILABLE, refuse};
use crate::config::Config;
use crate::outbound::Outbound;
use crate::reload::{Report, sha256};

#[derive(clap::Args)]
#[command(after_help = CODES)]
pub(super) struct Args {
    /// The configuration that the proxy runs with, in YAML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Where the proxy can be asked, if not at the file's own admin.listen
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,

    /// Wait until the proxy has taken it over, or has refused to
    #[arg(long)]
    wait: bool,
}

const CODES: &str = "\
The proxy looks at its file every second and takes over what has changed, as soon as it has seen it twice \
alike; nothing needs to be sent. (SIGHUP has it look at once.) This asks its admin listener what came of that.

Exit codes:
  0   the file is in force
  69  the proxy cannot be asked at admin.listen
  75  it has not looked at the file yet; with --wait: for half a minute
  78  the file is refused: everything that is wrong is on stderr, and what was in force before still is";

pub(super) fn run(args: &Args) -> ExitCode {
    let read = Config::text(&args.config)
        .and_then(|text| Ok((Config::of(&args.config, &text)?, sha256(&text))));
    let (config, sha256) = match read {
        Ok(read) => read,
        Err(invalid) => return refuse(&invalid),
    };
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    let admin = args.admin.unwrap_or(config.boot.admin);
    match runtime.block_on(outcome(&config, admin, &sha256, args.wait)) {
        Ok(generation) => {
            let text = format!("in force: {}, generation {generation}\n", args.config.display());
            // Whoever closed the pipe has read enough.
            drop(io::stdout().write_all(text.as_bytes()));
            ExitCode::SUCCESS
        }
        Err(why) => {
            refuse(&why);
            why.code()
        }
    }
}

/// The generation that the file has become.
async fn outcome(
    config: &Config,
    admin: SocketAddr,
    sha256: &str,
    wait: bool,
) -> Result<u64, NotInForce> {
    let admin = SocketAddr::new(here(admin.ip()), admin.port());
    let unasked = |why: String| NotInForce::Unasked(admin, why);
    let place = Url::parse(&format!("http://{admin}/generation"));
    let place = place.map_err(|error| unasked(error.to_string()))?;
    let outbound = Outbound::new(&config.boot.outbound);
    let outbound = outbound.map_err(|error| unasked(error.to_string()))?.on_behalf_of(&place);
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = outbound.get(&place).await.map_err(|error| unasked(error.to_string()))?;
        let report: Report =
            serde_json::from_slice(&answer.body).map_err(|error| unasked(error.to_string()))?;
        if report.sha256 == sha256 && report.refused.is_none() {
            return Ok(report.generation);
        }
        if let Some(refused) = report.refused.filter(|it| it.sha256.as_deref() == Some(sha256)) {
            return Err(NotInForce::Refused(refused.why));
        }
        if !wait || Instant::now() >= until {
            return Err(NotInForce::NotYet(admin));
        }
        sleep(OFTEN).await;
    }
}

/// Who listens everywhere is here, too.
fn here(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        one @ (IpAddr::V4(_) | IpAddr::V6(_)) => one,
    }
}

#[derive(Debug, thiserror::Error)]
enum NotInForce {
    #[error("the running proxy refuses it, and goes on as before: {0}")]
    Refused(String),
    #[error(
        "the proxy at {0} has not taken it over yet; is this the file that it was started with, and not \
         a copy?"
    )]
    NotYet(SocketAddr),
    #[error("the proxy cannot be asked at {0} (admin.listen): {1}")]
    Unasked(SocketAddr, String),
}

impl NotInForce {
    fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) => EX_CONFIG,
            Self::NotYet(_) => EX_TEMPFAIL,
            Self::Unasked(..) => EX_UNAVAILABLE,
        })
    }
}

/// sysexits.h: try again later.
const EX_TEMPFAIL: u8 = 75;
const PATIENCE: Duration = Duration::from_secs(30);
const OFTEN: Duration = Duration::from_millis(100);

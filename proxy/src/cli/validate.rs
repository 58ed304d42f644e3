//! `postern validate`: would it start?

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::Runtime;

use super::{EX_UNAVAILABLE, refuse};
use crate::config::Config;
use crate::server::Prepared;
use crate::validate::{self, Grade, Summary};

#[derive(clap::Args)]
#[command(after_help = CODES)]
pub(super) struct Args {
    /// The configuration, in YAML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Also ask each issuer, connect to each backend, and look at the dates of certificates
    #[arg(long)]
    online: bool,
}

const CODES: &str = "\
Everything is looked at that `postern run` looks at when it starts, but nothing is bound: the proxy may be
running meanwhile.

Exit codes:
  0   it would start; with --online: and nothing failed (warnings are no failure)
  69  it would start, but an issuer, a backend or a certificate is not as it should be (--online)
  78  it would not start: everything that is wrong is on stderr, as `postern run` would say it";

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(invalid) => return refuse(&invalid),
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    let code = runtime.block_on(async {
        let prepared = match Prepared::new(config).await {
            Ok(prepared) => prepared,
            Err(why) => return refuse(&why),
        };
        let summary = Summary { boot: &prepared.boot, rules: &prepared.rules };
        tell(&format!("ok: {}\n{summary}", args.config.display()));
        if args.online { online(&prepared).await } else { ExitCode::SUCCESS }
    });
    // A file on a dead mount would be waited for for ever.
    runtime.shutdown_background();
    code
}

async fn online(prepared: &Prepared) -> ExitCode {
    let (mut warnings, mut failures) = (0, 0);
    tell("\n");
    validate::check(prepared, |finding| {
        match finding.grade {
            Grade::Good => (),
            Grade::Warning => warnings += 1,
            Grade::Bad => failures += 1,
        }
        tell(&format!("{finding}\n"));
    })
    .await;
    tell(&format!("\n{failures} failed, {warnings} warnings\n"));
    if failures > 0 { ExitCode::from(EX_UNAVAILABLE) } else { ExitCode::SUCCESS }
}

fn tell(text: &str) {
    // Whoever closed the pipe has read enough.
    drop(io::stdout().write_all(text.as_bytes()));
}

//! `postern explain`: why a request would be refused, or was.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::Runtime;

use super::{EX_UNAVAILABLE, EX_USAGE, refuse};
use crate::config::{Config, KeySource, Source};
use crate::explain::{self, Ending, Reach, Sent, Unsendable};
use crate::near::distance;
use crate::reason::Reason;

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The configuration, in YAML
    #[arg(long, value_name = "FILE", required_unless_present = "code")]
    config: Option<PathBuf>,

    /// The access token; better from a file or stdin, since others may see a command line. Never shown
    #[arg(long, value_name = "TOKEN|@FILE|-")]
    token: Option<String>,

    /// Method, and a path or URL [default: POST to the first resource]
    #[arg(long, value_name = "'METHOD TARGET'")]
    request: Option<String>,

    /// A header; repeat it for more. A DPoP header makes the token's scheme DPoP
    #[arg(long = "header", value_name = "'NAME: VALUE'")]
    headers: Vec<String>,

    /// The body [default for POST: a ping]
    #[arg(long, value_name = "JSON|@FILE|-")]
    body: Option<String>,

    /// The certificate that the client shows, in PEM
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// The address that the client calls from
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,

    /// Judge by the keys in this file (a JWK set), whatever the configuration says of keys
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,

    /// Ask nobody: keys must be in a file, and opaque tokens cannot be judged
    #[arg(long)]
    offline: bool,

    /// One JSON document instead of the table
    #[arg(long)]
    json: bool,

    /// Only say what this code in the log means
    #[arg(long, value_name = "CODE", conflicts_with_all = ["config", "token", "request", "headers", "body", "certificate", "from", "keys", "offline"])]
    code: Option<String>,
}

const EXAMPLES: &str = "\
The request goes through the very checks of `postern run`, one by one, and to nobody else. The issuer is
asked for its keys, or about the token if it is opaque.

Exit codes:
  0   it would pass
  1   it would be refused
  2   this command is not understood
  69  it cannot be judged now: keys or issuer are out of reach
  78  the configuration is refused

Examples:
  postern explain --code token_audience
  postern explain --config postern.yaml --token @token.txt
  pbpaste | postern explain --config postern.yaml --token -
  postern explain --config postern.yaml --token @token.txt --body @call.json \\
    --request 'POST /mcp' --header 'Mcp-Method: tools/call' --header 'Mcp-Name: whoami'";

pub(super) fn run(args: &Args) -> ExitCode {
    match (&args.code, &args.config) {
        (Some(code), _) => describe(code, args.json),
        (None, Some(config)) => match Config::load(config) {
            Ok(config) => explain(args, config),
            Err(invalid) => refuse(&invalid),
        },
        (None, None) => ExitCode::from(EX_USAGE),
    }
}

fn describe(code: &str, json: bool) -> ExitCode {
    let Some(reason) = Reason::named(code.trim()) else { return unknown(code) };
    let about = reason.about();
    tell(&if json { format!("{}\n", about.json(code)) } else { format!("{code}\n{about}") });
    ExitCode::SUCCESS
}

/// Most likely a slip: the nearest, and all that there are.
#[expect(clippy::print_stderr, reason = "it is said to whoever has typed it")]
fn unknown(code: &str) -> ExitCode {
    let codes = || Reason::ALL.iter().map(|reason| reason.code());
    eprintln!("postern: there is no code {code:?}");
    let near = codes().min_by_key(|known| distance(known, code));
    if let Some(near) = near.filter(|near| distance(near, code) <= near.len() / 3) {
        eprintln!("did you mean {near}?");
    }
    eprintln!("\n{}", codes().collect::<Vec<_>>().join("\n"));
    ExitCode::from(EX_USAGE)
}

fn explain(args: &Args, mut config: Config) -> ExitCode {
    if let Some(file) = &args.keys {
        for issuer in &mut config.rules.issuers {
            if matches!(issuer.source, Source::Keys(_)) {
                issuer.source = Source::Keys(KeySource::File(file.clone()));
            }
        }
    }
    let sent = match sent(args, &config) {
        Ok(sent) => sent,
        Err(why) => return misunderstood(&why),
    };
    let reach = if args.offline { Reach::Nobody } else { Reach::Issuers };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    let account = runtime.block_on(explain::account(config, sent, reach));
    // A file on a dead mount would be waited for for ever.
    runtime.shutdown_background();
    match account {
        Ok(account) => {
            tell(&if args.json { format!("{}\n", account.json()) } else { account.to_string() });
            match account.ending() {
                Ending::Passes | Ending::Answered => ExitCode::SUCCESS,
                Ending::Refused => ExitCode::FAILURE,
                Ending::Trouble => ExitCode::from(EX_UNAVAILABLE),
            }
        }
        Err(why) => refuse(&why),
    }
}

fn sent(args: &Args, config: &Config) -> Result<Sent, CannotSend> {
    let mut sent = Sent::new(config, args.request.as_deref())?;
    for header in &args.headers {
        sent = sent.header(header)?;
    }
    if let Some(token) = &args.token {
        sent = sent.token(text("--token", token)?.trim_end_matches(['\r', '\n']))?;
    }
    if let Some(file) = &args.certificate {
        let pem = fs::read_to_string(file);
        let pem = pem.map_err(|error| CannotSend::Unreadable("--certificate", error))?;
        sent = sent.certificate(&pem)?;
    }
    if let Some(address) = args.from {
        sent = sent.from(address);
    }
    match &args.body {
        Some(body) => Ok(sent.body(text("--body", body)?)),
        None => Ok(sent),
    }
}

/// What is written, or what is in the file that is named.
fn text(option: &'static str, written: &str) -> Result<String, CannotSend> {
    let read = match written.strip_prefix('@') {
        Some(file) => fs::read_to_string(file),
        None if written == "-" => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        }
        None => Ok(written.to_owned()),
    };
    read.map_err(|error| CannotSend::Unreadable(option, error))
}

#[derive(Debug, thiserror::Error)]
enum CannotSend {
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
    #[error("{0}: it cannot be read: {1}")]
    Unreadable(&'static str, #[source] io::Error),
}

#[expect(clippy::print_stderr, reason = "it is said to whoever has typed it")]
fn misunderstood(why: &CannotSend) -> ExitCode {
    eprintln!("postern: {why}");
    ExitCode::from(EX_USAGE)
}

fn tell(text: &str) {
    // Whoever closed the pipe has read enough.
    drop(io::stdout().write_all(text.as_bytes()));
}

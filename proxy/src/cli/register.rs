//! `postern register`: this gateway becomes a client of an authorization server.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::runtime::Runtime;

use super::{EX_UNAVAILABLE, refuse};
use crate::config::Registration;
use crate::register::{self, Act, NotRegistered};

#[derive(clap::Args)]
#[command(after_help = FILE)]
pub(super) struct Args {
    /// What to register as, and where, in YAML
    #[arg(long, value_name = "FILE")]
    file: PathBuf,

    /// Change the registration that there is to what the file says (RFC 7592)
    #[arg(long, conflicts_with = "remove")]
    update: bool,

    /// Take the registration back, and remove what was kept of it (RFC 7592)
    #[arg(long)]
    remove: bool,
}

const FILE: &str = "\
The file:
  issuer: https://auth.example.com        # as its metadata spells it
  redirect_uris: ['https://mcp.example.com/oauth/callback']
  directory: /etc/postern/client          # made with mode 0700, and in it, with mode 0600:
                                          # client_id, client_secret and registration.json
  name: Postern                           # what people are shown
  initial_access_token: ${file:/run/secrets/initial}  # if the issuer asks for one
  outbound: {ca_file: …, allow_networks: […]}         # as in postern.yaml

A configuration refers to it: client_secret: ${file:/etc/postern/client/client_secret}

Exit codes:
  0   done
  69  the issuer cannot be asked, or said no
  78  the file is wrong, or there is a registration already, or none";

#[expect(clippy::print_stderr, reason = "for whoever typed it")]
pub(super) fn run(args: &Args) -> ExitCode {
    let text = match fs::read_to_string(&args.file) {
        Ok(text) => text,
        Err(error) => return refuse(&format!("{}: {error}", args.file.display())),
    };
    let rules = match Registration::parse(&text) {
        Ok(rules) => rules,
        Err(invalid) => return refuse(&format!("{}: {invalid}", args.file.display())),
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    let act = match (args.update, args.remove) {
        (true, _) => Act::Change,
        (false, true) => Act::End,
        (false, false) => Act::Begin,
    };
    match runtime.block_on(register::register(&rules, act)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(
            why @ (NotRegistered::Metadata(_)
            | NotRegistered::NoEndpoint
            | NotRegistered::Unasked(_)
            | NotRegistered::Refused(..)
            | NotRegistered::Answer),
        ) => {
            eprintln!("postern: {why}");
            ExitCode::from(EX_UNAVAILABLE)
        }
        Err(why) => refuse(&why),
    }
}

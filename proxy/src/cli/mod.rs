//! The command line: one file per verb.

mod audit;
mod explain;
mod healthcheck;
mod init;
mod inject;
mod register;
mod reload;
mod run;
mod validate;
mod webhook;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An authenticating reverse proxy for MCP servers.
#[derive(Parser)]
#[command(name = "postern", version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Guard an MCP server, as a configuration file says.
    Run(run::Args),
    /// Say whether a configuration would start, and whether what it needs is there.
    Validate(validate::Args),
    /// Say whether the running proxy has taken its changed configuration over.
    Reload(reload::Args),
    /// Say why a request is refused, or what a code in the log means.
    Explain(Box<explain::Args>),
    /// Look after what was written with `audit.chain`.
    Audit(audit::Args),
    /// Register this gateway as a client of an authorization server, and keep what it is given.
    Register(register::Args),
    /// Put the proxy into Kubernetes manifests whose pods ask for it.
    Inject(inject::Args),
    /// Put the proxy into pods while they are created: a mutating admission webhook.
    Webhook(webhook::Args),
    /// Ask the proxy beside this process how it is.
    Healthcheck(healthcheck::Args),
    /// Try it on a laptop: a gateway, a backend and an identity provider in one command.
    #[cfg(feature = "dev")]
    Dev(crate::dev::Options),
}

/// What is put into pods.
#[derive(clap::Args)]
struct Image {
    /// The image of the proxy that is put into pods.
    #[arg(long, value_name = "IMAGE", default_value = concat!("postern:", env!("CARGO_PKG_VERSION")))]
    image: String,
}

pub(crate) fn main() -> ExitCode {
    match Cli::parse().verb {
        Verb::Run(args) => run::run(&args),
        Verb::Validate(args) => validate::run(&args),
        Verb::Reload(args) => reload::run(&args),
        Verb::Audit(args) => audit::run(&args),
        Verb::Register(args) => register::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Inject(args) => inject::run(&args),
        Verb::Webhook(args) => webhook::run(args),
        Verb::Healthcheck(args) => healthcheck::run(&args),
        #[cfg(feature = "dev")]
        Verb::Dev(options) => crate::dev::run(options),
    }
}

/// Says why there is nothing to run: on stderr, for a person.
#[expect(clippy::print_stderr, reason = "the log is for what happens while the proxy runs")]
pub(crate) fn refuse(why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("postern: {why}");
    ExitCode::from(EX_CONFIG)
}

/// sysexits.h: something was found in an unconfigured or misconfigured state.
const EX_CONFIG: u8 = 78;
/// sysexits.h: a service that is needed cannot be had.
pub(crate) const EX_UNAVAILABLE: u8 = 69;
/// What clap ends with as well.
const EX_USAGE: u8 = 2;

//! `postern audit verify`: is a chain of events as it was written?

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::EX_USAGE;
use crate::audit::{Broken, Verifier, Whole};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Look whether a line was removed, changed or moved since it was written.
    #[command(after_help = HELP)]
    Verify(Files),
}

#[derive(clap::Args)]
struct Files {
    /// The files of one chain, oldest first
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<PathBuf>,

    /// The last digest of an earlier file that is no longer here
    #[arg(long, value_name = "DIGEST")]
    after: Option<String>,

    /// A digest that was noted earlier and must still be there
    #[arg(long, value_name = "DIGEST")]
    seen: Option<String>,
}

const HELP: &str = "\
Each line of a file that was written with `audit.chain: true` holds the digest of the line before it and its
own. So no line in the middle can go, change or move unnoticed. Lines at the end can be cut off: note the last
digest, which this command prints, somewhere else, and give it as --seen the next time. And whoever may write
to the file can make a whole new chain: only a digest that was noted elsewhere tells.

Exit codes: 0 the chain is whole, 1 it is not (the line is named), 2 a file cannot be read";

pub(super) fn run(args: &Args) -> ExitCode {
    let Verb::Verify(files) = &args.verb;
    let Some(verifier) = Verifier::new(files.after.as_deref(), files.seen.as_deref()) else {
        return tell_error("a digest has 64 digits of 0-9a-f", EX_USAGE);
    };
    match verify(verifier, &files.paths) {
        Ok(whole) => {
            let torn = whole.torn.iter().map(|place| {
                format!("{place} is no event: a process ended while it was written\n")
            });
            let text = torn.collect::<String>();
            let (events, digest) = (whole.events, whole.digest);
            let text = format!("{text}whole: {events} events; last digest {digest}\n");
            // Whoever closed the pipe has read enough.
            drop(io::stdout().write_all(text.as_bytes()));
            ExitCode::SUCCESS
        }
        Err(why @ Broken::Unreadable(..)) => tell_error(&why, EX_USAGE),
        Err(why @ (Broken::At(..) | Broken::Unseen | Broken::Empty)) => tell_error(&why, 1),
    }
}

fn verify(mut verifier: Verifier, files: &[PathBuf]) -> Result<Whole, Broken> {
    for path in files {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|why| Broken::Unreadable(name.clone(), why))?;
        verifier.read(&name, BufReader::new(file))?;
    }
    verifier.end()
}

#[expect(clippy::print_stderr, reason = "it is said to whoever has typed it")]
fn tell_error(why: impl std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("postern: {why}");
    ExitCode::from(code)
}

//! `postern inject`: puts the proxy into manifests, from standard input or a file to standard output.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::refuse;
use crate::inject::manifest;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The manifests, in YAML; - is standard input.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    image: super::Image,
}

#[expect(clippy::print_stderr, reason = "standard output is for the manifests")]
pub(super) fn run(args: &Args) -> ExitCode {
    let text = match read(&args.file) {
        Ok(text) => text,
        Err(error) => return refuse(&format!("{}: {error}", args.file.display())),
    };
    let injected = match manifest::rewrite(&text, &args.image.image) {
        Ok(injected) => injected,
        Err(unfit) => return refuse(&unfit),
    };
    for note in &injected.notes {
        eprintln!("{note}");
    }
    match io::stdout().write_all(injected.text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

fn read(file: &Path) -> io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(file)
}

//! What a request costs in front of the same backend, proxy by proxy: `cargo bench -p proxy --bench load`.
//!
//! All proxies run through the whole bench, and are loaded in turn, round after round: whatever else
//! the machine does hits all of them alike. See README.md beside this file.

#![allow(missing_docs, reason = "a bench has no interface")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench reports")]
#![allow(
    clippy::disallowed_methods,
    reason = "a bench is set by its environment, and its tokens are valid today"
)]

mod rig;
mod tokens;

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use mimalloc::MiMalloc;
use rig::site::{Lane, Site};
use rig::table::{self, Row};
use rig::{backend, bare, contenders, generator};

/// The allocator of the shipped binary: the proxy that it is compared with gets it too.
#[global_allocator]
static MEMORY: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["part", "backend", socket] => backend::run(Path::new(socket)).map_err(Into::into),
        ["part", "bare", listen, upstream] => bare::run(listen, upstream),
        ["part", "generator", address, connections, seconds, kind, tokens] => {
            generator::run(address, connections, seconds, kind, Path::new(tokens))
        }
        // `cargo test --all-targets` runs benches too, and nobody who does that wants minutes of load.
        arguments if arguments.contains(&"--bench") => Settings::read().and_then(|set| bench(&set)),
        _ => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How long it may take.
struct Settings {
    rounds: usize,
    seconds: f64,
    connections: u32,
}

impl Settings {
    fn read() -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            rounds: setting("BENCH_ROUNDS", 7)?,
            seconds: setting("BENCH_SECONDS", 3.0)?,
            connections: setting("BENCH_CONNECTIONS", 50)?,
        })
    }
}

fn setting<T: FromStr>(name: &str, default: T) -> Result<T, Box<dyn Error>> {
    match env::var(name) {
        Err(env::VarError::NotPresent) => Ok(default),
        Err(error) => Err(error.into()),
        Ok(text) => text.parse().map_err(|_| format!("{name}: {text:?} will not do").into()),
    }
}

fn bench(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let site = Site::new(settings.connections)?;
    println!("{} rounds of {} s; {}", settings.rounds, settings.seconds, site.describe());
    let (mut lanes, mut rows) = gather(&site)?;
    println!("load of the machine before: {}", load_average()?);
    let span = Duration::from_secs_f64(settings.seconds);
    // The round before the first counts for nothing: connections open, caches fill.
    for round in 0..=settings.rounds {
        for step in 0..lanes.len() {
            let index = (round + step) % lanes.len();
            let (lane, row) = (lanes.get_mut(index), rows.get_mut(index));
            let (Some(lane), Some(row)) = (lane, row) else { continue };
            let sample = site.measure(lane, span);
            let sample = sample.map_err(|error| format!("{}: {error}", row.contender.name))?;
            if round > 0 {
                row.samples.push(sample);
            }
        }
    }
    println!("load of the machine after: {}", load_average()?);
    table::print(&rows);
    Ok(())
}

/// Starts every proxy that there is. One that is there and does not do its work ends the bench.
fn gather(site: &Site) -> Result<(Vec<Lane>, Vec<Row>), Box<dyn Error>> {
    let (mut lanes, mut rows) = (Vec::new(), Vec::new());
    for contender in contenders::ALL {
        match site.start(&contender) {
            Ok(Some(lane)) => {
                lanes.push(lane);
                rows.push(Row { contender, samples: Vec::new() });
            }
            Ok(None) => println!("left out: {}: not installed, see prepare.sh", contender.name),
            Err(error) => return Err(format!("{}: {error}", contender.name).into()),
        }
    }
    Ok((lanes, rows))
}

fn load_average() -> Result<String, Box<dyn Error>> {
    let averages = fs::read_to_string("/proc/loadavg")?;
    Ok(averages.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

//! The log: JSON for machines, text for people, on stderr.

mod visible;

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry};
use visible::Visible;
pub(crate) use visible::seen;

use crate::config::{Log, LogFormat, LogLevels};

/// Starts the log of this process; a second call changes nothing.
pub(crate) fn start(rules: &Log) -> Volume {
    let json = match rules.format {
        LogFormat::Auto => !io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let text =
        tracing_subscriber::fmt::layer().with_writer(|| Visible(io::stderr())).with_target(false);
    let layer = if json {
        text.json().flatten_event(true).with_current_span(false).boxed()
    } else {
        text.with_ansi(io::stderr().is_terminal()).boxed()
    };
    let (filter, handle) = reload::Layer::new(filter(&rules.levels));
    // Already started is what the caller wanted.
    drop(tracing_subscriber::registry().with(layer.with_filter(filter)).try_init());
    Volume { handle, levels: rules.levels.clone() }
}

/// By which the log is turned up and down.
#[derive(Debug)]
pub(crate) struct Volume {
    handle: Handle<Targets, Registry>,
    levels: LogLevels,
}

impl Volume {
    /// From now on these levels.
    pub(crate) fn set(&mut self, levels: &LogLevels) {
        if *levels != self.levels {
            // Without a log there is nothing to change.
            drop(self.handle.reload(filter(levels)));
            self.levels = levels.clone();
        }
    }
}

/// pingora tells of broken clients as errors, and at debug shows whole heads, tokens included: what
/// matters of a request is in our own line. So no level is theirs to have.
fn filter(levels: &LogLevels) -> Targets {
    let modules = levels.modules.iter().map(|(name, level)| (format!("{OURS}::{name}"), *level));
    Targets::new()
        .with_default(levels.usual)
        .with_targets(modules)
        .with_targets(
            ["pingora", "pingora_core", "pingora_proxy", "pingora_cache"]
                .map(|target| (target, LevelFilter::OFF)),
        )
        .with_targets(
            ["h2", "hyper", "hyper_util", "reqwest", "rustls", "rustls_platform_verifier"]
                .map(|target| (target, LevelFilter::WARN.min(levels.usual))),
        )
}

/// What the paths of our modules begin with.
const OURS: &str = "proxy";

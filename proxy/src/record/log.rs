//! The log: JSON for machines, text for people, on stderr.

mod visible;

use std::io::{self, IsTerminal as _};

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use visible::Visible;

/// Starts the log of this process; a second call changes nothing.
pub(crate) fn start(json: Option<bool>, level: Level) {
    let json = json.unwrap_or_else(|| !io::stderr().is_terminal());
    let text =
        tracing_subscriber::fmt::layer().with_writer(|| Visible(io::stderr())).with_target(false);
    let layer = if json {
        text.json().flatten_event(true).with_current_span(false).boxed()
    } else {
        text.with_ansi(io::stderr().is_terminal()).boxed()
    };
    let registry = tracing_subscriber::registry().with(layer.with_filter(filter(level)));
    // Already started is what the caller wanted.
    drop(registry.try_init());
}

/// pingora tells of broken clients as errors, and at debug shows whole heads, tokens included: what
/// matters of a request is in our own line.
fn filter(level: Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::from_level(level))
        .with_targets(
            ["pingora", "pingora_core", "pingora_proxy", "pingora_cache"]
                .map(|target| (target, LevelFilter::OFF)),
        )
        .with_targets(
            ["h2", "hyper", "hyper_util", "reqwest", "rustls", "rustls_platform_verifier"]
                .map(|target| (target, LevelFilter::WARN)),
        )
}

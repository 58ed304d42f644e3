//! How the log is written, and how much of it.

use tracing::level_filters::LevelFilter;

/// How the log is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// One JSON object per line, or text for people.
    pub format: LogFormat,
    /// What is written.
    pub levels: LogLevels,
}

/// The log's shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// The least important level that is written, of each module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevels {
    /// Of those that are not named.
    pub usual: LevelFilter,
    /// Of those that are.
    pub modules: Vec<(&'static str, LevelFilter)>,
}

impl Default for LogLevels {
    fn default() -> Self {
        Self { usual: LevelFilter::INFO, modules: Vec::new() }
    }
}

/// The modules that have something to say.
pub const LOGGING_MODULES: [&str; 17] = [
    "audit",
    "cli",
    "dev",
    "edge",
    "front",
    "gateway",
    "handover",
    "inject",
    "introspect",
    "record",
    "redirect",
    "refresh",
    "reload",
    "revoke",
    "server",
    "spans",
    "upstream",
];

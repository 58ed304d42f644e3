//! Who is to be told of each decision.

use std::path::PathBuf;

/// Where events go, and what becomes of requests when they cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Where.
    pub to: AuditTo,
    /// Whether each line is tied to the one before it.
    pub chain: bool,
    /// Whether a request may pass only if its event will be written.
    pub required: bool,
    /// Whether the arguments of calls are told; and which of their members are not.
    pub arguments: Option<Vec<String>>,
}

/// Where events are written, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTo {
    /// Standard output, which nothing else is written to.
    Stdout,
    /// Standard error, between the lines of the log.
    Stderr,
    /// The end of a file.
    File(PathBuf),
}

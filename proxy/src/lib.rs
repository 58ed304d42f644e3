//! Postern: an authenticating reverse proxy for MCP servers.
//!
//! # The life of a request
//!
//! ```text
//! listener ─► gateway ─► framing ─► route ─┬─► metadata, health ──────────────► answer ─┐
//!                                          └─► token ─► authenticate ─► proof           │
//!                                                │            │           │             │
//!                                                └──► challenge ◄─────────┤  ─► answer ─┤
//!                                                         ▲               ▼             │
//!                                                         └────────── authorize         │
//!                                                                         ▼             │
//!                                              upstream ◄── headers ◄── permit          │
//!                                                  └──────────────────────────────► record
//! ```
//!
//! `edge` accepts connections and hands them to pingora; pingora calls `gateway` for each request;
//! `gateway` asks [`pipeline::Pipeline::decide`], which reads only its arguments: one generation of
//! the configuration, the request's head, what is known of its connection, and the time. Without a
//! [`pipeline::authorize::Permit`] no phase reaches the upstream. Beside them `refresh` keeps each
//! issuer's keys current, `introspect` asks the issuer whose tokens are opaque, `revoke` keeps the list
//! of what is revoked, `stream` ends what outlasts its token, and `reload` notices that the rules are others,
//! of which `generation` makes the next generation.

mod admin;
mod audit;
mod cli;
pub mod config;
#[cfg(feature = "dev")]
mod dev;
pub mod edge;
mod exchange;
mod explain;
mod files;
mod front;
mod gateway;
mod generation;
mod handover;
mod holder;
mod inject;
mod introspect;
pub mod keys;
mod near;
mod outbound;
pub mod pipeline;
mod reason;
mod record;
mod redirect;
mod refresh;
mod register;
mod reload;
mod revoke;
mod server;
mod snapshot;
mod spans;
mod stream;
mod trust;
mod upstream;
mod validate;

use std::process::ExitCode;

/// Runs the command line.
pub fn main() -> ExitCode {
    // First of all: pingora would install another provider where none is, and the HTTP client panics
    // where it finds several to choose from. An error says that it is installed already.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    // Thousands of streams stand for hours and touch a few pages each; of huge pages, what nobody uses
    // would be resident too: twice as much, measured. Where the system has none, nothing changes.
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true).unwrap_or_default();
    cli::main()
}

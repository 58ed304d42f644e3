//! A small MCP server that leaves authentication to the proxy in front of it.
//!
//! # The life of a call
//!
//! ```text
//! stdin, stdout ───────────────────────────────► backend ─► Local ────► tool
//!                                                   ▲
//! listener ─► admit ─► Identity ─► /mcp ─► rmcp ────┘────► Verified ──► tool
//!               └────► 403
//! ```
//!
//! Over HTTP a caller is who the proxy's headers say, read anew from each request and never
//! from a session. On stdio it is whoever started this process. Nothing turns one into the
//! other: [`serve`] and [`serve_stdio`] each build a handler that knows only its own kind.

mod api;
mod assertion;
mod backend;
mod caller;
mod cli;
mod clock;
mod conformance;
mod door;
mod fetch;
mod messages;
mod offer;
mod otus;
mod pages;
mod prompts;
mod resources;
mod settings;
mod signals;
mod tools;
mod transport;
mod unverified;

pub use cli::main;
pub use offer::{NoOffer, Offer};
pub use settings::{Invalid, NoSettings, Problem, Settings};
pub use tokio_util::sync::CancellationToken;
pub use transport::http::serve;
pub use transport::listener::{CannotListen, ListenAddress, Listener, SocketFile, UnknownAddress};
pub use transport::stdio::{StdioFailed, serve_stdio};

//! The ways in: stdio for a client that starts us, streamable HTTP behind the proxy.

mod admit;
pub(crate) mod http;
pub(crate) mod listener;
mod sessions;
mod sse;
pub(crate) mod stdio;

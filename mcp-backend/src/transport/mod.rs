//! The ways in: stdio for a client that starts us, streamable HTTP behind the proxy.

pub(crate) mod http;
pub(crate) mod listener;
pub(crate) mod stdio;

//! The server as its clients meet it: real processes, real sockets, raw JSON.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]
#![expect(clippy::needless_pass_by_value, reason = "a json!() reads best as an argument")]

mod api;
mod assertion;
mod beside;
mod harness;
mod http;
mod listening;
mod otus;
mod sessions;
mod sse;
mod stdio;

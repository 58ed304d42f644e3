//! No MCP or HTTP library on the side of clients: one that repairs what it receives would hide what
//! we send.

mod beyond;
mod connection;
mod message;
mod post;
mod process;
mod server;
mod signer;

use std::time::Duration;

pub(crate) use beyond::{Beyond, team_of};
pub(crate) use connection::{Connection, Reply};
pub(crate) use message::{call, legacy, modern};
pub(crate) use post::Post;
pub(crate) use process::Process;
pub(crate) use server::Server;
pub(crate) use signer::Signer;

/// A test that would hang fails instead.
pub(crate) async fn soon<T>(wait: impl Future<Output = T>) -> T {
    let Ok(output) = tokio::time::timeout(Duration::from_secs(30), wait).await else {
        panic!("waited too long");
    };
    output
}

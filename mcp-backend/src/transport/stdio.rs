//! stdin and stdout, for a client that starts us as its child.

use std::sync::Arc;

use rmcp::service::{QuitReason, ServerInitializeError};
use rmcp::transport::io::stdio_pipes;
use rmcp::{ServerHandler, ServiceExt as _};
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, Entrance};
use crate::conformance::Fixtures;
use crate::offer::Offer;

/// Serves the one client on stdin and stdout until it hangs up or `stop` is cancelled.
pub async fn serve_stdio(offer: Arc<Offer>, stop: CancellationToken) -> Result<(), StdioFailed> {
    match offer.fixtures() {
        Some(shared) => converse(Fixtures::new(shared), stop).await,
        None => converse(Backend::new(Entrance::Stdio, offer), stop).await,
    }
}

async fn converse(handler: impl ServerHandler, stop: CancellationToken) -> Result<(), StdioFailed> {
    match handler.serve_with_ct(stdio_pipes(), stop).await {
        Ok(running) => match running.waiting().await {
            Ok(QuitReason::Closed | QuitReason::Cancelled) => Ok(()),
            _ => Err(StdioFailed::Serving),
        },
        // A client may start us only to see whether we are there.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            Ok(())
        }
        // rmcp's text would carry what the client sent into the log.
        Err(_) => Err(StdioFailed::Opening),
    }
}

/// Why serving on stdio ended other than by the client's or our own wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StdioFailed {
    /// It began neither with `initialize` nor with a request of 2026-07-28.
    #[error("the client on stdin did not open the conversation as MCP demands")]
    Opening,
    /// The task that serves has died.
    #[error("serving on stdio ended unexpectedly")]
    Serving,
}

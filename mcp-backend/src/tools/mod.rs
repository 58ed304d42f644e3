//! What this server can do: one file a tool.

mod echo;
mod whoami;

use std::sync::LazyLock;

use rmcp::handler::server::router::tool::ToolRouter;

use crate::backend::Backend;

/// Every tool, built once. What is left out of this list is dead code, and the build warns of it.
pub(crate) static TOOLS: LazyLock<ToolRouter<Backend>> =
    LazyLock::new(|| Backend::echo_router() + Backend::whoami_router());

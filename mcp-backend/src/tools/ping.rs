//! `ping`: is anybody there.

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Json;
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::Serialize;

use crate::backend::Backend;
use crate::clock::now;

pub(super) fn router() -> ToolRouter<Backend> {
    Backend::ping_router()
}

#[tool_router(router = ping_router)]
impl Backend {
    #[tool(
        title = "Ping",
        description = "Answers pong and the time. Use it to check that this server is alive.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    fn ping() -> Json<Pong> {
        Json(Pong { result: format!("pong - {}", now().to_rfc3339()) })
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Pong {
    /// `pong`, and when: ISO 8601, UTC.
    result: String,
}

//! `hello_world`: greets, and shows how a tool demands a scope.

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scope::needs;
use super::text::Text;
use crate::backend::Backend;

pub(super) fn router() -> ToolRouter<Backend> {
    Backend::hello_world_router()
}

#[tool_router(router = hello_world_router)]
impl Backend {
    #[tool(
        title = "Hello, World!",
        description = "Greets somebody by name.",
        meta = needs("tool:user"),
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    fn hello_world(Parameters(whom): Parameters<Whom>) -> Json<Greeting> {
        Json(Greeting { result: format!("Hello, {}! 👋", whom.name.as_str()) })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Whom {
    /// Whom to greet.
    name: Text<1024>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Greeting {
    /// The greeting.
    result: String,
}

//! `shout`: says it louder.

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scope::needs;
use super::text::Text;
use crate::backend::Backend;
use crate::caller::Caller;

pub(super) fn router() -> ToolRouter<Backend> {
    Backend::shout_router()
}

#[tool_router(router = shout_router)]
impl Backend {
    #[tool(
        title = "Shout",
        description = "Returns the message, loud enough for everybody to hear.",
        meta = needs("tool:user"),
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    fn shout(caller: Caller, Parameters(said): Parameters<Said>) -> Result<Json<Shouted>, String> {
        let message = said.message.as_str();
        if message.is_empty() {
            return Err("message: empty; say something".to_owned());
        }
        let by = match caller {
            Caller::Verified(identity) => identity.subject().to_owned(),
            Caller::Local => "you".to_owned(),
        };
        Ok(Json(Shouted { shout: format!("{}!", message.to_uppercase()), by }))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Said {
    /// What to shout.
    message: Text<1024>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Shouted {
    /// The message in capitals.
    shout: String,
    /// Who it was.
    by: String,
}

//! `echo`: says what it heard.

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scope::needs;
use super::text::Text;
use crate::backend::Backend;
use crate::clock::now;

pub(super) fn router() -> ToolRouter<Backend> {
    Backend::echo_router()
}

#[tool_router(router = echo_router)]
impl Backend {
    #[tool(
        title = "Echo",
        description = "Returns the message, in capitals or with the time if you like. Use it to \
                       check that calls reach the server.",
        meta = needs("mcp:read"),
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    pub(crate) fn echo(Parameters(heard): Parameters<Heard>) -> Json<Echo> {
        Json(Echo::of(heard))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Heard {
    /// The text to return.
    message: Text<65536>,
    /// Whether to return it in capitals.
    #[serde(default)]
    uppercase: bool,
    /// Whether to add the time.
    #[serde(default)]
    timestamp: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "as it is sent")]
pub(crate) struct Echo {
    /// The message as it was sent.
    original: Text<65536>,
    /// The message as it comes back.
    echo: String,
    /// When it was heard, if asked for: ISO 8601, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = "string"))] // left out, never null
    timestamp: Option<String>,
    /// What was heard, and what was done about it.
    metadata: Metadata,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct Metadata {
    /// How many characters.
    #[schemars(extend("format" = "int64"))] // clients warn of "uint"
    length: usize,
    /// How many words.
    #[schemars(extend("format" = "int64"))]
    words: usize,
    /// Whether `echo` is in capitals.
    uppercase_applied: bool,
    /// Whether there is a `timestamp`.
    timestamp_added: bool,
}

impl Echo {
    fn of(heard: Heard) -> Self {
        let message = heard.message.as_str();
        Self {
            echo: if heard.uppercase { message.to_uppercase() } else { message.to_owned() },
            timestamp: heard.timestamp.then(|| now().to_rfc3339()),
            metadata: Metadata {
                length: message.chars().count(),
                words: message.split_whitespace().count(),
                uppercase_applied: heard.uppercase,
                timestamp_added: heard.timestamp,
            },
            original: heard.message,
        }
    }
}

//! `echo`: says what it heard.

use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backend::Backend;

#[tool_router(router = echo_router, vis = "pub(super)")]
impl Backend {
    #[tool(
        title = "Echo",
        description = "Returns the message unchanged. Use it to check that calls reach the server.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    fn echo(Parameters(echo): Parameters<Echo>) -> Json<Echo> {
        Json(echo)
    }
}

/// Both what is sent and what comes back.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Echo {
    /// The text to return unchanged.
    #[schemars(length(max = MOST_CHARACTERS))]
    message: Message,
}

/// A text of bounded length.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline)]
struct Message(String);

impl TryFrom<String> for Message {
    type Error = TooLong;

    fn try_from(text: String) -> Result<Self, TooLong> {
        // JSON Schema's maxLength, which clients check, counts characters and not bytes.
        if text.chars().count() > MOST_CHARACTERS { Err(TooLong) } else { Ok(Self(text)) }
    }
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("message is longer than {MOST_CHARACTERS} characters")]
struct TooLong;

const MOST_CHARACTERS: usize = 64 * 1024;

//! Tools.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, LoggingLevel,
    ProgressNotificationParam, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use super::ask::{PREFIX, answer, between, during, elicitation};
use super::content::{WAV, image, resource, text};
use super::{Change, Fixtures, made};

pub(super) fn list() -> Result<Vec<Tool>, ErrorData> {
    let tool = |name: String, properties: Value| {
        json!({
            "name": name, "description": "For the suite.",
            "inputSchema": { "type": "object", "properties": properties },
        })
    };
    let mut tools: Vec<Value> =
        PLAIN.iter().map(|name| tool((*name).to_owned(), json!({}))).collect();
    tools.extend(ROUNDS.iter().map(|name| tool(format!("{PREFIX}{name}"), json!({}))));
    let string = json!({ "type": "string" });
    tools.extend([
        tool("test_sampling".to_owned(), json!({ "prompt": string })),
        tool("test_elicitation".to_owned(), json!({ "message": string })),
        tool(
            "test_custom_header".to_owned(),
            json!({ "region": { "type": "string", "x-mcp-header": "Region" } }),
        ),
        json!({
            "name": "json_schema_2020_12_tool", "description": "For the suite.",
            "inputSchema": schema(),
        }),
    ]);
    made(Value::Array(tools))
}

pub(super) async fn call(
    fixtures: &Fixtures,
    request: CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let told = match &*request.name {
        "test_simple_text" => vec![text("This is a simple text response for testing.")],
        "test_image_content" => vec![image()],
        "test_audio_content" => {
            vec![json!({ "type": "audio", "data": WAV, "mimeType": "audio/wav" })]
        }
        "test_embedded_resource" => vec![resource(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content.",
        )],
        "test_multiple_content_types" => vec![
            text("Multiple content types test:"),
            image(),
            resource(
                "test://mixed-content-resource",
                "application/json",
                r#"{"test":"data","value":123}"#,
            ),
        ],
        "test_error_handling" => {
            let error = text("This tool intentionally returns an error for testing");
            return Ok(CallToolResult::error(made(json!([error]))?).into());
        }
        "test_custom_header" | "json_schema_2020_12_tool" => vec![text("It arrived.")],
        _ => return act(fixtures, request, context).await,
    };
    Ok(CallToolResult::success(made(Value::Array(told))?).into())
}

/// Those that do more than answer.
async fn act(
    fixtures: &Fixtures,
    request: CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let arguments = Value::Object(request.arguments.clone().unwrap_or_default());
    match &*request.name {
        "test_tool_with_logging" | "test_logging_tool" => {
            let steps =
                ["Tool execution started", "Tool processing data", "Tool execution completed"];
            for step in steps {
                fixtures.messages.tell(context, LoggingLevel::Info, || json!(step)).await;
                tokio::time::sleep(A_MOMENT).await;
            }
        }
        "test_tool_with_progress" => progress(context).await,
        "test_reconnection" => {
            context.ct.run_until_cancelled(tokio::time::sleep(A_MOMENT)).await.unwrap_or_default();
        }
        "test_trigger_tool_change" => fixtures.tell_of(Change::Tools),
        "test_trigger_prompt_change" => fixtures.tell_of(Change::Prompts),
        "test_missing_capability" => {
            let able = context.meta.client_capabilities().unwrap_or_default();
            if able.sampling.is_none() {
                let needed: ClientCapabilities = made(json!({ "sampling": {} }))?;
                return Err(ErrorData::missing_required_client_capability(needed));
            }
        }
        "test_streaming_elicitation" => {
            let asked = json!({ "user_name": elicitation("What is your name?", "name", "string") });
            let asked = rmcp::model::InputRequiredResult::from_input_requests(made(asked)?);
            return Ok(asked.into());
        }
        name @ ("test_sampling"
        | "test_elicitation"
        | "test_elicitation_sep1034_defaults"
        | "test_elicitation_sep1330_enums") => return during(name, &arguments, context).await,
        _ => return between(fixtures, &request, context),
    }
    answer("Done.")
}

async fn progress(context: &RequestContext<RoleServer>) {
    for done in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let told = ProgressNotificationParam::new(token, done).with_total(100.0);
            // Who has gone needs nothing told.
            drop(context.peer.notify_progress(told).await);
        }
        tokio::time::sleep(A_MOMENT).await;
    }
}

fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "address": {
            "$anchor": "addressDef", "type": "object",
            "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
        }},
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

const A_MOMENT: Duration = Duration::from_millis(50);

/// Without arguments.
const PLAIN: [&str; 16] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_error_handling",
    "test_tool_with_logging",
    "test_logging_tool",
    "test_tool_with_progress",
    "test_reconnection",
    "test_trigger_tool_change",
    "test_trigger_prompt_change",
    "test_streaming_elicitation",
    "test_missing_capability",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
];

/// That take more than one call.
const ROUNDS: [&str; 8] = [
    "elicitation",
    "sampling",
    "list_roots",
    "request_state",
    "tampered_state",
    "multiple_inputs",
    "multi_round",
    "capabilities",
];

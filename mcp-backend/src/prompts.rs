//! What a client can have said to a model: `tool_usage_guide`.

use std::fmt::Write as _;

use rmcp::ErrorData;
use rmcp::model::{
    CompleteRequestParams, CompleteResult, CompletionInfo, GetPromptRequestParams, GetPromptResult,
    Prompt, PromptArgument, PromptMessage, Role, Tool,
};
use serde_json::Value;

use crate::offer::Offer;
use crate::tools::scope_of;

pub(crate) fn list() -> Vec<Prompt> {
    let tool = PromptArgument::new(TOOL)
        .with_title("Tool")
        .with_description("The name of a tool; without it, all of them in short.")
        .with_required(false);
    vec![Prompt::new(GUIDE, Some(ABOUT), Some(vec![tool])).with_title("How to use the tools")]
}

pub(crate) fn get(
    offer: &Offer,
    request: &GetPromptRequestParams,
) -> Result<GetPromptResult, ErrorData> {
    if request.name != GUIDE {
        return Err(ErrorData::invalid_params("no such prompt", None));
    }
    let named = request.arguments.as_ref().and_then(|arguments| arguments.get(TOOL));
    let text = match named {
        None | Some(Value::Null) => overview(&offer.tools()),
        Some(Value::String(name)) => offer.tool(name).map(guide).ok_or_else(|| {
            ErrorData::invalid_params("tool_name: no such tool; leave it out to see all", None)
        })?,
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(ErrorData::invalid_params("tool_name: not a text", None));
        }
    };
    let message = PromptMessage::new_text(Role::User, text);
    Ok(GetPromptResult::new(vec![message]).with_description(ABOUT))
}

/// The tools that begin with what was typed.
pub(crate) fn complete(offer: &Offer, request: &CompleteRequestParams) -> CompleteResult {
    let asked = request.r#ref.as_prompt_name() == Some(GUIDE) && request.argument.name == TOOL;
    let tools = if asked { offer.tools() } else { Vec::new() };
    let names = tools.into_iter().map(|tool| tool.name.into_owned());
    let fitting = names.filter(|name| name.starts_with(&request.argument.value));
    let values = fitting.take(CompletionInfo::MAX_VALUES).collect();
    CompletionInfo::new(values).map_or_else(|_| CompleteResult::default(), CompleteResult::new)
}

fn overview(tools: &[Tool]) -> String {
    let mut text = "The tools of this server:\n".to_owned();
    for tool in tools {
        line(&mut text, &tool.name, tool.description.as_deref());
    }
    text.push_str("\nAsk for tool_usage_guide with a tool_name to learn more of one.");
    text
}

fn guide(tool: &Tool) -> String {
    let title = tool.title.as_deref().unwrap_or(&tool.name);
    let mut text = format!("{title} (`{}`)\n", tool.name);
    if let Some(description) = &tool.description {
        text.push_str(description);
    }
    text.push('\n');
    let required = tool.input_schema.get("required").and_then(Value::as_array);
    let properties = tool.input_schema.get("properties").and_then(Value::as_object);
    match properties.filter(|properties| !properties.is_empty()) {
        None => text.push_str("\nIt takes no arguments.\n"),
        Some(properties) => {
            text.push_str("\nIts arguments:\n");
            for (name, schema) in properties {
                let needed = required.is_some_and(|names| names.iter().any(|one| one == name));
                let label = if needed { format!("{name} (required)") } else { name.clone() };
                line(&mut text, &label, schema.get("description").and_then(Value::as_str));
            }
        }
    }
    text + &scope_of(tool).map_or_else(
        || "\nIt needs no scope.".to_owned(),
        |scope| format!("\nIt needs the scope {scope}."),
    )
}

fn line(text: &mut String, name: &str, about: Option<&str>) {
    let about = about.unwrap_or_default().replace('\n', " ");
    // A String takes all there is.
    let _told = writeln!(text, "- {name}: {about}");
}

const GUIDE: &str = "tool_usage_guide";
const TOOL: &str = "tool_name";
const ABOUT: &str = "Explains the tools of this server, or one of them: arguments and scope.";

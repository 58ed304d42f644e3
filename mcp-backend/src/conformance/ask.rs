//! Questions to the client: before 2026-07-28 in the middle of a call, since then between two.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities,
    InputRequiredResult, InputResponses,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::content::text;
use super::{Fixtures, made};

/// What asks a person for one thing.
pub(super) fn elicitation(message: &str, name: &str, kind: &str) -> Value {
    form(
        message,
        &json!({ "type": "object", "properties": { name: { "type": kind } }, "required": [name] }),
    )
}

fn form(message: &str, schema: &Value) -> Value {
    json!({
        "method": "elicitation/create",
        "params": { "mode": "form", "message": message, "requestedSchema": schema },
    })
}

fn sampling(question: &str, most: u32) -> Value {
    json!({
        "method": "sampling/createMessage",
        "params": { "messages": [{ "role": "user", "content": text(question) }], "maxTokens": most },
    })
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

/// What a person wrote into one field, if it is a text and they agreed to send it.
pub(super) fn accepted<'a>(
    responses: Option<&'a InputResponses>,
    key: &str,
    name: &str,
) -> Option<&'a str> {
    let response = responses?.get(key)?;
    let accepted = response.get("action")? == "accept";
    response.get("content")?.get(name)?.as_str().filter(|_| accepted)
}

/// In the middle of a call.
pub(super) async fn during(
    name: &str,
    arguments: &Value,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let refused = |error: rmcp::ServiceError| {
        ErrorData::internal_error(format!("not answered: {error}"), None)
    };
    let given = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    if name == "test_sampling" {
        let asked = sampling(given("prompt"), 100);
        let told = context.peer.create_message(parameters(&asked)?).await;
        let told = serde_json::to_value(told.map_err(refused)?).unwrap_or_default();
        let said = told.pointer("/content/text").or(told.pointer("/content/0/text"));
        let said = said.and_then(Value::as_str).unwrap_or_default();
        return answer(&format!("LLM response: {said}"));
    }
    let (message, schema, before) = match name {
        "test_elicitation" => (
            given("message"),
            json!({
                "type": "object",
                "properties": {
                    "username": { "type": "string", "description": "User's response" },
                    "email": { "type": "string", "description": "User's email address" },
                },
                "required": ["username", "email"],
            }),
            "User response",
        ),
        "test_elicitation_sep1034_defaults" => {
            ("Review and update the form", defaults(), "Elicitation completed")
        }
        _ => ("Choose", enums(), "Elicitation completed"),
    };
    let asked = form(message, &schema);
    let told = context.peer.create_elicitation(parameters(&asked)?).await;
    let told = serde_json::to_value(told.map_err(refused)?).unwrap_or_default();
    let written = told.get("content").cloned().unwrap_or_default();
    let action = told.get("action").and_then(Value::as_str).unwrap_or_default();
    answer(&format!("{before}: action={action}, content={written}"))
}

fn parameters<T: DeserializeOwned>(request: &Value) -> Result<T, ErrorData> {
    made(request.get("params").cloned().unwrap_or_default())
}

fn defaults() -> Value {
    json!({ "type": "object", "properties": {
        "name": { "type": "string", "default": "John Doe" },
        "age": { "type": "integer", "default": 30 },
        "score": { "type": "number", "default": 95.5 },
        "status": {
            "type": "string", "enum": ["active", "inactive", "pending"], "default": "active",
        },
        "verified": { "type": "boolean", "default": true },
    }})
}

fn enums() -> Value {
    let titled = |titles: [&str; 3]| -> Vec<Value> {
        let numbered = titles.into_iter().zip(1..);
        numbered.map(|(title, n)| json!({ "const": format!("value{n}"), "title": title })).collect()
    };
    let options = json!(["option1", "option2", "option3"]);
    json!({ "type": "object", "properties": {
        "untitledSingle": { "type": "string", "enum": options },
        "titledSingle": {
            "type": "string", "oneOf": titled(["First Option", "Second Option", "Third Option"]),
        },
        "legacyEnum": {
            "type": "string", "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
        "titledMulti": { "type": "array", "items": {
            "anyOf": titled(["First Choice", "Second Choice", "Third Choice"]),
        }},
    }})
}

/// Between two calls: what is missing is asked for, and what has come is taken.
pub(super) fn between(
    fixtures: &Fixtures,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let responses = request.input_responses.as_ref();
    let has = |key: &str| responses.is_some_and(|responses| responses.contains_key(key));
    let name = || elicitation("What is your name?", "name", "string");
    match request.name.strip_prefix(PREFIX).unwrap_or_default() {
        "elicitation" => match accepted(responses, "user_name", "name") {
            Some(name) => answer(&format!("Hello, {name}!")),
            None => ask(json!({ "user_name": name() }), None),
        },
        "sampling" => match responses.and_then(|all| all.get("capital_question")) {
            Some(said) => answer(&format!("The model said: {said}")),
            None => ask(
                json!({ "capital_question": sampling("What is the capital of France?", 100) }),
                None,
            ),
        },
        "list_roots" => match responses.and_then(|all| all.get("client_roots")) {
            Some(roots) => answer(&format!("The roots: {roots}")),
            None => ask(json!({ "client_roots": roots() }), None),
        },
        "request_state" | "tampered_state" => match opened(fixtures, request)? {
            Some(_) if has("confirm") => answer("state-ok"),
            _ => ask(
                json!({ "confirm": elicitation("Please confirm", "ok", "boolean") }),
                Some(sealed(fixtures, "confirm")?),
            ),
        },
        "multiple_inputs" => match opened(fixtures, request)? {
            Some(_) if ["user_name", "greeting", "client_roots"].into_iter().all(has) => {
                answer("All of it has come.")
            }
            _ => ask(
                json!({
                    "user_name": name(),
                    "greeting": sampling("Generate a greeting", 50),
                    "client_roots": roots(),
                }),
                Some(sealed(fixtures, "all")?),
            ),
        },
        "multi_round" => rounds(fixtures, request),
        "capabilities" => within(&context.meta.client_capabilities().unwrap_or_default()),
        _ => Err(ErrorData::invalid_params("tool not found", None)),
    }
}

fn rounds(
    fixtures: &Fixtures,
    request: &CallToolRequestParams,
) -> Result<CallToolResponse, ErrorData> {
    let responses = request.input_responses.as_ref();
    let before = opened(fixtures, request)?;
    let (one, two) = (accepted(responses, "step1", "name"), accepted(responses, "step2", "color"));
    match (before.as_deref(), one, two) {
        (Some("step2"), _, Some(color)) => answer(&format!("Your color is {color}.")),
        (Some("step1"), Some(_), _) => {
            let asked = elicitation("Step 2: What is your favorite color?", "color", "string");
            ask(json!({ "step2": asked }), Some(sealed(fixtures, "step2")?))
        }
        _ => {
            let asked = elicitation("Step 1: What is your name?", "name", "string");
            ask(json!({ "step1": asked }), Some(sealed(fixtures, "step1")?))
        }
    }
}

/// Only what the client says it can be asked.
fn within(capabilities: &ClientCapabilities) -> Result<CallToolResponse, ErrorData> {
    let mut asked = serde_json::Map::new();
    if capabilities.elicitation.is_some() {
        asked.insert("name".into(), elicitation("What is your name?", "name", "string"));
    }
    if capabilities.sampling.is_some() {
        asked.insert("greeting".into(), sampling("Generate a greeting", 50));
    }
    if asked.is_empty() { answer("You cannot be asked.") } else { ask(Value::Object(asked), None) }
}

fn ask(requests: Value, state: Option<String>) -> Result<CallToolResponse, ErrorData> {
    Ok(InputRequiredResult::new(Some(made(requests)?), state).into())
}

pub(super) fn answer(told: &str) -> Result<CallToolResponse, ErrorData> {
    Ok(CallToolResult::success(made(json!([text(told)]))?).into())
}

fn sealed(fixtures: &Fixtures, state: &str) -> Result<String, ErrorData> {
    let sealed = fixtures.shared.codec.seal_json(&state);
    sealed.map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

/// What we sealed, if anything has come back; anything else is refused.
fn opened(
    fixtures: &Fixtures,
    request: &CallToolRequestParams,
) -> Result<Option<String>, ErrorData> {
    let opened =
        request.request_state.as_deref().map(|state| fixtures.shared.codec.open_json(state));
    opened
        .transpose()
        .map_err(|_| ErrorData::invalid_params("requestState: not one of this server's", None))
}

pub(super) const PREFIX: &str = "test_input_required_result_";

//! Prompts.

use rmcp::ErrorData;
use rmcp::model::{
    GetPromptRequestParams, GetPromptResponse, GetPromptResult, InputRequiredResult, Prompt,
};
use serde_json::{Value, json};

use super::ask::{accepted, elicitation};
use super::content::{image, resource, text};
use super::made;

pub(super) fn list() -> Result<Vec<Prompt>, ErrorData> {
    let argument = |name: &str| json!({ "name": name, "description": "A text.", "required": true });
    let prompt = |name: &str, arguments: Value| json!({ "name": name, "description": "For the suite.", "arguments": arguments });
    made(json!([
        prompt("test_simple_prompt", json!([])),
        prompt("test_prompt_with_arguments", json!([argument("arg1"), argument("arg2")])),
        prompt("test_prompt_with_embedded_resource", json!([argument("resourceUri")])),
        prompt("test_prompt_with_image", json!([])),
        prompt("test_input_required_result_prompt", json!([])),
    ]))
}

pub(super) fn get(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &str| -> Result<&str, ErrorData> {
        let given = request.arguments.as_ref().and_then(|arguments| arguments.get(name));
        given
            .and_then(Value::as_str)
            .ok_or_else(|| ErrorData::invalid_params(format!("{name}: missing"), None))
    };
    let contents = match request.name.as_str() {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (one, two) = (argument("arg1")?, argument("arg2")?);
            vec![text(&format!("Prompt with arguments: arg1='{one}', arg2='{two}'"))]
        }
        "test_prompt_with_embedded_resource" => vec![
            resource(
                argument("resourceUri")?,
                "text/plain",
                "Embedded resource content for testing.",
            ),
            text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image" => vec![image(), text("Please analyze the image above.")],
        "test_input_required_result_prompt" => {
            let Some(context) =
                accepted(request.input_responses.as_ref(), "user_context", "context")
            else {
                let message = "What context should the prompt use?";
                let asked = json!({ "user_context": elicitation(message, "context", "string") });
                return Ok(InputRequiredResult::from_input_requests(made(asked)?).into());
            };
            vec![text(&format!("The context is {context}."))]
        }
        _ => return Err(ErrorData::invalid_params("no such prompt", None)),
    };
    let messages: Vec<Value> =
        contents.iter().map(|content| json!({ "role": "user", "content": content })).collect();
    Ok(GetPromptResult::new(made(json!(messages))?).into())
}

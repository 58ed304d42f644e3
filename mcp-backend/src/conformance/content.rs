//! Pictures, sounds and resources.

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource, ResourceTemplate};
use serde_json::{Value, json};

use super::made;

/// One red pixel.
pub(super) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// The head of a sound, and no sound.
pub(super) const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

pub(super) fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

pub(super) fn image() -> Value {
    json!({ "type": "image", "data": PNG, "mimeType": "image/png" })
}

pub(super) fn resource(uri: &str, mime: &str, text: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": mime, "text": text } })
}

pub(super) fn resources() -> Result<Vec<Resource>, ErrorData> {
    made(json!([
        { "uri": STATIC_TEXT, "name": "static-text", "mimeType": "text/plain",
          "description": "A text that never changes." },
        { "uri": STATIC_BINARY, "name": "static-binary", "mimeType": "image/png",
          "description": "A picture that never changes." },
        { "uri": "test://watched-resource", "name": "watched-resource", "mimeType": "text/plain",
          "description": "One to subscribe to." },
    ]))
}

pub(super) fn templates() -> Result<Vec<ResourceTemplate>, ErrorData> {
    made(json!([
        { "uriTemplate": "test://template/{id}/data", "name": "template",
          "mimeType": "application/json", "description": "Data of an id." },
    ]))
}

pub(super) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let contents = match uri {
        STATIC_TEXT => json!({
            "uri": uri, "mimeType": "text/plain",
            "text": "This is the content of the static text resource.",
        }),
        STATIC_BINARY => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        "test://watched-resource" => json!({ "uri": uri, "mimeType": "text/plain", "text": "." }),
        _ => templated(uri).ok_or_else(|| {
            ErrorData::resource_not_found("no such resource", Some(json!({ "uri": uri })))
        })?,
    };
    Ok(ReadResourceResult::new(made(json!([contents]))?))
}

fn templated(uri: &str) -> Option<Value> {
    let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
    let told =
        json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") }).to_string();
    Some(json!({ "uri": uri, "mimeType": "application/json", "text": told }))
}

const STATIC_TEXT: &str = "test://static-text";
const STATIC_BINARY: &str = "test://static-binary";

//! What `/api/v1` is, for machines: `OpenAPI` 3.1, whose schemas are those of the tools.

use serde_json::{Map, Value, json};

use super::TOOLS;
use crate::offer::Offer;
use crate::tools::scope_of;

pub(super) fn document(offer: &Offer) -> Value {
    let mut paths = Map::new();
    paths.insert("/api/v1/me".into(), read("Who you are to this server.", "Me"));
    paths
        .insert("/api/v1/tools".into(), read("The tools, and which of them you may use.", "Tools"));
    for (name, last) in TOOLS {
        if let Some(path) = path(offer, name) {
            paths.insert(format!("/api/v1/tools/{last}"), path);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The tools of this MCP server, for clients that speak no MCP.",
        },
        "paths": paths,
        "security": [{ "bearer": [] }],
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Error": error(), "Me": me(), "Tools": tools() },
        },
    })
}

fn path(offer: &Offer, name: &str) -> Option<Value> {
    let tool = offer.tool(name)?;
    let result = json!({
        "type": "object", "required": ["result"], "properties": { "result": tool.output_schema },
    });
    let mut responses = Map::new();
    responses.insert("200".into(), described("What came of it.", &result));
    for (status, about) in [
        ("400", "What was asked for cannot be done."),
        ("401", "A token is missing, or does not hold: the proxy's answer."),
        ("403", "The token lacks the scope."),
        ("413", "Too large."),
        ("415", "Not JSON."),
        ("422", "Not the arguments of this tool."),
    ] {
        let error = json!({ "$ref": "#/components/schemas/Error" });
        responses.insert(status.into(), described(about, &error));
    }
    let scopes: Vec<&str> = scope_of(tool).into_iter().collect();
    Some(json!({ "post": {
        "operationId": name,
        "summary": tool.title,
        "description": tool.description,
        "security": [{ "bearer": scopes }],
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": tool.input_schema } },
        },
        "responses": responses,
    }}))
}

fn read(about: &str, schema: &str) -> Value {
    let schema_of = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    json!({ "get": {
        "operationId": schema.to_lowercase(),
        "summary": about,
        "responses": {
            "200": described("It.", &schema_of(schema)),
            "401": described("A token is missing, or does not hold: the proxy's answer.", &schema_of("Error")),
        },
    }})
}

fn described(about: &str, schema: &Value) -> Value {
    json!({ "description": about, "content": { "application/json": { "schema": schema } } })
}

fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": { "type": "string" },
            "error_description": { "type": "string", "description": "For a person." },
        },
    })
}

fn me() -> Value {
    json!({
        "type": "object",
        "required": ["sub", "iss", "client_id", "scopes"],
        "properties": {
            "sub": { "type": "string", "description": "Unique to the issuer." },
            "iss": { "type": "string" },
            "client_id": { "type": ["string", "null"] },
            "scopes": { "type": "array", "items": { "type": "string" } },
        },
    })
}

fn tools() -> Value {
    json!({
        "type": "object",
        "required": ["tools", "user_scopes", "total", "available"],
        "properties": {
            "tools": { "type": "array", "items": {
                "type": "object",
                "required": ["name", "endpoint", "required_scope", "available", "parameters"],
                "properties": {
                    "name": { "type": "string" },
                    "description": { "type": "string" },
                    "endpoint": { "type": "string" },
                    "required_scope": { "type": ["string", "null"] },
                    "available": { "type": "boolean" },
                    "parameters": { "type": "object", "description": "A JSON Schema." },
                },
            }},
            "user_scopes": { "type": "array", "items": { "type": "string" } },
            "total": { "type": "integer" },
            "available": { "type": "integer" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_of_tools_stand_by_themselves() {
        let document = document(&Offer::default());
        for (_, last) in TOOLS {
            let path = &document["paths"][format!("/api/v1/tools/{last}")]["post"];
            let input = &path["requestBody"]["content"]["application/json"]["schema"];
            assert!(input["properties"].is_object(), "{path:#}");
            // A reference would lead to the root of the document, where nothing is.
            assert!(!input.to_string().contains("$ref"), "{input:#}");
            assert!(!path["responses"]["200"].to_string().contains("$ref"), "{path:#}");
        }
    }
}

//! What can be read: `mcp://server/info`.

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource, ResourceContents, SubscriptionFilter};
use serde_json::json;

use crate::offer::Offer;
use crate::tools::scope_of;

pub(crate) fn list() -> Vec<Resource> {
    let info = Resource::new(INFO, "server-info")
        .with_title("About this server")
        .with_description("What this server is called, and which tools it has for which scopes.")
        .with_mime_type(JSON);
    vec![info]
}

pub(crate) fn read(offer: &Offer, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    exists(uri)?;
    let contents = ResourceContents::text(info(offer), uri).with_mime_type(JSON);
    Ok(ReadResourceResult::new(vec![contents]))
}

/// It may be subscribed to, as clients of either era do; it changes only with the process.
pub(crate) fn exists(uri: &str) -> Result<(), ErrorData> {
    if uri == INFO {
        return Ok(());
    }
    Err(ErrorData::resource_not_found("no such resource", Some(json!({ "uri": uri }))))
}

/// What of it can be subscribed to.
pub(crate) fn subscribable(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let uris = requested.resource_subscriptions.iter().flatten();
    let known: Vec<String> = uris.filter(|uri| exists(uri).is_ok()).cloned().collect();
    SubscriptionFilter::builder().resource_subscriptions(known).build()
}

fn info(offer: &Offer) -> String {
    let tools: Vec<_> = offer
        .tools()
        .iter()
        .map(|tool| {
            json!({
                "name": tool.name, "description": tool.description,
                "required_scope": scope_of(tool),
            })
        })
        .collect();
    json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "description": env!("CARGO_PKG_DESCRIPTION"),
        "tools": tools,
    })
    .to_string()
}

const INFO: &str = "mcp://server/info";
const JSON: &str = "application/json";

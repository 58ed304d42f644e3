//! The MCP server itself, whatever it is reached through.
#![expect(deprecated, reason = "SEP-2577: logging is on its way out, and clients still have it")]

use std::sync::Arc;

use http::request::Parts;
use rmcp::handler::server::common::FromContextPart;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    ContentBlock, Extensions, GetPromptRequestParams, GetPromptResponse, Implementation,
    ListPromptsResult, ListResourcesResult, ListToolsResult, LoggingLevel, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool,
    UnsubscribeRequestParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;

use crate::caller::{Caller, Identity};
use crate::messages::Threshold;
use crate::offer::Offer;
use crate::pages::page;
use crate::{prompts, resources};

/// Built for the transport it is reached through, because that decides whom it can believe.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    entrance: Entrance,
    offer: Arc<Offer>,
    messages: Threshold,
}

/// How callers come in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entrance {
    /// Behind the proxy: a caller is who the proxy says, or nobody.
    Http,
    /// A child of its only caller.
    Stdio,
}

impl Backend {
    pub(crate) fn new(entrance: Entrance, offer: Arc<Offer>) -> Self {
        Self { entrance, offer, messages: Threshold::default() }
    }

    pub(crate) fn offer(&self) -> &Offer {
        &self.offer
    }

    fn caller(&self, extensions: &Extensions) -> Result<Caller, ErrorData> {
        match self.entrance {
            Entrance::Stdio => Ok(Caller::Local),
            Entrance::Http => extensions
                .get::<Parts>()
                .and_then(|parts| parts.extensions.get::<Identity>())
                .map(|identity| Caller::Verified(identity.clone()))
                .ok_or_else(|| ErrorData::internal_error("the caller is unknown", None)),
        }
    }
}

/// Lets a tool ask who is calling by naming a [`Caller`] among its arguments.
impl FromContextPart<ToolCallContext<'_, Backend>> for Caller {
    fn from_context_part(call: &mut ToolCallContext<'_, Backend>) -> Result<Self, ErrorData> {
        call.service.caller(&call.request_context.extensions)
    }
}

impl ServerHandler for Backend {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_completions()
            .enable_logging()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(
                env!("CARGO_PKG_NAME"),
                env!("CARGO_PKG_VERSION"),
            ))
            .with_instructions("Call whoami to learn who this server believes you are.")
    }

    // By hand: the generated one tells shared caches that the answer is public.
    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let (tools, next_cursor) = page(self.offer.tools(), request.as_ref())?;
        Ok(ListToolsResult { next_cursor, ..ListToolsResult::with_all_items(tools) })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // No tool runs for nobody, not even one that never asks who is calling.
        let caller = self.caller(&context.extensions)?;
        if let Err(missing) = self.offer.admit(&caller, &request.name) {
            self.messages
                .tell(&context, LoggingLevel::Warning, || json!(missing.to_string()))
                .await;
            let told = vec![ContentBlock::text(missing.to_string())];
            return Ok(CallToolResult::error(told).into());
        }
        self.messages.tell(&context, LoggingLevel::Debug, || json!({ "tool": request.name })).await;
        self.offer.tools.call(ToolCallContext::new(self, request, context)).await
    }

    // rmcp compares a 2026-07-28 request's Mcp-Param-* headers with the schema in here.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.offer.tool(name).cloned()
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let (resources, next_cursor) = page(resources::list(), request.as_ref())?;
        Ok(ListResourcesResult { next_cursor, ..ListResourcesResult::with_all_items(resources) })
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&self.offer, &request.uri).map(Into::into)
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let (prompts, next_cursor) = page(prompts::list(), request.as_ref())?;
        Ok(ListPromptsResult { next_cursor, ..ListPromptsResult::with_all_items(prompts) })
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(&self.offer, &request).map(Into::into)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Ok(prompts::complete(&self.offer, &request))
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.messages.set(request.level);
        Ok(())
    }

    // Before 2026-07-28.
    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        resources::exists(&request.uri)
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        resources::exists(&request.uri)
    }

    // Since 2026-07-28.
    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(resources::subscribable(requested))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Request};
    use rmcp::ServiceExt as _;
    use serde_json::Value;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

    use super::*;

    fn identity() -> Identity {
        let mut headers = HeaderMap::new();
        headers.insert("x-postern-subject", "ada".parse().unwrap());
        headers.insert("x-postern-issuer", "https://id.example".parse().unwrap());
        Identity::from_headers(&headers).unwrap()
    }

    fn http() -> Backend {
        Backend::new(Entrance::Http, Arc::default())
    }

    fn parts() -> Parts {
        Request::new(()).into_parts().0
    }

    #[test]
    fn over_http_the_caller_is_the_identity_of_this_request() {
        let mut parts = parts();
        parts.extensions.insert(identity());
        let mut extensions = Extensions::new();
        extensions.insert(parts);
        assert_eq!(http().caller(&extensions), Ok(Caller::Verified(identity())));
    }

    #[test]
    fn over_http_a_request_without_identity_has_no_caller() {
        let mut extensions = Extensions::new();
        extensions.insert(parts());
        assert!(http().caller(&extensions).is_err());
    }

    #[test]
    fn over_http_a_call_without_a_request_has_no_caller() {
        assert!(http().caller(&Extensions::new()).is_err());
    }

    #[tokio::test]
    async fn over_http_no_tool_runs_for_nobody() {
        let (client, server) = tokio::io::duplex(4096);
        tokio::spawn(async { http().serve(server).await.unwrap().waiting().await });
        let (reader, mut writer) = tokio::io::split(client);
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "echo", "arguments": { "message": "hi" }, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            }},
        });
        writer.write_all(format!("{call}\n").as_bytes()).await.unwrap();
        let answer = BufReader::new(reader).lines().next_line().await.unwrap().unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["error"]["message"], "the caller is unknown", "{answer}");
    }

    #[test]
    fn on_stdio_the_caller_is_local() {
        assert_eq!(
            Backend::new(Entrance::Stdio, Arc::default()).caller(&Extensions::new()),
            Ok(Caller::Local)
        );
    }
}

//! The MCP server itself, whatever it is reached through.

use std::sync::Arc;

use http::request::Parts;
use rmcp::handler::server::common::FromContextPart;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Extensions,
    Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

use crate::caller::{Caller, Identity};
use crate::otus::Otus;
use crate::settings::{Credential, Settings};
use crate::tools::{every_tool, scope_of};

/// Built for the transport it is reached through, because that decides whom it can believe.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    entrance: Entrance,
    offer: Arc<Offer>,
}

/// How callers come in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entrance {
    /// Behind the proxy: a caller is who the proxy says, or nobody.
    Http,
    /// A child of its only caller.
    Stdio,
}

/// What there is for callers, made once.
#[derive(Debug)]
pub struct Offer {
    tools: ToolRouter<Backend>,
    otus: Option<Otus>,
}

impl Default for Offer {
    fn default() -> Self {
        Self::without(every_tool())
    }
}

impl Offer {
    /// What these settings make possible.
    pub fn new(settings: Settings) -> Result<Self, NoOffer> {
        let tools = every_tool();
        match settings.otus {
            Some(otus) => {
                if matches!(otus.credential, Credential::PassthroughUnsafe) {
                    tracing::warn!(
                        "otus.credential: passthrough_unsafe: callers' tokens are shown to Otus, \
                         for which they are not, and Otus can use them here"
                    );
                }
                Ok(Self { tools, otus: Some(Otus::new(otus).map_err(NoOffer)?) })
            }
            None => Ok(Self::without(tools)),
        }
    }

    fn without(mut tools: ToolRouter<Backend>) -> Self {
        tools.remove_route("otus_teams");
        Self { tools, otus: None }
    }

    pub(crate) fn otus(&self) -> Option<&Otus> {
        self.otus.as_ref()
    }

    /// The tool of this name.
    pub(crate) fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    pub(crate) fn tools(&self) -> Vec<Tool> {
        self.tools.list_all()
    }

    /// Whether this caller may use the tool: of this name, if there is such a tool.
    pub(crate) fn admit(&self, caller: &Caller, name: &str) -> Result<(), ScopeMissing> {
        match self.tool(name).and_then(scope_of) {
            Some(scope) if !caller.holds(scope) => {
                Err(ScopeMissing { tool: name.to_owned(), scope: scope.to_owned() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The HTTP client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make an HTTP client: {0}")]
pub struct NoOffer(#[source] reqwest::Error);

/// A caller may not use a tool.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("insufficient_scope: {tool} needs the scope {scope}, which your token does not have")]
pub(crate) struct ScopeMissing {
    tool: String,
    scope: String,
}

impl Backend {
    pub(crate) fn new(entrance: Entrance, offer: Arc<Offer>) -> Self {
        Self { entrance, offer }
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
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(
                env!("CARGO_PKG_NAME"),
                env!("CARGO_PKG_VERSION"),
            ))
            .with_instructions("Call whoami to learn who this server believes you are.")
    }

    // By hand: the generated one tells shared caches that the answer is public.
    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.offer.tools()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // No tool runs for nobody, not even one that never asks who is calling.
        let caller = self.caller(&context.extensions)?;
        if let Err(missing) = self.offer.admit(&caller, &request.name) {
            let told = vec![ContentBlock::text(missing.to_string())];
            return Ok(CallToolResult::error(told).into());
        }
        self.offer.tools.call(ToolCallContext::new(self, request, context)).await
    }

    // rmcp compares a 2026-07-28 request's Mcp-Param-* headers with the schema in here.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.offer.tool(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Request};
    use rmcp::ServiceExt as _;
    use serde_json::{Value, json};
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

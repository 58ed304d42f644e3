//! `otus_teams`: the caller's teams, asked of another API.

use std::time::Duration;

use http::request::Parts;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Json;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::backend::Backend;
use crate::caller::{Caller, FreshToken, Token};
use crate::otus::{Inquiry, Refused};

pub(super) fn router() -> ToolRouter<Backend> {
    Backend::otus_teams_router()
}

#[tool_router(router = otus_teams_router)]
impl Backend {
    #[tool(
        title = "My teams",
        description = "Lists the teams that you are in, as Otus tells them.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = true
        )
    )]
    async fn otus_teams(
        &self,
        caller: Caller,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Teams>, String> {
        let Some(otus) = self.offer().otus() else {
            return Err("this server was not told where Otus is".to_owned());
        };
        let Caller::Verified(identity) = caller else {
            return Err("otus_teams is for callers whom a proxy verified; here is none".to_owned());
        };
        let parts = context.extensions.get::<Parts>();
        let trace = trace(parts);
        let token = parts.and_then(|parts| parts.extensions.get::<Token>());
        let inquiry = Inquiry { identity: &identity, token, trace: &trace };
        // Not before there is a token: once something is told, the answer can no longer be a 401.
        let begun = OnceCell::new();
        let begin = || async { *begun.get_or_init(|| progress(&context, 0.0)).await };
        let asked = tokio::select! {
            asked = otus.teams(inquiry, begin) => asked,
            () = context.ct.cancelled() => return Err("cancelled".to_owned()),
        };
        if asked.is_ok() {
            progress(&context, 1.0).await;
        }
        if asked == Err(Refused::Expired)
            && let Some(fresh) = parts.and_then(|parts| parts.extensions.get::<FreshToken>())
        {
            fresh.demand();
        }
        asked.map(|teams| Json(Teams { teams })).map_err(|refused| refused.to_string())
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Teams {
    /// What Otus answered.
    teams: Value,
}

/// The name that the proxy gave the request, so that one name leads through all logs.
fn trace(parts: Option<&Parts>) -> String {
    let named = parts.and_then(|parts| parts.headers.get("x-correlation-id"));
    let named = named.and_then(|name| name.to_str().ok()).filter(|name| name.len() <= 128);
    named.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

/// Told if the caller wants to know, and waited for no longer than that makes sense: when stdin has
/// ended nobody takes it.
async fn progress(context: &RequestContext<RoleServer>, done: f64) {
    if let Some(token) = context.meta.get_progress_token() {
        let told = ProgressNotificationParam::new(token, done).with_total(1.0);
        let told = context.peer.notify_progress(told);
        drop(tokio::time::timeout(Duration::from_millis(250), told).await);
    }
}

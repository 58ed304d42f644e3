//! `whoami`: whom this server takes the caller for.

use std::collections::BTreeMap;

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Json;
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::Serialize;

use crate::backend::Backend;
use crate::caller::Caller;

pub(super) fn router() -> ToolRouter<Backend> {
    Backend::whoami_router()
}

#[tool_router(router = whoami_router)]
impl Backend {
    #[tool(
        title = "Who am I?",
        description = "Tells whom this server takes you for: an identity that the proxy in front \
                       of it verified, or a local caller on stdio.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    fn whoami(caller: Caller) -> Json<WhoAmI> {
        Json(WhoAmI::from(caller))
    }
}

/// The answer, spelled out rather than derived from [`Caller`]: whatever that learns to carry
/// some day must not come out here by itself.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
// Clients of 2025-11-25 and before demand an object at the root, which `oneOf` alone is not.
#[schemars(extend("type" = "object"))]
enum WhoAmI {
    /// A caller whose token the proxy verified.
    Verified {
        /// Who it is, to the issuer.
        subject: String,
        /// Who says so.
        issuer: String,
        /// The application that calls for the subject.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(extend("type" = "string"))] // left out when unknown, never null
        client_id: Option<String>,
        /// What the token allows.
        scopes: Vec<String>,
        /// What else the proxy was told to say of callers.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        claims: BTreeMap<String, String>,
    },
    /// Whoever started this server as a child process.
    Local,
}

impl From<Caller> for WhoAmI {
    fn from(caller: Caller) -> Self {
        match caller {
            Caller::Local => Self::Local,
            Caller::Verified(identity) => Self::Verified {
                subject: identity.subject().to_owned(),
                issuer: identity.issuer().to_owned(),
                client_id: identity.client_id().map(str::to_owned),
                scopes: identity.scopes().to_vec(),
                claims: identity.claims().clone(),
            },
        }
    }
}

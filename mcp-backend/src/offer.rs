//! What there is for callers.

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::Tool;

use crate::backend::Backend;
use crate::caller::Caller;
use crate::conformance::Shared;
use crate::door::Door;
use crate::otus::Otus;
use crate::settings::{Credential, Settings};
use crate::tools::{every_tool, scope_of};

/// What there is for callers, made once.
#[derive(Debug)]
pub struct Offer {
    pub(crate) tools: ToolRouter<Backend>,
    otus: Option<Otus>,
    door: Door,
    /// Instead of all else.
    fixtures: Option<Shared>,
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
        let door = Door::new(settings.assertion, settings.unverified).map_err(NoOffer)?;
        match settings.otus {
            Some(otus) => {
                if matches!(otus.credential, Credential::PassthroughUnsafe) {
                    tracing::warn!(
                        "otus.credential: passthrough_unsafe: callers' tokens are shown to Otus, \
                         for which they are not, and Otus can use them here"
                    );
                }
                Ok(Self {
                    tools,
                    otus: Some(Otus::new(otus).map_err(NoOffer)?),
                    door,
                    fixtures: None,
                })
            }
            None => Ok(Self { door, ..Self::without(tools) }),
        }
    }

    fn without(mut tools: ToolRouter<Backend>) -> Self {
        tools.remove_route("otus_teams");
        Self { tools, otus: None, door: Door::default(), fixtures: None }
    }

    /// What the conformance suite wants to find, instead of all else.
    #[must_use]
    pub fn for_conformance() -> Self {
        Self { fixtures: Some(Shared::default()), ..Self::default() }
    }

    pub(crate) fn fixtures(&self) -> Option<Shared> {
        self.fixtures.clone()
    }

    pub(crate) fn door(&self) -> &Door {
        &self.door
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

impl ScopeMissing {
    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }
}

//! What is allowed and what is denied.

use std::sync::Arc;

use super::scopes::Scopes;
use super::uri;
use crate::config::{self, Over, Pattern, Rule, Scope};
use crate::pipeline::call::{Act, Target};
use crate::pipeline::token::Principal;

/// The rules of one resource.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) scopes: Scopes,
    allow: Box<[Rule]>,
    deny: Box<[Rule]>,
    reads_calls: bool,
    has_shadows: bool,
    /// Whether what a resource is called decides anything.
    names_resources: bool,
    unnamed: Arc<str>,
    unclear: Arc<str>,
}

/// Which rules count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Enforced {
    shadows: bool,
}

impl Enforced {
    /// Those that are in force.
    pub(super) const ONLY: Self = Self { shadows: false };
    /// Those in shadow as well.
    pub(super) const AND_SHADOWS: Self = Self { shadows: true };

    pub(super) fn counts(self, shadow: bool) -> bool {
        self.shadows || !shadow
    }
}

/// Why not, and which rule says so; none if it is the scopes that everything needs.
#[derive(Clone, Debug)]
pub(super) enum No {
    /// More scopes would help.
    Scopes(Option<Arc<str>>),
    /// Nothing would.
    Denied(Arc<str>),
}

impl Rules {
    pub(super) fn new(base: &[Scope], policy: &config::Policy) -> Self {
        let rules = || policy.allow.iter().chain(&policy.deny);
        let overs = || {
            let needs = policy.scopes.iter().map(|need| &need.over);
            needs.chain(rules().map(|rule| &rule.over))
        };
        let names_resources =
            |over: &Over| matches!(over, Over::Targets(targets) if !targets.resources.is_empty());
        Self {
            scopes: Scopes::new(base, policy),
            allow: policy.allow.clone().into(),
            deny: policy.deny.clone().into(),
            reads_calls: overs().any(|over| *over != Over::Everything),
            has_shadows: rules().any(|rule| rule.shadow)
                || policy.scopes.iter().any(|need| need.shadow),
            names_resources: overs().any(names_resources),
            unnamed: "default".into(),
            unclear: "unclear-uri".into(),
        }
    }

    /// Whether anything depends on what a request calls.
    pub(super) fn read_calls(&self) -> bool {
        self.reads_calls
    }

    /// May they do all of this? And if so, which rule in shadow would not have let them.
    pub(super) fn judge(
        &self,
        principal: &Principal,
        acts: &[Act<'_>],
    ) -> Result<Option<Arc<str>>, No> {
        let all = |enforced| acts.iter().try_for_each(|act| self.check(principal, act, enforced));
        all(Enforced::ONLY)?;
        if !self.has_shadows {
            return Ok(None);
        }
        Ok(match all(Enforced::AND_SHADOWS) {
            Ok(()) | Err(No::Scopes(None)) => None,
            Err(No::Scopes(Some(rule)) | No::Denied(rule)) => Some(rule),
        })
    }

    fn check(&self, principal: &Principal, act: &Act<'_>, enforced: Enforced) -> Result<(), No> {
        if let Some(Target::Resource(uri)) = act.target
            && self.names_resources
            && !uri::is_clear(uri)
        {
            return Err(No::Denied(Arc::clone(&self.unclear)));
        }
        let counted = |rule: &&Rule| enforced.counts(rule.shadow);
        if let Some(rule) = self.deny.iter().filter(counted).find(|rule| covers(&rule.over, act)) {
            return Err(No::Denied(Arc::clone(&rule.name)));
        }
        let mut allow = self.allow.iter().filter(counted).peekable();
        // Whoever may do anything at all may begin, end and listen.
        if allow.peek().is_some() && !allow.any(|rule| act.is_plumbing() || covers(&rule.over, act))
        {
            return Err(No::Denied(Arc::clone(&self.unnamed)));
        }
        // Last, so that nobody is sent for scopes that would not help.
        self.scopes.check(principal, act, enforced).map_err(|rule| No::Scopes(rule.map(Arc::clone)))
    }
}

/// Whether a rule is about this.
pub(super) fn covers(over: &Over, act: &Act<'_>) -> bool {
    let fits = |patterns: &[Pattern], name| patterns.iter().any(|pattern| pattern.fits(name));
    match (over, act.target) {
        (Over::Everything, _) => true,
        (Over::Methods(methods), _) => fits(methods, act.method),
        (Over::Targets(targets), Some(Target::Tool(name))) => fits(&targets.tools, name),
        (Over::Targets(targets), Some(Target::Prompt(name))) => fits(&targets.prompts, name),
        (Over::Targets(targets), Some(Target::Resource(uri))) => fits(&targets.resources, uri),
        (Over::Targets(_), None) => false,
    }
}

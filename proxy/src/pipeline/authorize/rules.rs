//! What is allowed and what is denied.

use std::sync::Arc;

use super::facts::{Facts, Failed, Setting};
use super::scopes::Scopes;
use super::uri;
use crate::config::{self, Condition, Lists, OfCall, Over, Pattern, Rule, Scope};
use crate::pipeline::call::{Act, Target};
use crate::pipeline::token::Principal;

/// The rules of one resource.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) scopes: Scopes,
    allow: Box<[Rule]>,
    deny: Box<[Rule]>,
    lists: Lists,
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
    /// A condition was neither true nor false.
    Failed(Arc<str>),
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
            lists: policy.lists,
            reads_calls: policy.reads_calls(),
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

    /// Whether callers hear of less than there is.
    pub(super) fn cut_lists(&self) -> bool {
        self.reads_calls && self.lists != Lists::All
    }

    /// Whether a caller hears of what this is done with. How it would be done is not known yet, so that
    /// what depends on it counts for the best.
    pub(super) fn show(&self, setting: &Setting<'_>, act: &Act<'_>) -> bool {
        let facts = Facts::new(setting, act);
        let enforced = Enforced::ONLY;
        let judgement = Judgement { rules: self, facts, act, enforced, arguments: Arguments::Open };
        match judgement.check(setting.principal) {
            Ok(_) => true,
            Err(No::Scopes(_)) => self.lists == Lists::Obtainable,
            Err(No::Denied(_) | No::Failed(_)) => false,
        }
    }

    /// May they do all of this? And what there is to tell, if so.
    pub(super) fn judge(&self, setting: &Setting<'_>, acts: &[Act<'_>]) -> Result<Passed, No> {
        let all = |enforced| {
            acts.iter().try_fold(Passed::default(), |passed, act| {
                let facts = Facts::new(setting, act);
                let judgement =
                    Judgement { rules: self, facts, act, enforced, arguments: Arguments::Known };
                let failed = judgement.check(setting.principal)?;
                Ok(Passed { failed: passed.failed.or(failed), shadow: None })
            })
        };
        let passed = all(Enforced::ONLY)?;
        let shadow = match self.has_shadows.then(|| all(Enforced::AND_SHADOWS)) {
            None | Some(Ok(_) | Err(No::Scopes(None))) => None,
            Some(Err(No::Scopes(Some(rule)) | No::Denied(rule) | No::Failed(rule))) => Some(rule),
        };
        Ok(Passed { shadow, ..passed })
    }
}

/// What there is to tell of something that may be done.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Which rule in shadow would not have let it.
    pub(super) shadow: Option<Arc<str>>,
    /// Which rule's condition was none, though another rule allowed it.
    pub(super) failed: Option<Arc<str>>,
}

/// One act, before the rules.
struct Judgement<'a> {
    rules: &'a Rules,
    facts: Facts<'a>,
    act: &'a Act<'a>,
    enforced: Enforced,
    arguments: Arguments,
}

/// Whether it is known with which arguments something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arguments {
    Known,
    Open,
}

impl Judgement<'_> {
    /// Returns the rule whose condition failed and did not matter.
    fn check(&self, principal: &Principal) -> Result<Option<Arc<str>>, No> {
        if let Some(Target::Resource(uri)) = self.act.target
            && self.rules.names_resources
            && !uri::is_clear(uri)
        {
            return Err(No::Denied(Arc::clone(&self.rules.unclear)));
        }
        for rule in self.counted(&self.rules.deny).filter(|rule| covers(&rule.over, self.act)) {
            if self.arguments == Arguments::Open && rule.when.iter().any(reads_arguments) {
                continue;
            }
            match self.holds(rule, |_| true) {
                Ok(true) => return Err(No::Denied(Arc::clone(&rule.name))),
                Ok(false) => (),
                Err(Failed) => return Err(No::Failed(Arc::clone(&rule.name))),
            }
        }
        let failed = self.check_allowed()?;
        // Last, so that nobody is sent for scopes that would not help.
        let scopes = self.rules.scopes.check(principal, self.act, self.enforced);
        scopes.map_err(|rule| No::Scopes(rule.map(Arc::clone)))?;
        Ok(failed)
    }

    fn check_allowed(&self) -> Result<Option<Arc<str>>, No> {
        let mut rules = self.counted(&self.rules.allow).peekable();
        if rules.peek().is_none() {
            return Ok(None);
        }
        let mut failed = None;
        for rule in rules {
            let holds = if matches!(&rule.over, Over::Methods(_)) && covers(&rule.over, self.act) {
                self.holds(rule, |_| true)
            } else if self.act.is_plumbing() {
                // Whoever may do anything at all may begin, end and listen: what it is will be asked then.
                self.holds(rule, |condition| condition.reads().call == OfCall::Nothing)
            } else if covers(&rule.over, self.act) {
                self.holds(rule, |_| true)
            } else {
                continue;
            };
            match holds {
                Ok(true) => return Ok(failed),
                Ok(false) => (),
                Err(Failed) => failed = failed.or_else(|| Some(Arc::clone(&rule.name))),
            }
        }
        Err(failed.map_or_else(|| No::Denied(Arc::clone(&self.rules.unnamed)), No::Failed))
    }

    fn counted<'r>(&self, rules: &'r [Rule]) -> impl Iterator<Item = &'r Rule> {
        let enforced = self.enforced;
        rules.iter().filter(move |rule| enforced.counts(rule.shadow))
    }

    /// Whether all of a rule's conditions hold that are `asked`.
    fn holds(&self, rule: &Rule, asked: impl Fn(&Condition) -> bool) -> Result<bool, Failed> {
        let can_be_asked = |condition: &&Condition| {
            asked(condition) && (self.arguments == Arguments::Known || !reads_arguments(condition))
        };
        let mut conditions = rule.when.iter().filter(can_be_asked);
        let first_that_is_not_met =
            conditions.find_map(|condition| match self.facts.meet(condition) {
                Ok(true) => None,
                no => Some(no),
            });
        first_that_is_not_met.unwrap_or(Ok(true))
    }
}

fn reads_arguments(condition: &Condition) -> bool {
    condition.reads().call == OfCall::Arguments
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

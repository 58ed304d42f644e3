//! Which scopes a call needs, and which a client should ask for.

use std::sync::Arc;

use super::rules::{Enforced, covers};
use crate::config::{self, Over, Scope};
use crate::pipeline::call::Act;
use crate::pipeline::token::Principal;

/// The scopes of one resource: those that everything needs, and those of some calls.
#[derive(Debug)]
pub(super) struct Scopes {
    base: Box<[Wanted]>,
    needs: Box<[Need]>,
}

#[derive(Debug)]
struct Need {
    name: Arc<str>,
    over: Over,
    all: Box<[Wanted]>,
    any: Box<[Wanted]>,
    shadow: bool,
}

/// A scope, and those that stand for it: itself, and every broader one.
#[derive(Debug)]
struct Wanted {
    scope: Scope,
    by: Box<[Scope]>,
}

impl Wanted {
    fn is_held_by(&self, principal: &Principal) -> bool {
        self.by.iter().any(|scope| principal.has_scope(scope.as_str()))
    }

    fn is_among(&self, chosen: &[&Self]) -> bool {
        chosen.iter().any(|one| self.by.contains(&one.scope))
    }
}

impl Scopes {
    pub(super) fn new(base: &[Scope], policy: &config::Policy) -> Self {
        let wanted =
            |scope: &Scope| Wanted { scope: scope.clone(), by: policy.standing_for(scope).into() };
        let need = |need: &config::Need| Need {
            name: Arc::clone(&need.name),
            over: need.over.clone(),
            all: need.all.iter().map(wanted).collect(),
            any: need.any.iter().map(wanted).collect(),
            shadow: need.shadow,
        };
        Self {
            base: base.iter().map(wanted).collect(),
            needs: policy.scopes.iter().map(need).collect(),
        }
    }

    /// Whether the token has all that the call needs; else which rule says that it has not.
    pub(super) fn check(
        &self,
        principal: &Principal,
        act: &Act<'_>,
        enforced: Enforced,
    ) -> Result<(), Option<&Arc<str>>> {
        if !self.base.iter().all(|scope| scope.is_held_by(principal)) {
            return Err(None);
        }
        let lacking = self.needed(act, enforced).find(|need| {
            let has = |scope: &Wanted| scope.is_held_by(principal);
            !need.all.iter().all(has) || !(need.any.is_empty() || need.any.iter().any(has))
        });
        lacking.map_or(Ok(()), |need| Err(Some(&need.name)))
    }

    /// The fewest scopes that would do for these calls, of those that the rules name; of several such
    /// sets the one of which the token has the most.
    pub(super) fn smallest(&self, principal: &Principal, acts: &[Act<'_>]) -> Vec<&Scope> {
        let needs = || acts.iter().flat_map(|act| self.needed(act, Enforced::ONLY));
        let fixed: Vec<&Wanted> =
            self.base.iter().chain(needs().flat_map(|need| need.all.iter())).collect();
        let choices = needs().map(|need| &need.any).filter(|any| !any.is_empty());
        let open: Vec<&[Wanted]> = choices
            .filter(|any| !any.iter().any(|scope| scope.is_among(&fixed)))
            .map(|any| &**any)
            .collect();
        let sets = combinations(&open).map(|picked| narrowed(&fixed, picked));
        let best = sets.min_by_key(|set| {
            let lacking = set.iter().filter(|scope| !scope.is_held_by(principal)).count();
            (set.len(), lacking)
        });
        best.unwrap_or_default().into_iter().map(|wanted| &wanted.scope).collect()
    }

    fn needed(&self, act: &Act<'_>, enforced: Enforced) -> impl Iterator<Item = &Need> {
        self.needs
            .iter()
            .filter(move |need| enforced.counts(need.shadow) && covers(&need.over, act))
    }
}

/// One scope of each choice, in every way; of too many choices only the first ways.
fn combinations<'w>(choices: &[&'w [Wanted]]) -> impl Iterator<Item = Vec<&'w Wanted>> {
    let ways = choices.iter().map(|choice| choice.len()).fold(1, usize::saturating_mul);
    (0..ways.min(MOST_WAYS)).map(move |mut way| {
        let pick = |choice: &&'w [Wanted]| {
            let picked = choice.get(way % choice.len().max(1));
            way /= choice.len().max(1);
            picked
        };
        choices.iter().filter_map(pick).collect()
    })
}

/// All of them, without those that another one stands for.
fn narrowed<'w>(fixed: &[&'w Wanted], picked: Vec<&'w Wanted>) -> Vec<&'w Wanted> {
    let mut all: Vec<&Wanted> = Vec::new();
    for wanted in fixed.iter().copied().chain(picked) {
        if !wanted.is_among(&all) {
            all.retain(|other| !other.is_among(&[wanted]));
            all.push(wanted);
        }
    }
    all
}

const MOST_WAYS: usize = 4096;

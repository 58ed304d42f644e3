//! Who may call what.

use std::sync::Arc;

use super::Scope;
use super::condition::{Claimed, Condition, OfCall};

/// The rules of one resource, besides the scopes that all its requests need.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Scopes that stand for others as well.
    pub implies: Vec<(Scope, Vec<Scope>)>,
    /// Which calls need which further scopes.
    pub scopes: Vec<Need>,
    /// Once there is one, what none allows is refused.
    pub allow: Vec<Rule>,
    /// They win.
    pub deny: Vec<Rule>,
    /// What callers hear of what there is.
    pub lists: Lists,
}

/// Which tools, prompts and resources stand in the lists that a caller gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lists {
    /// Those that may be used with this very token.
    #[default]
    Usable,
    /// Those, too, for which only scopes are lacking, so that clients can ask for more.
    Obtainable,
    /// Whatever the server lists.
    All,
}

impl Policy {
    /// The scope itself, and all that stand for it.
    pub fn standing_for(&self, scope: &Scope) -> Vec<Scope> {
        standing_for(scope, &self.implies)
    }

    /// Every tool that a rule names, or a pattern of several.
    pub fn tools(&self) -> impl Iterator<Item = &Pattern> {
        let needs = self.scopes.iter().map(|need| &need.over);
        let rules = self.allow.iter().chain(&self.deny).map(|rule| &rule.over);
        needs.chain(rules).flat_map(|over| match over {
            Over::Targets(targets) => targets.tools.as_slice(),
            Over::Everything | Over::Methods(_) => &[],
        })
    }

    /// Whether anything depends on what a request calls.
    pub fn reads_calls(&self) -> bool {
        let rules = || self.allow.iter().chain(&self.deny);
        let needs = self.scopes.iter().map(|need| &need.over);
        let mut overs = needs.chain(rules().map(|rule| &rule.over));
        let mut conditions = rules().flat_map(|rule| &rule.when);
        overs.any(|over| *over != Over::Everything)
            || conditions.any(|condition| condition.reads().call != OfCall::Nothing)
    }

    /// What of a token must be kept for its conditions.
    pub fn claims(&self) -> Claimed {
        let rules = self.allow.iter().chain(&self.deny);
        let conditions = rules.flat_map(|rule| &rule.when);
        conditions.fold(Claimed::default(), |all, one| all.and(&one.reads().claims))
    }
}

pub(super) fn standing_for(scope: &Scope, implies: &[(Scope, Vec<Scope>)]) -> Vec<Scope> {
    let mut found = vec![scope.clone()];
    let mut next = 0;
    while let Some(narrow) = found.get(next).cloned() {
        for (broad, meant) in implies {
            if meant.contains(&narrow) && !found.contains(broad) {
                found.push(broad.clone());
            }
        }
        next += 1;
    }
    found
}

/// Scopes that some calls need.
#[derive(Clone, Debug)]
pub struct Need {
    /// What logs call it.
    pub name: Arc<str>,
    /// Which calls.
    pub over: Over,
    /// Each of these.
    pub all: Vec<Scope>,
    /// And one of these, if there are any.
    pub any: Vec<Scope>,
    /// Whether it is only told what it would have refused.
    pub shadow: bool,
}

/// Something that is allowed or denied.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What logs call it.
    pub name: Arc<str>,
    /// Which calls.
    pub over: Over,
    /// If all of these hold.
    pub when: Vec<Condition>,
    /// Whether it is only told what it would have refused.
    pub shadow: bool,
}

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// Every request.
    Everything,
    /// Requests by these methods, whatever they name.
    Methods(Vec<Pattern>),
    /// Requests that name one of these.
    Targets(Targets),
}

/// Things that can be named in a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// By name.
    pub tools: Vec<Pattern>,
    /// By name.
    pub prompts: Vec<Pattern>,
    /// By URI.
    pub resources: Vec<Pattern>,
}

/// A name, or several: `*` stands for any characters, also for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for `name`. Takes no longer than the product of both lengths.
    pub fn fits(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        // The first place for each part is the best one: it leaves the most room for those that follow.
        for part in parts {
            match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_does() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "anything at all"),
            ("get_*", "get_"),
            ("get_*", "get_weather"),
            ("*_all", "delete_all"),
            ("a*b*c", "abc"),
            ("a*b*c", "axxbxbxc"),
            ("a*a", "aa"),
            ("file:///docs/*", "file:///docs/a/b"),
            ("a.b", "a.b"),
            ("a**b", "ab"),
        ] {
            assert!(Pattern::new(pattern).fits(name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("get_*", "forget_"),
            ("get_*", "Get_weather"),
            ("*_all", "delete_all2"),
            ("a*b*c", "acb"),
            ("a*a", "a"),
            ("ab*ab", "aba"),
            ("a.b", "axb"),
            ("a?", "ab"),
            ("a", ""),
            ("", "a"),
        ] {
            assert!(!Pattern::new(pattern).fits(name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::new(&"a*".repeat(1000));
        assert!(!pattern.fits(&"a".repeat(999)));
        assert!(pattern.fits(&"a".repeat(100_000)));
    }
}

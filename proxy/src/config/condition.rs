//! Conditions of rules, in CEL (the Common Expression Language).

mod cost;
mod survey;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cel::{Env, Program};

use super::invalid::Wrong;
use cost::Cost;
use survey::Survey;

/// An expression that is known to read nothing but what there is, and what it costs.
#[derive(Clone)]
pub struct Condition(Arc<Compiled>);

struct Compiled {
    environment: Arc<Env>,
    program: Program,
    reads: Reads,
    cost: Cost,
}

/// What a condition looks at.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    /// Claims of the token.
    pub claims: Claimed,
    /// The call.
    pub call: OfCall,
    /// Who calls.
    pub principal: bool,
    /// The request that it came in.
    pub request: bool,
}

/// How much of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OfCall {
    /// It is the same for every call.
    #[default]
    Nothing,
    /// What it names.
    Names,
    /// And its arguments.
    Arguments,
}

/// Some of a token's claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// These.
    Only(BTreeSet<String>),
    /// Whatever it says.
    All,
}

impl Default for Claimed {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl Claimed {
    /// These and those.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(mut names), Self::Only(more)) => {
                names.extend(more.iter().cloned());
                Self::Only(names)
            }
            (Self::All, _) | (_, Self::All) => Self::All,
        }
    }
}

impl Condition {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        if text.len() > LONGEST {
            let reason = format!("it is longer than {LONGEST} bytes");
            return Err(Wrong::new(reason, "make several rules of it"));
        }
        if deepest(text) > DEEPEST {
            return Err(Wrong::new("its brackets are nested too deep", "make several rules of it"));
        }
        let environment = Env::stdlib().with_optional_support(false);
        let program = environment.compile(text).map_err(|errors| {
            let first = errors.errors.first();
            let told = first.map_or_else(String::new, |error| {
                format!(" at {}:{}: {}", error.pos.0, error.pos.1, error.msg)
            });
            Wrong::new(
                format!("not an expression{told}"),
                "write CEL, for example 'a' in claims.groups",
            )
        })?;
        let (reads, cost) = Survey::of(program.expression())?;
        if !cost.is_bounded() {
            let reason = "its loops are nested so deep that a token could keep it busy";
            return Err(Wrong::new(reason, "nest no more than two of all, exists, map and filter"));
        }
        Ok(Self(Arc::new(Compiled { environment: Arc::new(environment), program, reads, cost })))
    }

    /// What it is evaluated in.
    pub fn environment(&self) -> &Arc<Env> {
        &self.0.environment
    }

    /// The expression.
    pub fn program(&self) -> &Program {
        &self.0.program
    }

    /// What it looks at.
    pub fn reads(&self) -> &Reads {
        &self.0.reads
    }

    /// How many steps it takes at most, where no list or table has more than `widest` entries.
    pub fn steps(&self, widest: usize) -> u64 {
        self.0.cost.at(widest)
    }
}

/// How deep brackets are nested; those in texts count as well.
fn deepest(text: &str) -> usize {
    let mut depth: usize = 0;
    let step = |byte| {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => (),
        }
        depth
    };
    text.bytes().map(step).max().unwrap_or_default()
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.0.reads)
    }
}

/// What reads an expression goes down with it, and has only so much stack.
const LONGEST: usize = 1024;
const DEEPEST: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str) -> Reads {
        Condition::parse(text).unwrap().reads().clone()
    }

    #[track_caller]
    fn refuses(text: &str, why: &str) {
        let wrong = Condition::parse(text).expect_err(text);
        assert!(format!("{wrong:?}").contains(why), "{text}: {wrong:?}");
    }

    #[test]
    fn what_a_condition_reads_is_known() {
        let only = |names: &[&str]| Claimed::Only(names.iter().map(|&name| name.into()).collect());
        assert_eq!(
            reads("has(payload.email) && claims['a b'] == 1").claims,
            only(&["a b", "email"])
        );
        assert_eq!(reads("claims.a.b.exists(x, x == claims.c)").claims, only(&["a", "c"]));
        assert_eq!(reads("size(claims) > 3").claims, Claimed::All);
        assert_eq!(reads("claims[principal.subject] == 1").claims, Claimed::All);
        assert_eq!(reads("principal.subject == 'a'").claims, only(&[]));
        let named = reads("mcp.tool == 'a'");
        assert!(named.call == OfCall::Names && !named.request && !named.principal);
        assert!(reads("mcp.arguments.path == 'a'").call == OfCall::Arguments);
        assert!(reads("mcp['arguments'].path == 'a'").call == OfCall::Arguments);
        assert!(reads("size(mcp) == 1").call == OfCall::Arguments);
        assert!(reads("'a' in request.headers['x-a']").request);
        assert!(reads("size(principal) == 1").principal);
        // A loop may call its own things what it likes.
        assert_eq!(reads("[{'tool': 'a'}].exists(mcp, mcp.x == 'a')").claims, only(&[]));
        assert!(reads("[1].exists(payload, payload == 1)").call == OfCall::Nothing);
    }

    #[test]
    fn what_is_not_there_is_told_at_once() {
        refuses("payload.", "not an expression at 1:");
        refuses("", "not an expression");
        refuses("payload.email.endswith('x')", "there is no function \\\"endswith\\\" here");
        refuses("payload.email.matches('(a+)+$')", "there is no function");
        refuses("timestamp('2026-01-01T00:00:00Z') == 1", "there is no function");
        refuses("optional.of(1).hasValue()", "there is no");
        refuses("payload.?email", "not an expression");
        refuses("user.name == 'a'", "there is no variable \\\"user\\\" here");
        refuses("x == 1 && [1].exists(x, x == 1)", "there is no variable");
        refuses("mcp.tol == 'a'", "mcp has no \\\"tol\\\"");
        refuses("request['headrs'] == 'a'", "request has no");
        refuses("Some{a: 1} == 1", "cannot be made here");
        refuses(&"a".repeat(1025), "longer than 1024 bytes");
    }

    #[test]
    fn a_condition_knows_what_it_costs() {
        let steps = |text: &str, widest| Condition::parse(text).unwrap().steps(widest);
        assert_eq!(steps("'a' == 'b'", 1000), steps("'a' == 'b'", 1));
        let typical = "payload.groups.exists(group, group in ['admin', 'editor'])";
        assert!(steps(typical, 300) < 6_000, "{}", steps(typical, 300));
        assert!(steps("payload.a.exists(x, x in payload.b)", 1000) > 1_000_000);
        let deep = "payload.a.all(a, payload.a.all(b, payload.a.all(c, payload.a.all(d, true))))";
        refuses(deep, "nested so deep");
        // A list that is written out has no more entries than that.
        assert!(steps("[1, 2].all(a, [1, 2].all(b, a < b))", usize::MAX) < 1_000);
    }

    #[test]
    fn no_expression_is_so_deep_that_it_breaks_what_walks_through_it() {
        let nested = |open: &str, core: &str, close: &str| {
            let times = (LONGEST - core.len()) / (open.len() + close.len());
            format!("{}{core}{}", open.repeat(times), close.repeat(times))
        };
        for text in [
            nested("!", "true", ""),
            nested("-", "1 == 1", ""),
            nested("- ", "1 == 1", ""),
            nested("", "payload", ".a"),
            nested("", "payload", "[0]"),
            nested("[", "", "]"),
            nested("(", "1", ")"),
            nested("", "true", "||true"),
            nested("", "1 == 1", "+1"),
            nested("true?true:", "true", ""),
            nested("true?", "true", ":true"),
            nested("size(", "1", ")"),
            nested("{1:", "1", "}"),
            nested("[1].all(x,", "true", ")"),
        ] {
            assert!(text.len() > 900 && text.len() <= LONGEST, "{} {text}", text.len());
            let Ok(condition) = Condition::parse(&text) else { continue };
            let mut context = cel::Context::with_env(Arc::clone(condition.environment()));
            context.add_variable_from_value("payload", true);
            drop(condition.program().execute(&context));
        }
    }
}

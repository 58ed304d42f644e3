//! What an expression reads, calls and costs: found out by walking through it once.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr};

use super::cost::Cost;
use super::{Claimed, OfCall, Reads};
use crate::config::invalid::Wrong;

/// What was met so far, and the names that loops have given.
pub(super) struct Survey<'e> {
    reads: Reads,
    given: Vec<&'e str>,
    depth: usize,
}

impl<'e> Survey<'e> {
    pub(super) fn of(expression: &'e IdedExpr) -> Result<(Reads, Cost), Wrong> {
        let mut survey = Self { reads: Reads::default(), given: Vec::new(), depth: 0 };
        let cost = survey.walk(expression)?;
        Ok((survey.reads, cost))
    }

    fn walk(&mut self, at: &'e IdedExpr) -> Result<Cost, Wrong> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Wrong::new("it is nested too deep", "make several conditions of it"));
        }
        let cost = self.part(at);
        self.depth -= 1;
        cost
    }

    fn part(&mut self, at: &'e IdedExpr) -> Result<Cost, Wrong> {
        match &at.expr {
            Expr::Literal(_) => Ok(Cost::ONE),
            Expr::Ident(name) => self.whole(name).map(|()| Cost::ONE),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.repeat(comprehension),
            Expr::List(list) => self.all(&list.elements),
            Expr::Map(map) => {
                let mut cost = Cost::ONE;
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { return Err(odd()) };
                    cost = cost.plus(self.walk(&entry.key)?).plus(self.walk(&entry.value)?);
                }
                Ok(cost)
            }
            Expr::Struct(_) | Expr::Unspecified => Err(odd()),
        }
    }

    fn all(&mut self, parts: &'e [IdedExpr]) -> Result<Cost, Wrong> {
        parts.iter().try_fold(Cost::ONE, |sum, part| Ok(sum.plus(self.walk(part)?)))
    }

    fn select(&mut self, select: &'e SelectExpr) -> Result<Cost, Wrong> {
        match self.variable(&select.operand) {
            Some(name) => self.field(name, &select.field).map(|()| Cost::of(2)),
            None => self.walk(&select.operand).map(|cost| cost.plus(Cost::ONE)),
        }
    }

    fn call(&mut self, call: &'e CallExpr) -> Result<Cost, Wrong> {
        let name = call.func_name.as_str();
        if !OPERATORS.contains(&name) && !NAMED.contains(&name) {
            let fix = format!("use one of: {}", NAMED.join(", "));
            return Err(Wrong::new(format!("there is no function {name:?} here"), fix));
        }
        if let ("_[_]", [of, key]) = (call.func_name.as_str(), &*call.args)
            && let Some(name) = self.variable(of)
            && let Expr::Literal(LiteralValue::String(key)) = &key.expr
        {
            return self.field(name, key.inner()).map(|()| Cost::of(2));
        }
        let mut cost = self.all(&call.args)?;
        if let Some(target) = &call.target {
            cost = cost.plus(self.walk(target)?);
        }
        // To look through something, or to compare it with something, is to go through it.
        Ok(match (call.func_name.as_str(), &*call.args) {
            ("@in", [_, whole]) => cost.plus(length(whole)),
            ("_==_" | "_!=_", [one, other]) if !is_small(one) && !is_small(other) => {
                cost.plus(Cost::EACH)
            }
            ("_+_", [one, other]) if !is_small(one) && !is_small(other) => {
                cost.plus(length(one)).plus(length(other))
            }
            _ => cost,
        })
    }

    fn repeat(&mut self, loop_: &'e ComprehensionExpr) -> Result<Cost, Wrong> {
        let range = self.walk(&loop_.iter_range)?;
        let start = self.walk(&loop_.accu_init)?;
        let before = self.given.len();
        self.given.push(&loop_.accu_var);
        self.given.push(&loop_.iter_var);
        self.given.extend(loop_.iter_var2.as_deref());
        let step = self.walk(&loop_.loop_cond)?.plus(self.walk(&loop_.loop_step)?);
        let result = self.walk(&loop_.result)?;
        self.given.truncate(before);
        let steps = length(&loop_.iter_range).times(step);
        Ok(range.plus(start).plus(steps).plus(result).plus(Cost::ONE))
    }

    /// The variable of ours that this is, unless a loop has given its name to something else.
    fn variable(&self, at: &'e IdedExpr) -> Option<&'e str> {
        let Expr::Ident(name) = &at.expr else { return None };
        let name = name.trim_start_matches('.');
        let is_ours = VARIABLES.contains(&name) && !self.given.contains(&name);
        is_ours.then_some(name)
    }

    /// A name that stands alone: all that it stands for is read.
    fn whole(&mut self, name: &str) -> Result<(), Wrong> {
        let name = name.trim_start_matches('.');
        if self.given.contains(&name) || TYPES.contains(&name) {
            return Ok(());
        }
        match name {
            "claims" | "payload" => self.reads.claims = Claimed::All,
            "principal" => self.reads.principal = true,
            "request" => self.reads.request = true,
            "mcp" => self.reads.call = OfCall::Arguments,
            _ => {
                let fix = format!("use one of: {}", VARIABLES.join(", "));
                return Err(Wrong::new(format!("there is no variable {name:?} here"), fix));
            }
        }
        Ok(())
    }

    fn field(&mut self, variable: &str, field: &str) -> Result<(), Wrong> {
        let fields: &[&str] = match variable {
            "principal" => &PRINCIPAL,
            "request" => &REQUEST,
            "mcp" => &MCP,
            // What a token says is its issuer's business.
            _ => {
                if let Claimed::Only(names) = &mut self.reads.claims {
                    names.insert(field.to_owned());
                }
                return Ok(());
            }
        };
        if !fields.contains(&field) {
            let reason = format!("{variable} has no {field:?}");
            return Err(Wrong::new(reason, format!("use one of: {}", fields.join(", "))));
        }
        self.reads.principal |= variable == "principal";
        self.reads.request |= variable == "request";
        let of_call = match (variable, field) {
            ("mcp", "arguments") => OfCall::Arguments,
            ("mcp", _) => OfCall::Names,
            _ => OfCall::Nothing,
        };
        self.reads.call = self.reads.call.max(of_call);
        Ok(())
    }
}

/// How many entries a list has at most.
fn length(of: &IdedExpr) -> Cost {
    match &of.expr {
        Expr::List(list) => Cost::of(list.elements.len()),
        Expr::Map(map) => Cost::of(map.entries.len()),
        Expr::Call(call) => match (call.func_name.as_str(), &*call.args) {
            ("_+_", [one, other]) | ("_?_:_", [_, one, other]) => length(one).plus(length(other)),
            _ => Cost::EACH,
        },
        // What comes out of `map` and `filter` is no longer than what went in.
        Expr::Comprehension(inner) => length(&inner.iter_range),
        Expr::Literal(_)
        | Expr::Ident(_)
        | Expr::Select(_)
        | Expr::Struct(_)
        | Expr::Unspecified => Cost::EACH,
    }
}

/// Whether there is no more to it than what is written.
fn is_small(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Literal(_) => true,
        Expr::List(list) => list.elements.iter().all(is_small),
        Expr::Call(_)
        | Expr::Comprehension(_)
        | Expr::Ident(_)
        | Expr::Map(_)
        | Expr::Select(_)
        | Expr::Struct(_)
        | Expr::Unspecified => false,
    }
}

fn odd() -> Wrong {
    Wrong::new("messages cannot be made here", "compare single values")
}

/// What evaluates expressions goes down with them, as this does.
const DEEPEST: usize = 64;

const VARIABLES: [&str; 5] = ["claims", "mcp", "payload", "principal", "request"];
const PRINCIPAL: [&str; 6] = ["client", "groups", "issuer", "roles", "scopes", "subject"];
const REQUEST: [&str; 5] = ["address", "certificate", "headers", "method", "path"];
const MCP: [&str; 5] = ["arguments", "method", "prompt", "resource", "tool"];
const TYPES: [&str; 10] =
    ["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "uint"];

/// Those that people write by name, macros included.
const NAMED: [&str; 17] = [
    "all",
    "bool",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "has",
    "int",
    "map",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
];

const OPERATORS: [&str; 19] = [
    "!_",
    "-_",
    "@in",
    "@not_strictly_false",
    "_!=_",
    "_%_",
    "_&&_",
    "_*_",
    "_+_",
    "_-_",
    "_/_",
    "_<=_",
    "_<_",
    "_==_",
    "_>=_",
    "_>_",
    "_?_:_",
    "_[_]",
    "_||_",
];

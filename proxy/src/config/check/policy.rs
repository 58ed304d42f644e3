//! The section `policy` of a resource.

use std::sync::Arc;

use super::value::{self, Checked};
use crate::config::file::{Parse, Section};
use crate::config::invalid::Wrong;
use crate::config::policy::{self, Lists, Need, Over, Pattern, Policy, Rule, Targets};
use crate::config::{Condition, OfCall, Scope};

/// Who may call what there.
pub(super) fn rules(resource: &mut Section<'_>) -> Policy {
    let Some(mut section) = resource.section("policy") else { return Policy::default() };
    let implies = implied(&mut section);
    let mut names = Vec::new();
    let scopes = all(&mut section, "scopes", &mut names, need);
    let allow = all(&mut section, "allow", &mut names, rule);
    let deny = all(&mut section, "deny", &mut names, rule);
    let lists = section.optional("lists", lists).unwrap_or_default();
    Policy { implies, scopes, allow, deny, lists }
}

fn lists(text: &str) -> Checked<Lists> {
    match text {
        "usable" => Ok(Lists::Usable),
        "obtainable" => Ok(Lists::Obtainable),
        "all" => Ok(Lists::All),
        _ => Err(Wrong::new("no such choice", "write usable, obtainable or all")),
    }
}

/// Reads a list of rules, and sees to it that each has a name of its own.
fn all<T>(
    section: &mut Section<'_>,
    key: &'static str,
    names: &mut Vec<Arc<str>>,
    read: fn(&mut Section<'_>, Arc<str>) -> T,
) -> Vec<T> {
    let sections = section.sections(key).unwrap_or_default().into_iter().enumerate();
    let entry = |(index, mut entry): (usize, Section<'_>)| {
        let given = entry.optional("name", rule_name);
        let name: Arc<str> = given.unwrap_or_else(|| format!("{key}[{index}]")).into();
        if names.contains(&name) {
            let reason = "another rule has the same name, and logs could not tell them apart";
            let wrong = Wrong::new(reason, "give each a name of its own, or none");
            entry.wrong("name", entry.written("name"), wrong);
        }
        names.push(Arc::clone(&name));
        read(&mut entry, name)
    };
    sections.map(entry).collect()
}

fn need(section: &mut Section<'_>, name: Arc<str>) -> Need {
    let over = over(section);
    let all = section.list("all", value::scope).unwrap_or_default();
    let any = section.list("any", value::scope).unwrap_or_default();
    if all.is_empty() && any.is_empty() && !section.had("all") && !section.had("any") {
        let fix =
            "write all: [first, second] if each is needed, or any: [first, second] if one will do";
        section.wrong("all", None, Wrong::new("no scope is named", fix));
    }
    if any.len() > MOST_CHOICES {
        let reason = "a client could not be told which of so many to ask for";
        let wrong = Wrong::new(reason, format!("write at most {MOST_CHOICES}"));
        section.wrong("any", None, wrong);
    }
    Need { name, over, all, any, shadow: shadow(section) }
}

fn rule(section: &mut Section<'_>, name: Arc<str>) -> Rule {
    let over = over(section);
    let when = if section.is_text("when") {
        section.optional("when", Condition::parse).into_iter().collect()
    } else {
        section.list("when", Condition::parse).unwrap_or_default()
    };
    if over == Over::Everything
        && when.iter().any(|condition| condition.reads().call == OfCall::Arguments)
    {
        let reason = "mcp.arguments are those of some tool, and most requests have none";
        let fix = "say which tools it is about: tools: [name]";
        section.wrong("when", None, Wrong::new(reason, fix));
    }
    Rule { name, over, when, shadow: shadow(section) }
}

fn shadow(section: &mut Section<'_>) -> bool {
    section.optional("shadow", value::yes_or_no).unwrap_or(false)
}

/// What a rule is about: methods, or what they name.
fn over(section: &mut Section<'_>) -> Over {
    let methods = names(section, "methods", pattern);
    let tools = names(section, "tools", pattern);
    let prompts = names(section, "prompts", pattern);
    let resources = names(section, "resources", resource);
    let is_about_targets = tools.is_some() || prompts.is_some() || resources.is_some();
    match methods {
        Some(_) if is_about_targets => {
            let reason = "tools, prompts and resources say by which methods they are called";
            let fix = "remove methods, or make two rules of it";
            section.wrong("methods", None, Wrong::new(reason, fix));
            Over::Everything
        }
        Some(methods) => Over::Methods(methods),
        None if is_about_targets => Over::Targets(Targets {
            tools: tools.unwrap_or_default(),
            prompts: prompts.unwrap_or_default(),
            resources: resources.unwrap_or_default(),
        }),
        None => Over::Everything,
    }
}

fn names(
    section: &mut Section<'_>,
    key: &'static str,
    parse: Parse<Pattern>,
) -> Option<Vec<Pattern>> {
    let names = section.list(key, parse);
    if !section.had(key) {
        return None;
    }
    if names.as_ref().is_some_and(Vec::is_empty) {
        let wrong = Wrong::new("no call could match it", "name one, or remove the line");
        section.wrong(key, Some("an empty list".into()), wrong);
    }
    // What is wrong with them has been noted, and is no reason to take the rule for a wider one.
    Some(names.unwrap_or_default())
}

fn pattern(text: &str) -> Checked<Pattern> {
    value::text(text).map(|text| Pattern::new(&text))
}

/// URIs are compared as text, so that the text must be the one that calls are held to.
fn resource(text: &str) -> Checked<Pattern> {
    let scheme = text.split(':').next().unwrap_or_default();
    if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let reason = "calls must spell a URI's scheme in lower case, so that none could match it";
        return Err(Wrong::new(reason, "write the scheme in lower case"));
    }
    pattern(text)
}

fn rule_name(text: &str) -> Checked<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    if text.is_empty() || text.len() > LONGEST_NAME || !text.bytes().all(fits) {
        let fix = "write up to 64 letters, digits and -_.:/";
        return Err(Wrong::new("not a name for logs and metrics", fix));
    }
    Ok(text.to_owned())
}

/// Scopes that stand for others: `broad: narrow narrower`.
fn implied(section: &mut Section<'_>) -> Vec<(Scope, Vec<Scope>)> {
    let entries = section.table("implies", several_scopes).into_iter();
    let implies: Vec<(Scope, Vec<Scope>)> = entries
        .filter_map(|(broad, narrow)| match value::scope(&broad) {
            Ok(broad) => Some((broad, narrow)),
            Err(wrong) => {
                section.wrong("implies", Some(broad), wrong);
                None
            }
        })
        .collect();
    for (broad, narrow) in &implies {
        if policy::standing_for(broad, &implies).iter().any(|scope| narrow.contains(scope)) {
            let reason = "it would stand for itself, by way of the others";
            let fix = "let broader scopes imply narrower ones, and not the other way round";
            section.wrong("implies", Some(broad.as_str().to_owned()), Wrong::new(reason, fix));
        }
    }
    implies
}

fn several_scopes(text: &str) -> Checked<Vec<Scope>> {
    let scopes = text.split_ascii_whitespace().map(value::scope);
    match scopes.collect::<Checked<Vec<Scope>>>()? {
        none if none.is_empty() => {
            Err(Wrong::new("no scope is named", "write narrower scopes, separated by spaces"))
        }
        scopes => Ok(scopes),
    }
}

const LONGEST_NAME: usize = 64;
const MOST_CHOICES: usize = 16;

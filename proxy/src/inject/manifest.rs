//! Manifests: the proxy put into every pod template of a file, and not one other byte changed.

use std::cmp::Reverse;

use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use serde_yaml::Deserializer;

use super::patch::Addition;
use super::pod::at;
use super::{Injection, Refused, Verdict, inject};
use crate::config::{Step, line};

/// What became of a file.
pub(crate) struct Injected {
    pub(crate) text: String,
    /// For each workload: what was done, or why nothing, and what to know.
    pub(crate) notes: Vec<String>,
}

/// Puts the proxy into what asks for it. All documents, or none.
pub(crate) fn rewrite(text: &str, image: &str) -> Result<Injected, Unfit> {
    let mut injected = Injected { text: String::new(), notes: Vec::new() };
    for (index, (document, end)) in documents(text).into_iter().enumerate() {
        let unfit = |why| Unfit { document: index + 1, why };
        let rewritten = rewrite_one(document, image, &mut injected.notes).map_err(unfit)?;
        injected.text.push_str(rewritten.as_deref().unwrap_or(document));
        injected.text.push_str(end);
    }
    Ok(injected)
}

fn rewrite_one(text: &str, image: &str, notes: &mut Vec<String>) -> Result<Option<String>, Why> {
    if text.lines().all(|line| line.trim().is_empty() || line.starts_with(['#', '%', '-'])) {
        return Ok(None);
    }
    let before = read(text).map_err(Why::Syntax)?;
    let mut templates = Vec::new();
    find(&before, &[], &mut templates);
    let (mut after, mut insertions) = (before, Vec::new());
    for Template { at, owner } in templates {
        let Some(pod) = below(&mut after, &at) else { continue };
        match inject(pod, image) {
            Verdict::Inject(Injection { additions, warnings }) => {
                for addition in &additions {
                    insertions.push(insertion(text, &at, pod, addition).ok_or(Why::InPlace)?);
                    addition.apply(pod);
                }
                notes.push(format!("{owner}: the proxy is in"));
                notes.extend(warnings.iter().map(|warning| format!("{owner}: warning: {warning}")));
            }
            Verdict::Skip(skip) => notes.push(format!("{owner}: left as it is: {skip}")),
            Verdict::Refuse(refused) => return Err(Why::Refused(owner, refused)),
        }
    }
    if insertions.is_empty() {
        return Ok(None);
    }
    let rewritten = insert(text, insertions);
    // What was written between the lines must be what a patch would have made of it.
    match read(&rewritten) {
        Ok(read) if read == after => Ok(Some(rewritten)),
        Ok(_) | Err(_) => Err(Why::InPlace),
    }
}

fn read(text: &str) -> serde_yaml::Result<Value> {
    Value::deserialize(Deserializer::from_str(text))
}

/// Each with the line that ends it, so that together they are the text again.
fn documents(text: &str) -> Vec<(&str, &str)> {
    let mut documents = Vec::new();
    let (mut rest, mut end) = (text, 0);
    for line in text.split_inclusive('\n') {
        end += line.len();
        let separates = line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty());
        if separates && let Some((document, after)) = rest.split_at_checked(end) {
            documents.push(document.split_at(document.len() - line.len()));
            (rest, end) = (after, 0);
        }
    }
    documents.push((rest, ""));
    documents
}

/// A pod, or what pods will be made of.
struct Template {
    at: Vec<Step>,
    /// Kind and name of the object that it is in.
    owner: String,
}

/// By shape rather than by kind: others make workloads of their own.
fn find(object: &Value, above: &[Step], found: &mut Vec<Template>) {
    if let Some(items) = at(object, &["items"]).as_array() {
        for (index, item) in items.iter().enumerate() {
            let steps = [key("items"), Step::Index(index)];
            find(item, &[above, &steps].concat(), found);
        }
        return;
    }
    let kind = at(object, &["kind"]).as_str().unwrap_or("object");
    let name = ["name", "generateName"].map(|key| at(object, &["metadata", key]).as_str());
    let owner = format!("{kind}/{}", name.into_iter().flatten().next().unwrap_or("without a name"));
    let places: [&[&str]; 4] =
        [&[], &["spec", "template"], &["spec", "jobTemplate", "spec", "template"], &["template"]];
    for place in places {
        let template = at(object, place);
        if at(template, &["spec", "containers"]).is_array() {
            let steps: Vec<_> = place.iter().map(|name| key(name)).collect();
            let at = [above, &steps].concat();
            found.push(Template { at, owner: owner.clone() });
        }
    }
}

fn key(name: &str) -> Step {
    Step::Key(name.to_owned(), 0)
}

fn below<'v>(value: &'v mut Value, at: &[Step]) -> Option<&'v mut Value> {
    at.iter().try_fold(value, |value, step| match step {
        Step::Key(name, _) => value.get_mut(name),
        Step::Index(index) => value.get_mut(index),
    })
}

/// Lines that go in front of one that is there.
struct Insertion {
    before: usize,
    text: String,
}

/// None if that place is not written line by line.
fn insertion(text: &str, above: &[Step], pod: &Value, addition: &Addition) -> Option<Insertion> {
    let (Addition::Member { of, .. } | Addition::First { of, .. }) = addition;
    let place = |last: Step| -> Vec<Step> {
        above.iter().cloned().chain(of.iter().map(|name| key(name))).chain([last]).collect()
    };
    let (before, begins) = match addition {
        Addition::Member { .. } => {
            let object = at(pod, of).as_object()?;
            let lines =
                object.keys().filter_map(|name| Some((line(text, &place(key(name)))?, name)));
            let (line, name) = lines.min()?;
            (line, name.as_str())
        }
        Addition::First { .. } => (line(text, &place(Step::Index(0)))?, "-"),
    };
    let there = text.lines().nth(before.checked_sub(1)?)?;
    let written = there.trim_start();
    if !written.trim_start_matches(['"', '\'']).starts_with(begins) {
        return None;
    }
    let indent = there.strip_suffix(written)?;
    let snippet = match addition {
        Addition::Member { key, value, .. } => yaml(&serde_json::json!({ *key: value })),
        Addition::First { value, .. } => yaml(&[value]),
    }?;
    let lines = snippet.lines().map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("{indent}{line}\n"),
    });
    Some(Insertion { before, text: lines.collect() })
}

fn yaml(value: &impl Serialize) -> Option<String> {
    serde_yaml::to_string(value).ok()
}

fn insert(text: &str, mut insertions: Vec<Insertion>) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    // From the end, so that lines keep their numbers; of two at one line the later goes in front.
    insertions.sort_by_key(|insertion| Reverse(insertion.before));
    for Insertion { before, text } in &insertions {
        lines.insert((before - 1).min(lines.len()), text);
    }
    lines.concat()
}

/// Why a file is left as it is, all of it.
#[derive(Debug, thiserror::Error)]
#[error("document {document}: {why}")]
pub(crate) struct Unfit {
    document: usize,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("it is not YAML: {0}")]
    Syntax(#[source] serde_yaml::Error),
    #[error("{0}: {1}")]
    Refused(String, Refused),
    #[error(
        "lines cannot be put in, because metadata or spec is written in braces, by reference, or has \
         left-overs of an earlier injection\n    fix: write each key and each entry of a list on a \
         line of its own, and remove empty lists"
    )]
    InPlace,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_the_text_again() {
        for text in
            ["", "a: 1", "---\na: 1\n", "a: 1\n---\nb: 2\n--- \n", "a: |\n  ---\n---", "--- a"]
        {
            let parts = documents(text);
            let again: String = parts.iter().flat_map(|(body, end)| [*body, *end]).collect();
            assert_eq!(again, text);
        }
        assert_eq!(documents("a: 1\n---\nb: 2\n").len(), 2);
    }

    #[test]
    fn what_needs_nothing_is_kept_to_the_byte() {
        for text in
            ["", "# nothing\n", "---\n---\n", "kind: ConfigMap\ndata: {mode: 0644, on: yes}  # x\n"]
        {
            assert_eq!(rewrite(text, "image").unwrap().text, text);
        }
    }
}

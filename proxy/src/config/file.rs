//! What was written: a tree of text read from YAML, and sections that note what is wrong with it.
//! Nothing outside this file knows the format.

mod node;
mod place;

use std::cell::RefCell;

use super::invalid::{MOST_TOLD, Problem, Wrong};
use super::secret::{self, Secret};
use crate::near::distance;
use node::Node;
pub(crate) use place::{Step, line};
use place::{child, show_path};

/// Reads `text` and hands its top level to `check`; returns what `check` made and all that is wrong.
pub(super) fn read<T>(
    text: &str,
    references: References,
    check: impl FnOnce(Section<'_>) -> T,
) -> Result<T, Vec<Problem>> {
    let report = Report { drafts: RefCell::default(), references };
    let root = Node::read(text).map_err(|error| vec![syntax(&error)])?;
    let made = report.section(Vec::new(), root).map(check);
    let problems = report.into_problems(text);
    match made {
        Some(made) if problems.is_empty() => Ok(made),
        _ => Err(problems),
    }
}

fn syntax(error: &serde_yaml::Error) -> Problem {
    Problem {
        line: error.location().map(|location| location.line()),
        key: "syntax".into(),
        found: None,
        wrong: Wrong::new(error.to_string(), "make it valid YAML"),
    }
}

/// What `${…}` is in a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum References {
    Followed,
    /// Plain text: others than the operator choose what stands in it.
    Plain,
}

/// Collects what is wrong while sections are read.
pub(super) struct Report {
    drafts: RefCell<Vec<Draft>>,
    references: References,
}

struct Draft {
    at: Vec<Step>,
    found: Option<String>,
    wrong: Wrong,
}

impl Report {
    fn note(&self, at: Vec<Step>, found: Option<String>, wrong: Wrong) {
        self.drafts.borrow_mut().push(Draft { at, found, wrong });
    }

    fn section(&self, at: Vec<Step>, node: Node) -> Option<Section<'_>> {
        match node {
            Node::Map(entries) => {
                Some(Section { report: self, at, entries, known: Vec::new(), written: Vec::new() })
            }
            // An empty file lacks everything: let every missing key be told.
            Node::Nothing if at.is_empty() => self.section(at, Node::Map(Vec::new())),
            other @ (Node::Nothing | Node::Text(_) | Node::List(_)) => {
                let wrong = Wrong::new("settings are expected here", "write key: value lines");
                self.note(at, Some(other.show()), wrong);
                None
            }
        }
    }

    fn value<T>(&self, at: Vec<Step>, node: Node, parse: Parse<T>) -> Option<T> {
        let found = node.show();
        let meant = |text: String| match self.references {
            References::Followed => secret::expand(&text),
            References::Plain => Ok(text),
        };
        match node.text().and_then(|text| parse(&meant(text)?)) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.note(at, Some(found), wrong);
                None
            }
        }
    }

    fn secret(&self, at: Vec<Step>, node: Node, fix: &str) -> Option<Secret> {
        match node.text().and_then(|text| secret::expand(&text)) {
            Ok(text) if text.is_empty() => self.note(at, None, Wrong::new("it is empty", fix)),
            Ok(text) => return Some(Secret::new(text)),
            Err(wrong) => self.note(at, None, wrong),
        }
        None
    }

    fn into_problems(self, text: &str) -> Vec<Problem> {
        let problem = |(index, draft): (usize, Draft)| Problem {
            // Each costs a reading of the text, and nobody mends so many by hand.
            line: (index < MOST_TOLD).then(|| line_of(text, &draft.at)).flatten(),
            key: show_path(&draft.at),
            found: draft.found,
            wrong: draft.wrong,
        };
        self.drafts.into_inner().into_iter().enumerate().map(problem).collect()
    }
}

/// Makes a value from text, or says why it cannot.
pub(super) type Parse<T> = fn(&str) -> Result<T, Wrong>;

/// Some `key: value` lines. When it goes, every key that nobody asked for is an error.
pub(super) struct Section<'r> {
    report: &'r Report,
    at: Vec<Step>,
    entries: Vec<(String, Node)>,
    known: Vec<&'static str>,
    written: Vec<(&'static str, String)>,
}

impl<'r> Section<'r> {
    pub(super) fn optional<T>(&mut self, key: &'static str, parse: Parse<T>) -> Option<T> {
        let node = self.take(key)?;
        self.report.value(self.below(key), node, parse)
    }

    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        parse: Parse<T>,
        fix: &str,
    ) -> Option<T> {
        if self.has(key) {
            return self.optional(key, parse);
        }
        self.take(key);
        self.wrong(key, None, Wrong::new("it is missing", fix));
        None
    }

    /// A value that is not shown even where it is wrong: somebody may have written it out.
    pub(super) fn required_secret(&mut self, key: &'static str, fix: &str) -> Option<Secret> {
        let Some(node) = self.take(key) else {
            self.wrong(key, None, Wrong::new("it is missing", fix));
            return None;
        };
        self.report.secret(self.below(key), node, fix)
    }

    /// A list of such values, with one at least.
    pub(super) fn required_secrets(&mut self, key: &'static str, fix: &str) -> Option<Vec<Secret>> {
        let nodes = match self.take(key) {
            Some(Node::List(nodes)) => nodes,
            Some(Node::Nothing | Node::Text(_) | Node::Map(_)) | None => Vec::new(),
        };
        if nodes.is_empty() {
            self.wrong(key, None, Wrong::new("a list with at least one entry is expected", fix));
            return None;
        }
        let at = |index| child(&self.below(key), Step::Index(index));
        let nodes = nodes.into_iter().enumerate();
        nodes.map(|(index, node)| self.report.secret(at(index), node, fix)).collect()
    }

    /// Notes a mistake in one value of a list, and does not show it.
    pub(super) fn wrong_at(&self, key: &str, index: usize, wrong: Wrong) {
        self.report.note(child(&self.below(key), Step::Index(index)), None, wrong);
    }

    pub(super) fn list<T>(&mut self, key: &'static str, parse: Parse<T>) -> Option<Vec<T>> {
        let nodes = self.take_list(key)?;
        let (report, at) = (self.report, self.below(key));
        let values = nodes.into_iter().enumerate();
        values
            .map(|(index, node)| report.value(child(&at, Step::Index(index)), node, parse))
            .collect()
    }

    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'r>> {
        let node = self.take(key)?;
        self.report.section(self.below(key), node)
    }

    pub(super) fn sections(&mut self, key: &'static str) -> Option<Vec<Section<'r>>> {
        let nodes = self.take_list(key)?;
        let (report, at) = (self.report, self.below(key));
        let sections = nodes.into_iter().enumerate();
        sections.map(|(index, node)| report.section(child(&at, Step::Index(index)), node)).collect()
    }

    /// A table whose keys are the operator's own.
    pub(super) fn table<T>(&mut self, key: &'static str, parse: Parse<T>) -> Vec<(String, T)> {
        let Some(mut table) = self.section(key) else { return Vec::new() };
        let entries = std::mem::take(&mut table.entries).into_iter();
        let value = |(name, node): (String, Node)| {
            let at = child(&table.at, Step::Key(name.clone(), 0));
            table.report.value(at, node, parse).map(|value| (name, value))
        };
        entries.filter_map(value).collect()
    }

    /// Notes a mistake in what `key` says.
    pub(super) fn wrong(&self, key: &str, found: Option<String>, wrong: Wrong) {
        self.report.note(self.below(key), found, wrong);
    }

    /// What `key` said, as the file spells it: what a reference stands for must not come out.
    pub(super) fn written(&self, key: &str) -> Option<String> {
        self.written.iter().find(|(known, _)| *known == key).map(|(_, text)| text.clone())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == key)
    }

    /// Whether `key` was there, before it was asked for or since.
    pub(super) fn had(&self, key: &str) -> bool {
        self.has(key) || self.written(key).is_some()
    }

    /// Lets `key` be, whatever it says: what is wrong with it has been noted.
    pub(super) fn ignore(&mut self, key: &'static str) {
        drop(self.take(key));
    }

    /// Whether `key` holds a single value rather than a section.
    pub(super) fn is_text(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, node)| name == key && matches!(node, Node::Text(_)))
    }

    fn take(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        let index = self.entries.iter().position(|(name, _)| name == key)?;
        let (_, node) = self.entries.remove(index);
        self.written.push((key, node.show()));
        Some(node)
    }

    fn take_list(&mut self, key: &'static str) -> Option<Vec<Node>> {
        match self.take(key)? {
            Node::List(nodes) => Some(nodes),
            other @ (Node::Nothing | Node::Text(_) | Node::Map(_)) => {
                let wrong =
                    Wrong::new("a list is expected", format!("write {key}: [first, second]"));
                self.wrong(key, Some(other.show()), wrong);
                None
            }
        }
    }

    fn below(&self, key: &str) -> Vec<Step> {
        child(&self.at, Step::Key(key.to_owned(), 0))
    }

    fn closest(&self, key: &str) -> String {
        let near = self.known.iter().min_by_key(|known| distance(known, key));
        match near.filter(|known| distance(known, key) <= 2) {
            Some(known) => format!("write {known}, or remove the line"),
            None => format!("remove it; known here: {}", self.known.join(", ")),
        }
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        for (key, _) in std::mem::take(&mut self.entries) {
            if self.known.contains(&key.as_str()) {
                let at = child(&self.at, Step::Key(key, 1));
                let wrong = Wrong::new("it is set twice", "keep one of the two lines");
                self.report.note(at, None, wrong);
            } else {
                let wrong = Wrong::new("there is no such setting", self.closest(&key));
                self.wrong(&key, None, wrong);
            }
        }
    }
}

/// The line of what `at` names, or of the nearest thing above it that the file has.
fn line_of(text: &str, at: &[Step]) -> Option<usize> {
    let (_, above) = at.split_last()?;
    line(text, at).or_else(|| line_of(text, above))
}

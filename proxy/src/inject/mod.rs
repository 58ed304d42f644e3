//! Puts the proxy into pods. One pure function says what must be added to a pod; `manifest` does it to
//! files, `webhook` to what an API server is about to create.

mod annotation;
pub(crate) mod manifest;
mod patch;
mod pod;
mod review;
mod settings;
mod sidecar;
pub(crate) mod webhook;

use std::fmt;

use serde_json::Value;

use annotation::Wanted;
use patch::Addition;
use pod::Pod;

/// What a pod needs to get the proxy, or why it gets none. Reads nothing but its arguments.
pub(crate) fn inject(pod: &Value, image: &str) -> Verdict {
    let pod = Pod(pod);
    if let Some(skip) = skip(pod) {
        return skip;
    }
    let mut problems = Vec::new();
    let wanted = Wanted::read(pod, &mut problems);
    pod.find_what_forbids(&mut problems);
    let Some(wanted) = wanted else { return Verdict::Refuse(Refused(problems)) };
    let mut warnings = Vec::new();
    pod.judge(&wanted, &mut problems, &mut warnings);
    let settings = settings::written(&wanted, &mut problems);
    if !problems.is_empty() {
        return Verdict::Refuse(Refused(problems));
    }
    let additions = patch::additions(pod, &wanted, settings.as_deref(), image);
    Verdict::Inject(Injection { additions, warnings })
}

fn skip(pod: Pod<'_>) -> Option<Verdict> {
    if pod.container(sidecar::NAME).is_some() {
        return Some(Verdict::Skip(Skip::Already));
    }
    if pod.annotation(annotation::INJECT) == Some("false") {
        return Some(Verdict::Skip(Skip::OptedOut));
    }
    // Anything else is judged with the rest, so that a slip of the pen is not taken for a no.
    let asks = pod.annotations().any(|key| key == annotation::INJECT);
    (!asks).then_some(Verdict::Skip(Skip::NotAsked))
}

/// What becomes of a pod.
#[must_use]
pub(crate) enum Verdict {
    Inject(Injection),
    Skip(Skip),
    Refuse(Refused),
}

/// What must be added, and what its author should know.
pub(crate) struct Injection {
    additions: Vec<Addition>,
    warnings: Vec<String>,
}

/// Why a pod is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    NotAsked,
    OptedOut,
    Already,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, inject) = (sidecar::NAME, annotation::INJECT);
        match self {
            Self::NotAsked => {
                write!(f, "its pods do not ask for a proxy: annotate them with {inject}: \"true\"")
            }
            Self::OptedOut => write!(f, "its pods want no proxy ({inject}: \"false\")"),
            Self::Already => {
                write!(f, "there is a container {name} already: remove it to have it made anew")
            }
        }
    }
}

/// Why a pod that asks for the proxy cannot have it: all reasons at once.
#[derive(Debug)]
pub(crate) struct Refused(Vec<Problem>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proxy cannot be put into this pod")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// One thing about a pod that cannot be.
#[derive(Debug)]
pub(crate) struct Problem {
    /// An annotation or a field.
    at: String,
    found: Option<String>,
    why: String,
    fix: String,
}

impl Problem {
    fn new(
        at: impl Into<String>,
        found: Option<&str>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let found = found.map(|text| format!("{text:?}"));
        Self { at: at.into(), found, why: why.into(), fix: fix.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.at)?;
        if let Some(found) = &self.found {
            write!(f, ": {found}")?;
        }
        write!(f, "\n    why: {}\n    fix: {}", self.why, self.fix)
    }
}

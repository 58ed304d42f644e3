//! Why a configuration was refused: every reason at once.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Every problem of one configuration.
#[derive(Debug)]
pub struct Invalid {
    path: Option<PathBuf>,
    problems: Vec<Problem>,
}

impl Invalid {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        // Those without a line come last: there may be more than are told.
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        Self { path: None, problems }
    }

    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let problem = Problem {
            line: None,
            key: String::new(),
            found: None,
            wrong: Wrong::new(
                format!("the file cannot be read: {error}"),
                "name a file that this process may read, with --config FILE",
            ),
        };
        Self { path: Some(path.to_owned()), problems: vec![problem] }
    }

    pub(super) fn of(self, path: &Path) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }

    /// Each problem: the setting, what it says, why that cannot be, and what to do.
    pub(crate) fn told(&self) -> impl Iterator<Item = (&str, Option<&str>, &str, &str)> {
        self.problems.iter().map(|problem| {
            let Wrong { reason, fix } = &problem.wrong;
            (problem.key.as_str(), problem.found.as_deref(), reason.as_str(), fix.as_str())
        })
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        match self.problems.len() {
            1 => f.write_str("1 problem in the configuration")?,
            several => write!(f, "{several} problems in the configuration")?,
        }
        let mut told = self.problems.iter().take(MOST_TOLD);
        told.try_for_each(|problem| write!(f, "\n\n{problem}"))?;
        match self.problems.len().saturating_sub(MOST_TOLD) {
            0 => Ok(()),
            more => write!(f, "\n\n  and {more} more"),
        }
    }
}

impl std::error::Error for Invalid {}

/// One setting that cannot be used.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) line: Option<usize>,
    pub(super) key: String,
    /// As the file spells it: an expanded secret must not come out here.
    pub(super) found: Option<String>,
    pub(super) wrong: Wrong,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("  ")?;
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.key)?;
        if let Some(found) = &self.found {
            write!(f, ": {found}")?;
        }
        write!(f, "\n    why: {}\n    fix: {}", self.wrong.reason, self.wrong.fix)
    }
}

/// More than anybody mends before trying again.
pub(super) const MOST_TOLD: usize = 100;

/// Why a value is refused, and what to write instead.
#[derive(Debug)]
pub(super) struct Wrong {
    reason: String,
    fix: String,
}

impl Wrong {
    pub(super) fn new(reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { reason: reason.into(), fix: fix.into() }
    }
}

//! `postern validate`: whether the proxy would start, and whether what it needs answers.

mod online;
mod summary;

use std::fmt;

pub(crate) use online::check;
pub(crate) use summary::Summary;

/// What one check found.
pub(crate) struct Finding {
    pub(crate) grade: Grade,
    subject: String,
    text: String,
}

/// How good that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grade {
    Good,
    /// It works now, and may not for long or not for everybody.
    Warning,
    Bad,
}

impl Finding {
    fn new(grade: Grade, subject: impl fmt::Display, text: impl Into<String>) -> Self {
        Self { grade, subject: subject.to_string(), text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grade = match self.grade {
            Grade::Good => "ok",
            Grade::Warning => "WARN",
            Grade::Bad => "FAIL",
        };
        write!(f, "  {grade:<4}  {}: {}", self.subject, self.text)
    }
}

//! Everything that is wrong with a file, told at once.

use std::fmt;

/// Why the settings are not good.
#[derive(Debug)]
pub enum Invalid {
    /// It is no YAML, or not of the shape that it should have.
    Shape(serde_yaml::Error),
    /// Its values cannot be.
    Values(Vec<Problem>),
}

/// One thing that is wrong.
#[derive(Debug)]
pub struct Problem {
    key: &'static str,
    told: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(error) => write!(f, "{error}; see the settings in README.md"),
            Self::Values(problems) => {
                f.write_str("invalid settings")?;
                problems.iter().try_for_each(|Problem { key, told }| write!(f, "\n  {key}: {told}"))
            }
        }
    }
}

impl std::error::Error for Invalid {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Shape(error) => Some(error),
            Self::Values(_) => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn note(&mut self, key: &'static str, told: impl Into<String>) {
        self.0.push(Problem { key, told: told.into() });
    }

    pub(super) fn none(self) -> Result<(), Invalid> {
        if self.0.is_empty() { Ok(()) } else { Err(Invalid::Values(self.0)) }
    }
}

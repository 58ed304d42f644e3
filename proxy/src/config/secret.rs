//! `${NAME}` and `${file:/path}` in values, and values that nobody may see.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use super::invalid::Wrong;

/// Puts in what the references stand for; `$${` is a plain `${`.
pub(super) fn expand(written: &str) -> Result<String, Wrong> {
    let mut expanded = String::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let (reference, after) = after.split_once('}').ok_or_else(|| {
            Wrong::new("a reference is not closed", "write ${NAME} or ${file:/path}, or $${ for ${")
        })?;
        expanded.push_str(before);
        expanded.push_str(&resolve(reference)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The files that a text refers to, or may refer to.
pub fn files(text: &str) -> Vec<PathBuf> {
    let after = text.split("${file:").skip(1);
    after.filter_map(|rest| rest.split_once('}')).map(|(path, _)| path.into()).collect()
}

fn resolve(reference: &str) -> Result<String, Wrong> {
    match reference.strip_prefix("file:") {
        Some(path) => from_file(path),
        None => from_environment(reference),
    }
}

fn from_file(path: &str) -> Result<String, Wrong> {
    let content = fs::read_to_string(path).map_err(|error| {
        Wrong::new(
            format!("the file {path} cannot be read: {error}"),
            "name a text file that this process may read",
        )
    })?;
    // Editors and `echo` end a file with a newline that is no part of the secret.
    Ok(content.trim_end_matches(['\r', '\n']).to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the file itself asks for this variable")]
fn from_environment(name: &str) -> Result<String, Wrong> {
    std::env::var(name).map_err(|_| {
        Wrong::new(
            format!("the environment variable {name} is not set, or is not text"),
            format!("set {name}, or write the value itself"),
        )
    })
}

/// A value that is used and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The value itself, for the one place that uses it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_references_is_kept() {
        assert_eq!(expand("a $ b { c }").unwrap(), "a $ b { c }");
    }

    #[test]
    fn a_file_is_put_in_without_its_last_newline() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "s3cret\n").unwrap();
        let written = format!("Basic ${{file:{}}}!", file.path().display());
        assert_eq!(expand(&written).unwrap(), "Basic s3cret!");
    }

    #[test]
    fn an_environment_variable_is_put_in() {
        assert!(!expand("${PATH}").unwrap().contains('$'));
    }

    #[test]
    fn what_cannot_be_resolved_is_refused() {
        for text in ["${POSTERN_NO_SUCH_VARIABLE}", "${file:/no/such/file}", "${OPEN"] {
            assert!(expand(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("s3cret".into())), "Secret(…)");
    }

    #[test]
    fn the_files_that_are_meant_are_told() {
        let text = "a: ${file:/one}\nb: Basic ${HOME} ${file:/two}!\nc: ${file:/open";
        assert_eq!(files(text), [PathBuf::from("/one"), PathBuf::from("/two")]);
        assert!(files("a: b").is_empty());
    }

    #[test]
    fn a_doubled_dollar_is_a_plain_one() {
        assert_eq!(expand("$${HOME}").unwrap(), "${HOME}");
    }
}

//! The settings file: what was written, and what is believed of it.

mod otus;
mod problem;
mod value;

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub(crate) use otus::{Authentication, AuthorizationServer, Credential, OtusSettings};
use problem::Problems;
pub use problem::{Invalid, Problem};

/// What the settings file says, all of it good.
#[derive(Debug, Default)]
pub struct Settings {
    pub(crate) otus: Option<OtusSettings>,
}

impl Settings {
    /// Reads the file, and the files that it names.
    pub fn read(path: &Path) -> Result<Self, NoSettings> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| NoSettings::Unreadable(path.to_owned(), error))?;
        Self::parse(&text).map_err(|why| NoSettings::Invalid(path.to_owned(), why))
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let file: Option<File> = serde_yaml::from_str(text).map_err(Invalid::Shape)?;
        let mut problems = Problems::default();
        let file = file.unwrap_or_default();
        let otus = file.otus.and_then(|otus| otus.check(&mut problems));
        problems.none().map(|()| Self { otus })
    }
}

/// There are no settings to start with.
#[derive(Debug, thiserror::Error)]
pub enum NoSettings {
    /// The file is not there, or not ours to read.
    #[error("{path}: cannot be read: {1}", path = .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// What it says cannot be done.
    #[error("{path}: {1}", path = .0.display())]
    Invalid(PathBuf, #[source] Invalid),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    otus: Option<otus::File>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
otus:
  base_url: https://otus.example
  credential: token_exchange
  token_endpoint: https://id.example/token
  client_id: backend
  client_secret_file: /dev/null
";

    /// Spoil one line of good settings; they must be refused for exactly that.
    #[track_caller]
    fn refuses(line: &str, spoilt: &str, told: &str) {
        assert!(GOOD.contains(line));
        let refused = Settings::parse(&GOOD.replace(line, spoilt)).unwrap_err().to_string();
        assert!(refused.contains(told), "{refused}");
    }

    #[test]
    fn none_are_needed() {
        assert!(Settings::parse("").unwrap().otus.is_none());
    }

    #[test]
    fn a_secret_that_is_empty_is_none() {
        refuses("otus:", "otus:", "otus.client_secret_file: /dev/null: the file is empty");
    }

    #[test]
    fn names_every_mistake_at_once() {
        let refused = Settings::parse(
            "otus: {base_url: 'http://otus.example', teams_endpoint: teams, timeout: soon}",
        );
        let refused = refused.unwrap_err().to_string();
        for key in ["base_url", "teams_endpoint", "timeout", "credential"] {
            assert!(refused.contains(&format!("\n  otus.{key}: ")), "{refused}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        refuses("client_id:", "client_ids:", "client_ids");
        refuses("otus:", "ottos:", "ottos");
    }

    #[test]
    fn refuses_to_send_a_credential_over_the_network_in_clear() {
        refuses(
            "https://otus.example",
            "http://otus.example",
            "otus.base_url: http://otus.example",
        );
        refuses("https://id.example", "http://id.example", "otus.token_endpoint: http://id");
    }

    #[test]
    fn refuses_an_endpoint_on_another_host() {
        for endpoint in
            ["//evil.example/teams", "@evil.example", ".evil.example", "\\\\evil.example"]
        {
            let spoilt = format!("base_url: https://otus.example\n  teams_endpoint: '{endpoint}'");
            refuses("base_url: https://otus.example", &spoilt, "otus.teams_endpoint: ");
        }
    }

    #[test]
    fn refuses_the_unsafe_way_with_half_of_a_safe_one() {
        refuses("token_exchange", "passthrough_unsafe", "otus.token_endpoint: ");
    }

    #[test]
    fn never_falls_back_to_the_unsafe_way() {
        let refused = Settings::parse("otus: {base_url: 'https://otus.example'}").unwrap_err();
        assert!(refused.to_string().contains("otus.credential: missing"), "{refused}");
    }
}

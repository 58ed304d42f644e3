//! The settings file: what was written, and what is believed of it.

mod assertion;
mod otus;
mod problem;
mod value;

use std::io;
use std::path::{Path, PathBuf};

use http::HeaderName;
use serde::Deserialize;

pub(crate) use assertion::{AssertionSettings, KeySource};
pub(crate) use otus::{Authentication, AuthorizationServer, Credential, OtusSettings};
use problem::Problems;
pub use problem::{Invalid, Problem};

/// What the settings file says, all of it good.
#[derive(Debug, Default)]
pub struct Settings {
    pub(crate) otus: Option<OtusSettings>,
    pub(crate) assertion: Option<AssertionSettings>,
    /// The header of a token that nobody here verifies, and that is believed nevertheless.
    pub(crate) unverified: Option<HeaderName>,
}

impl Settings {
    /// Reads the file, and the files that it names.
    pub fn read(path: &Path) -> Result<Self, NoSettings> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| NoSettings::Unreadable(path.to_owned(), error))?;
        Self::parse(&text).map_err(|why| NoSettings::Invalid(path.to_owned(), why))
    }

    /// Believes nothing but assertions, wherever a request comes from.
    pub fn require_assertion(&mut self) -> Result<(), NoSettings> {
        let assertion = self.assertion.as_mut().ok_or(NoSettings::NoAssertion)?;
        assertion.required = true;
        Ok(())
    }

    /// Whether there is something to believe besides where a request comes from.
    #[must_use]
    pub fn know_assertions(&self) -> bool {
        self.assertion.is_some()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let file: Option<File> = serde_yaml::from_str(text).map_err(Invalid::Shape)?;
        let mut problems = Problems::default();
        let file = file.unwrap_or_default();
        let otus = file.otus.and_then(|otus| otus.check(&mut problems));
        let assertion = file.assertion.and_then(|assertion| assertion.check(&mut problems));
        let unverified = file.trust_unverified_jwt_in_header.and_then(|name| {
            let told = format!("{name}: not the name of a header; write one like X-Validated-Jwt");
            name.parse().map_err(|_| problems.note("trust_unverified_jwt_in_header", told)).ok()
        });
        if unverified.is_some() && assertion.is_some() {
            let told = "would be believed where assertion has nothing to say; remove one of both";
            problems.note("trust_unverified_jwt_in_header", told);
        }
        problems.none().map(|()| Self { otus, assertion, unverified })
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
    /// Nobody could be let in.
    #[error(
        "--require-assertion: nothing says whose assertions are good: write the section \
         assertion (keys, issuer, audience) into the file of --config"
    )]
    NoAssertion,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    otus: Option<otus::File>,
    assertion: Option<assertion::File>,
    trust_unverified_jwt_in_header: Option<String>,
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

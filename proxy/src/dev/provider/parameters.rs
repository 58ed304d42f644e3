//! The parameters of an OAuth request, from a query or from a form.

use thiserror::Error;
use url::form_urlencoded;

/// Parameters of which none is given twice.
pub(super) struct Parameters(Vec<(String, String)>);

#[derive(Debug, Error)]
#[error("{0} is given more than once")]
pub(super) struct Repeated(String);

impl Parameters {
    pub(super) fn parse(encoded: &[u8]) -> Result<Self, Repeated> {
        let mut parameters = Self(Vec::new());
        for (name, value) in form_urlencoded::parse(encoded) {
            // RFC 6749 §3.1 forbids repetition; RFC 8707 §2 makes `resource` the exception.
            if name != RESOURCE && parameters.0.iter().any(|(known, _)| *known == name) {
                return Err(Repeated(name.into_owned()));
            }
            parameters.0.push((name.into_owned(), value.into_owned()));
        }
        Ok(parameters)
    }

    /// RFC 6749 §3.1: a parameter without a value counts as omitted.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(known, value)| *known == name && !value.is_empty())
            .map(|(_, value)| value)
    }

    /// Whether every resource asked for is this one. None asked for means this one: there is no
    /// other, and clients older than RFC 8707 name none.
    pub(super) fn ask_only_for(&self, resource: &str) -> bool {
        self.iter().filter(|(name, _)| *name == RESOURCE).all(|(_, value)| value == resource)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

const RESOURCE: &str = "resource";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_parameter_given_twice() {
        let refused = Parameters::parse(b"state=1&scope=a&state=2").err().unwrap();
        assert_eq!(refused.to_string(), "state is given more than once");
    }

    #[test]
    fn takes_an_empty_parameter_for_an_omitted_one() {
        assert_eq!(Parameters::parse(b"state=").unwrap().get("state"), None);
    }

    #[test]
    fn every_resource_must_be_the_only_one() {
        let ask = |query: &[u8]| Parameters::parse(query).unwrap().ask_only_for("https://h/mcp");
        assert!(ask(b"resource=https://h/mcp&resource=https%3A%2F%2Fh%2Fmcp"));
        assert!(ask(b"scope=a"));
        assert!(!ask(b"resource=https://h/mcp&resource=https://h/other"));
        assert!(!ask(b"resource=https://h/mcp/"));
    }
}

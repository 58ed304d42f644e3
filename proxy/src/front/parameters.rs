//! What a query or a form says.

use std::collections::BTreeMap;

use url::form_urlencoded;

/// Parameters, each at most once (RFC 6749 section 3.1): of two that differ nobody should choose. One that
/// is empty is not there.
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// None if one is repeated.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let mut all = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            if all.insert(name.into_owned(), value.into_owned()).is_some() {
                return None;
            }
        }
        all.retain(|_, value| !value.is_empty());
        Some(Self(all))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_there_once_or_nobody_reads_it() {
        let read = Parameters::read(b"a=1&b=%26+x&c=").unwrap();
        assert_eq!((read.get("a"), read.get("b"), read.get("c")), (Some("1"), Some("& x"), None));
        for twice in ["a=1&a=2", "a=1&a=1", "a=1&%61=1", "a=&a=1"] {
            assert!(Parameters::read(twice.as_bytes()).is_none(), "{twice}");
        }
    }
}

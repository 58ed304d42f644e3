//! Who can sign in, and what each of them may do.

use std::fmt;

/// Somebody with a name to sign in under and scopes to give away.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) scopes: Scopes,
}

/// One may write and one may not, so that a refusal for want of scope can be seen.
pub(super) static PEOPLE: [Person; 2] = [
    Person { name: "ada", scopes: Scopes::ALL },
    Person { name: "grace", scopes: Scopes { read: true, write: false } },
];

/// Everybody's, and written on the page: it shows the shape of a sign-in and guards nothing.
pub(super) const PASSWORD: &str = "laptop";

pub(super) fn sign_in(name: &str, password: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.name == name && password == PASSWORD)
}

/// The scopes of the laptop's MCP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scopes {
    read: bool,
    write: bool,
}

impl Scopes {
    pub(super) const ALL: Self = Self { read: true, write: true };
    pub(super) const NAMES: [&'static str; 2] = [READ, WRITE];

    /// The part of these that is asked for; asking for nothing in particular asks for all.
    pub(super) fn granted(self, asked: Option<&str>) -> Option<Self> {
        let Some(asked) = asked else { return Some(self) };
        let names = |name| asked.split_ascii_whitespace().any(|scope| scope == name);
        let granted = Self { read: self.read && names(READ), write: self.write && names(WRITE) };
        (granted.read || granted.write).then_some(granted)
    }

    /// These, narrowed. RFC 6749 §6: a refresh must not ask for more than was granted.
    pub(super) fn narrowed(self, asked: Option<&str>) -> Option<Self> {
        let within = |scope| self.to_string().split(' ').any(|held| held == scope);
        if asked.is_some_and(|asked| !asked.split_ascii_whitespace().all(within)) {
            return None;
        }
        self.granted(asked)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.read, self.write) {
            (true, true) => write!(out, "{READ} {WRITE}"),
            (true, false) => out.write_str(READ),
            (false, true) => out.write_str(WRITE),
            (false, false) => Ok(()),
        }
    }
}

const READ: &str = "mcp:read";
const WRITE: &str = "mcp:write";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn grants(held: Scopes, asked: Option<&str>, granted: Option<&str>) {
        assert_eq!(held.granted(asked).map(|scopes| scopes.to_string()).as_deref(), granted);
    }

    #[test]
    fn grants_what_is_asked_for_and_held() {
        grants(Scopes::ALL, Some("mcp:write offline_access"), Some("mcp:write"));
        grants(PEOPLE[1].scopes, Some("mcp:read mcp:write"), Some("mcp:read"));
    }

    #[test]
    fn grants_all_that_is_held_when_nothing_is_asked_for() {
        grants(PEOPLE[1].scopes, None, Some("mcp:read"));
    }

    #[test]
    fn grants_nothing_that_is_not_held() {
        grants(PEOPLE[1].scopes, Some("mcp:write"), None);
        grants(Scopes::ALL, Some("mcp:reading"), None);
    }

    #[test]
    fn never_narrows_to_more() {
        assert_eq!(PEOPLE[1].scopes.narrowed(Some("mcp:read mcp:write")), None);
        assert_eq!(Scopes::ALL.narrowed(Some("mcp:read")), Some(PEOPLE[1].scopes));
    }

    #[test]
    fn nobody_signs_in_with_a_wrong_password() {
        assert!(sign_in("ada", "laptop").is_some());
        assert!(sign_in("ada", "").is_none());
        assert!(sign_in("mallory", "laptop").is_none());
    }
}

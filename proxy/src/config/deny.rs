//! The list of what is revoked, a file of its own: it changes more often than the rest.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chrono::DateTime;

use super::Invalid;
use super::check::value;
use super::file::{self, References, Section};
use super::invalid::Wrong;

/// Tokens and callers that are turned away whatever their issuer says.
#[derive(Debug, Default)]
pub struct DenyList {
    tokens: HashSet<String>,
    subjects: HashMap<String, Vec<Cut>>,
}

/// Which tokens of a subject.
#[derive(Debug)]
struct Cut {
    issuer: Option<String>,
    /// Since 1970; tokens from before it are revoked. `None`: all of them.
    before: Option<Duration>,
}

impl DenyList {
    /// Reads a list.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match file::read(text, References::Plain, list) {
            Ok(Some(list)) => Ok(list),
            // Unreachable by construction: what is missing has been noted.
            Ok(None) => Err(Invalid::new(Vec::new())),
            Err(problems) => Err(Invalid::new(problems)),
        }
    }

    /// Whether it names a token by its `jti`.
    pub fn names_token(&self, id: &str) -> bool {
        self.tokens.contains(id)
    }

    /// Whether it names a subject's tokens of that time.
    pub fn names_subject(&self, issuer: &str, subject: &str, at: Duration) -> bool {
        let hits = |cut: &Cut| {
            cut.issuer.as_deref().is_none_or(|named| named == issuer)
                && cut.before.is_none_or(|before| at < before)
        };
        self.subjects.get(subject).is_some_and(|cuts| cuts.iter().any(hits))
    }

    /// The issuers that entries name, with one subject of each.
    pub fn issuers(&self) -> BTreeMap<&str, &str> {
        let entries = self.subjects.iter();
        let named = entries.flat_map(|(subject, cuts)| {
            let issuers = cuts.iter().filter_map(|cut| cut.issuer.as_deref());
            issuers.map(|issuer| (issuer, subject.as_str()))
        });
        named.collect()
    }

    /// How many entries it has.
    pub fn size(&self) -> usize {
        self.tokens.len() + self.subjects.values().map(Vec::len).sum::<usize>()
    }
}

fn list(mut root: Section<'_>) -> Option<DenyList> {
    // A file that is being written is empty for a moment: nobody's revocation may end by that.
    if !root.has("tokens") && !root.has("subjects") {
        let fix =
            "write at least one of tokens and subjects, if need be as an empty list: tokens: []";
        root.wrong("tokens", None, Wrong::new("the list names neither tokens nor subjects", fix));
    }
    let tokens = root.list("tokens", value::text).unwrap_or_default().into_iter().collect();
    let mut subjects: HashMap<String, Vec<Cut>> = HashMap::new();
    for mut section in root.sections("subjects").unwrap_or_default() {
        let subject = section.required("subject", value::text, "name the subject, as sub says it");
        let issuer = section.optional("issuer", value::text);
        let before = section.optional("issued_before", date);
        subjects.entry(subject?).or_default().push(Cut { issuer, before });
    }
    Some(DenyList { tokens, subjects })
}

fn date(text: &str) -> Result<Duration, Wrong> {
    let date = DateTime::parse_from_rfc3339(text).ok();
    let since_epoch = |date: DateTime<_>| {
        let seconds = u64::try_from(date.timestamp()).ok()?;
        Some(Duration::new(seconds, date.timestamp_subsec_nanos()))
    };
    date.and_then(since_epoch).ok_or_else(|| {
        Wrong::new("not a date with a time and a zone", "write for example 2027-01-31T12:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DenyList {
        DenyList::parse(text).unwrap()
    }

    #[test]
    fn tokens_are_named_to_the_letter() {
        let list = read("tokens: [a1, \"7\"]");
        assert!(list.names_token("a1") && list.names_token("7"));
        assert!(!list.names_token("A1") && !list.names_token("a") && !list.names_token(""));
        assert_eq!(list.size(), 2);
    }

    #[test]
    fn a_subject_is_cut_off_by_issuer_and_time() {
        let list = read(
            "subjects:\n- {subject: ada, issued_before: '1970-01-01T00:01:40Z'}\n\
             - {subject: bob, issuer: https://one}\n",
        );
        let ada =
            |issued: u64| list.names_subject("https://any", "ada", Duration::from_secs(issued));
        assert!(ada(99) && ada(0));
        assert!(!ada(100));
        assert!(list.names_subject("https://one", "bob", Duration::MAX));
        assert!(!list.names_subject("https://two", "bob", Duration::ZERO));
    }

    /// Strangers choose what they are called: it must not keep a list from being taken over.
    #[test]
    fn nothing_in_a_list_stands_for_something_else() {
        let list = read("tokens: ['${file:/no/such}', 'a${', '$${b}']");
        for id in ["${file:/no/such}", "a${", "$${b}"] {
            assert!(list.names_token(id), "{id}");
        }
    }

    #[test]
    fn what_looks_like_a_number_is_kept_as_it_is_spelt() {
        for id in ["12e4", "1.10", "+4915112345", "0x1F", "007", "9e999", "True", "1_0", "-0"] {
            assert!(read(&format!("tokens: [{id}]")).names_token(id), "{id}");
            let list = read(&format!("subjects:\n- subject: {id}\n"));
            assert!(list.names_subject("https://any", id, Duration::ZERO), "{id}");
        }
        let long = "123456789012345678901234567890";
        assert!(read(&format!("tokens: [{long}]")).names_token(long));
        let longer = long.repeat(9);
        assert!(read(&format!("tokens: [{longer}]")).names_token(&longer));
    }

    #[test]
    fn a_part_of_a_second_counts() {
        let list = read("subjects: [{subject: ada, issued_before: '1970-01-01T00:01:40.5Z'}]");
        let ada = |at| list.names_subject("https://any", "ada", Duration::from_millis(at));
        assert!(ada(100_000) && ada(100_499) && !ada(100_500));
    }

    /// Each place costs a reading of all that is before it.
    #[test]
    fn of_very_many_mistakes_the_first_are_told() {
        let entry = |number| format!("- {{subject: user-{number}, reason: left}}\n");
        let text: String = (0..400).map(entry).collect();
        let message = DenyList::parse(&format!("subjects:\n{text}")).unwrap_err().to_string();
        assert!(message.starts_with("400 problems in"), "{message}");
        assert!(message.contains("line 2: subjects[0].reason"), "{message}");
        assert!(message.ends_with("\n\n  and 300 more"), "{message}");
    }

    #[test]
    fn a_list_that_says_nothing_is_no_list() {
        for text in ["", "# later\n", "tokens: 7", "tokens: [a]\nsubject: b", "subjects: [{}]"] {
            assert!(DenyList::parse(text).is_err(), "{text}");
        }
        assert_eq!(read("tokens: []").size(), 0);
        let spoilt = "subjects: [{subject: a, issued_before: today}]";
        let message = DenyList::parse(spoilt).unwrap_err().to_string();
        assert!(message.contains("line 1: subjects[0].issued_before: \"today\""), "{message}");
    }
}

//! What assertions are signed with.

use super::dpop::SHORTEST_KEY;
use super::value;
use crate::config::file::Section;
use crate::config::invalid::Wrong;
use crate::config::{Secret, Site};

/// The section `assertions`.
pub(super) fn key(root: &mut Section<'_>, sites: Option<&[Site]>) -> Option<Secret> {
    let mut section = root.section("assertions")?;
    let fix = "write key: ${file:/path}, or remove the section";
    let key = section.required("key", value::text, fix)?;
    // What it is stays unsaid: it may be a secret that was only cut short.
    if key.len() < SHORTEST_KEY {
        let reason = "it is so short that it could be guessed";
        let fix = "write 32 characters or more, for example from: openssl rand -base64 32";
        section.wrong("key", None, Wrong::new(reason, fix));
    }
    if sites.is_some_and(|sites| sites.iter().all(|site| site.forward.assertion.is_none())) {
        let reason = "no backend is sent an assertion";
        let fix = "write forward.assertion, or remove the section";
        section.wrong("key", None, Wrong::new(reason, fix));
    }
    Some(Secret::new(key))
}

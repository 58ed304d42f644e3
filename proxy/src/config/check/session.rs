//! What sessions, and other things that clients hold for us, are sealed with.

use super::dpop::SHORTEST_KEY;
use crate::config::Secret;
use crate::config::file::Section;
use crate::config::invalid::Wrong;

/// The section `session`.
pub(super) fn keys(root: &mut Section<'_>) -> Vec<Secret> {
    let Some(mut section) = root.section("session") else { return Vec::new() };
    required(&mut section)
}

/// The same list in another section, if it is there.
pub(super) fn keys_of(section: &mut Section<'_>) -> Vec<Secret> {
    if section.has("keys") {
        return required(section);
    }
    section.ignore("keys");
    Vec::new()
}

fn required(section: &mut Section<'_>) -> Vec<Secret> {
    let keys = section.required_secrets(
        "keys",
        "write keys: ['${file:/path}'], newest first, or remove the section",
    );
    for (index, key) in keys.iter().flatten().enumerate() {
        if key.expose().len() < SHORTEST_KEY {
            let reason = "it is so short that it could be guessed";
            let fix = "write 32 characters or more, for example from: openssl rand -base64 32";
            section.wrong_at("keys", index, Wrong::new(reason, fix));
        }
    }
    keys.unwrap_or_default()
}

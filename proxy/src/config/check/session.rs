//! What sessions are sealed with.

use super::dpop::SHORTEST_KEY;
use crate::config::Secret;
use crate::config::file::Section;
use crate::config::invalid::Wrong;

/// The section `session`.
pub(super) fn keys(root: &mut Section<'_>) -> Vec<Secret> {
    let Some(mut section) = root.section("session") else { return Vec::new() };
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

//! What tools are called where they are counted: whoever calls can make up names, rules cannot be made up.

use crate::config::{Pattern, Policy};

/// The tools that rules name: each by itself first, then the patterns, in the order of the rules.
#[derive(Debug)]
pub(super) struct Named(Box<[Pattern]>);

impl Named {
    pub(super) fn new(policy: &Policy) -> Self {
        let mut named: Vec<Pattern> = Vec::new();
        for pattern in policy.tools() {
            if !named.contains(pattern) {
                named.push(pattern.clone());
            }
        }
        named.sort_by_key(|pattern| pattern.as_str().contains('*'));
        Self(named.into())
    }

    /// The tool's own name, or the pattern that it fits.
    pub(super) fn stands_for(&self, tool: &str) -> &str {
        self.0.iter().find(|pattern| pattern.fits(tool)).map_or(OTHER, Pattern::as_str)
    }
}

const OTHER: &str = "other";

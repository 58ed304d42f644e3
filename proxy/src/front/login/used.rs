//! Which logins have been finished here.

use std::time::Duration;

use moka::sync::Cache;

use super::cookie::Tag;

/// Each login is finished once. The browser's cookie goes with it, and its issuer takes a code once;
/// this is for who keeps a copy of both, and knows of this process alone: another replica is told by
/// its issuer.
#[derive(Clone, Debug)]
pub(crate) struct Used(Cache<String, ()>);

impl Used {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(REMEMBERED).build())
    }

    /// Whether it was not used before; from now on it is.
    pub(super) fn take(&self, tag: &Tag) -> bool {
        self.0.entry(tag.as_str().to_owned()).or_insert(()).is_fresh()
    }
}

/// Twice as long as a login may take.
const REMEMBERED: Duration = Duration::from_mins(20);
/// What is more than that is up to the issuer.
const MOST: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_taken_once() {
        let used = Used::new();
        assert!(used.take(&Tag::of("one")) && used.take(&Tag::of("two")));
        assert!(!used.take(&Tag::of("one")));
        assert!(!used.clone().take(&Tag::of("two")), "a new generation of the rules knows it");
    }
}

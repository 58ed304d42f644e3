//! What has been used here, and is good once.

use std::time::Duration;

use moka::sync::Cache;

use super::secrets::digest_of;

/// Each login, and each code, is finished once. The issuer takes a code once, whoever shows it; this is for
/// who keeps a copy of what is shown here, and knows of this process alone: another replica is told by the
/// issuer.
#[derive(Clone, Debug)]
pub(crate) struct Used(Cache<String, ()>);

impl Used {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(REMEMBERED).build())
    }

    /// Whether it was not used before; from now on it is.
    pub(super) fn take(&self, mark: &str) -> bool {
        self.0.entry(digest_of(mark)).or_insert(()).is_fresh()
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
        assert!(used.take("one") && used.take("two"));
        assert!(!used.take("one"));
        assert!(!used.clone().take("two"), "a new generation of the rules knows it");
    }
}

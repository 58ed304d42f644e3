//! What requests are called that do not say it themselves.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where names come from: hashes of a count, under a key that is random and of this process. They need
/// not be secret, and to ask the system for each would cost more than all else about them.
#[derive(Debug, Default)]
pub(crate) struct Names {
    key: RandomState,
    count: AtomicU64,
}

impl Names {
    pub(crate) fn next(&self) -> [u8; 16] {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let half = |which: u8| u128::from(self.key.hash_one((count, which)));
        (half(0) << 64 | half(1)).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_name_is_given_twice_nor_again_after_a_restart() {
        let (names, others) = (Names::default(), Names::default());
        let given: HashSet<_> = (0..10_000).flat_map(|_| [names.next(), others.next()]).collect();
        assert_eq!(given.len(), 20_000);
    }
}

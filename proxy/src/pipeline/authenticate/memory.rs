//! How much is remembered.

use std::iter::Sum;

/// What the caches of verdicts hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) verdicts: u64,
    /// Since the start.
    pub(crate) evicted: u64,
}

impl Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            verdicts: sum.verdicts + one.verdicts,
            evicted: sum.evicted + one.evicted,
        })
    }
}

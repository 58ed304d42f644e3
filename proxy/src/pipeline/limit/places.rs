//! Who has how many requests open.

#![expect(
    clippy::disallowed_types,
    reason = "looking and counting must be one step, or all that come at once pass; only requests \
              with a good token come here, and a shard is held for one entry"
)]

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::mark::{Mark, MarkHasher};

/// As many entries as there are callers with open requests: bounded by the connections.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<[Mutex<Shard>; SHARDS]>);

type Shard = HashMap<Mark, u32, BuildHasherDefault<MarkHasher>>;

impl Places {
    /// A place for one more request, unless `most` are taken.
    pub(super) fn take(&self, mark: Mark, most: u32) -> Option<Place> {
        let mut shard = self.shard(mark)?;
        let open = shard.entry(mark).or_default();
        if *open >= most {
            return None;
        }
        *open += 1;
        drop(shard);
        Some(Place { places: self.clone(), mark })
    }

    fn leave(&self, mark: Mark) {
        let Some(mut shard) = self.shard(mark) else { return };
        if let Some(open) = shard.get_mut(&mark) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                shard.remove(&mark);
            }
        }
    }

    fn shard(&self, mark: Mark) -> Option<MutexGuard<'_, Shard>> {
        let index = usize::try_from((mark.0 >> 32) % SHARDS as u64).ok()?;
        // Nothing in here panics between two changes that belong together.
        Some(self.0.get(index)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One request's place, for as long as it is open.
pub(in crate::pipeline) struct Place {
    places: Places,
    mark: Mark,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.leave(self.mark);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Mark = Mark(1);
    const OTHER: Mark = Mark(2);

    #[test]
    fn there_are_as_many_places_as_said_and_each_is_given_back() {
        let places = Places::default();
        let first = places.take(ONE, 2).unwrap();
        let second = places.take(ONE, 2).unwrap();
        assert!(places.take(ONE, 2).is_none());
        assert!(places.take(OTHER, 2).is_some(), "another's");
        drop(first);
        let third = places.take(ONE, 2).unwrap();
        assert!(places.take(ONE, 2).is_none());
        drop((second, third));
        let left: usize = places.0.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert_eq!(left, 0, "who has none open is forgotten");
    }
}

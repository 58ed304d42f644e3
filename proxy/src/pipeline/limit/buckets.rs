//! Who owes how much: a bucket for each, in memory that never grows.

#![expect(
    clippy::disallowed_types,
    reason = "looking and taking must be one step, or all that come at once pass; a set is held for \
              eight comparisons, and strangers do not know who shares theirs"
)]

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::Mark;
use crate::config::Rate;

/// Buckets that fill by themselves (GCRA): all that is kept of one is when it will be full again. So
/// one that is full and one that was never there are the same, and nothing needs to tidy up.
///
/// A mark picks a set of eight places. Is none left, the fullest bucket there gives way: whoever owes
/// the least is forgiven, and nobody is refused because others are many. To have a debt of their own
/// forgotten, one would need eight others in a set that they cannot know, each owing more; by chance
/// that takes about as many indebted others as there are places.
#[derive(Default)]
pub(super) struct Buckets(OnceLock<Box<[Mutex<Set>]>>);

type Set = [Bucket; 8];

#[derive(Clone, Copy, Default)]
struct Bucket {
    mark: u64,
    /// Nanoseconds since 1970.
    full_at: u64,
}

impl Buckets {
    /// Takes one, or tells how long to wait for one.
    pub(super) fn take(&self, mark: Mark, rate: Rate, now: Duration) -> Result<(), Duration> {
        let now = nanoseconds(now);
        let Some(mut set) = self.set(mark) else { return Ok(()) };
        let owed = owed_by(&set, mark, rate, now);
        let then = room(owed, rate)?;
        let place = set
            .iter()
            .position(|bucket| bucket.mark == mark.0)
            .or_else(|| (0..set.len()).min_by_key(|place| set.get(*place).map(|b| b.owes(now))));
        if let Some(bucket) = place.and_then(|place| set.get_mut(place)) {
            *bucket = Bucket { mark: mark.0, full_at: now.saturating_add(then) };
        }
        Ok(())
    }

    /// Whether there is one to take; else how long to wait for it.
    pub(super) fn check(&self, mark: Mark, rate: Rate, now: Duration) -> Result<(), Duration> {
        let Some(set) = self.set(mark) else { return Ok(()) };
        room(owed_by(&set, mark, rate, nanoseconds(now)), rate).map(|_| ())
    }

    fn set(&self, mark: Mark) -> Option<MutexGuard<'_, Set>> {
        let sets = self.0.get_or_init(|| (0..SETS).map(|_| Mutex::default()).collect());
        let set = usize::try_from(mark.0 % SETS).ok().and_then(|index| sets.get(index))?;
        // Whatever a panic left there is a time and nothing worse.
        Some(set.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Bucket {
    /// How far from full it is, in time. Further than any rate allows, the clock was set back: a debt
    /// that cannot be told is none.
    fn owes(self, now: u64) -> u64 {
        let owed = self.full_at.saturating_sub(now);
        if owed > nanoseconds(Rate::LONGEST) { 0 } else { owed }
    }
}

fn owed_by(set: &Set, mark: Mark, rate: Rate, now: u64) -> u64 {
    let bucket = set.iter().find(|bucket| bucket.mark == mark.0);
    let owed = bucket.map_or(0, |bucket| bucket.owes(now));
    if owed > capacity(rate) { 0 } else { owed }
}

/// What is owed when one more has been taken.
fn room(owed: u64, rate: Rate) -> Result<u64, Duration> {
    let then = owed.saturating_add(nanoseconds(rate.interval()));
    match then.saturating_sub(capacity(rate)) {
        0 => Ok(then),
        missing => Err(Duration::from_nanos(missing)),
    }
}

fn capacity(rate: Rate) -> u64 {
    nanoseconds(rate.interval()).saturating_mul(rate.count.into())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// With eight buckets of 16 bytes each: 65,536 of them in 1.1 MiB.
const SETS: u64 = 1 << 13;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { count: 10, window: Duration::from_secs(1) };

    fn mark(number: u64) -> Mark {
        // As a hash would spread them.
        let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Mark(mixed ^ (mixed >> 29))
    }

    fn at(milliseconds: u64) -> Duration {
        Duration::from_hours(490_000) + Duration::from_millis(milliseconds)
    }

    fn empty(buckets: &Buckets, mark: Mark, now: Duration) {
        for nth in 0..RATE.count {
            assert_eq!(buckets.take(mark, RATE, now), Ok(()), "{nth}");
        }
        assert!(buckets.take(mark, RATE, now).is_err());
    }

    #[test]
    fn a_bucket_is_emptied_at_once_and_fills_evenly() {
        let buckets = Buckets::default();
        empty(&buckets, mark(1), at(0));
        let wait = buckets.take(mark(1), RATE, at(0));
        assert_eq!(wait, Err(Duration::from_millis(100)));
        assert_eq!(buckets.check(mark(1), RATE, at(40)), Err(Duration::from_millis(60)));
        assert_eq!(buckets.check(mark(1), RATE, at(100)), Ok(()));
        assert_eq!(buckets.take(mark(1), RATE, at(100)), Ok(()));
        assert!(buckets.take(mark(1), RATE, at(100)).is_err(), "one has come, and is gone");
        empty(&buckets, mark(1), at(1100));
    }

    #[test]
    fn looking_and_being_refused_take_nothing() {
        let buckets = Buckets::default();
        for _ in 0..100 {
            assert_eq!(buckets.check(mark(1), RATE, at(0)), Ok(()));
        }
        empty(&buckets, mark(1), at(0));
        for _ in 0..100 {
            assert!(buckets.take(mark(1), RATE, at(0)).is_err());
        }
        assert_eq!(buckets.take(mark(1), RATE, at(100)), Ok(()));
    }

    #[test]
    fn each_has_a_bucket_of_its_own() {
        let buckets = Buckets::default();
        empty(&buckets, mark(1), at(0));
        assert_eq!(buckets.take(mark(2), RATE, at(0)), Ok(()));
        let neighbour = Mark(mark(1).0.wrapping_add(SETS));
        assert_eq!(buckets.take(neighbour, RATE, at(0)), Ok(()), "in the same set");
    }

    #[test]
    fn a_clock_that_is_set_back_forgives_and_locks_nobody_out() {
        let buckets = Buckets::default();
        empty(&buckets, mark(1), at(10_000));
        empty(&buckets, mark(1), at(5_000));
        empty(&buckets, mark(1), Duration::ZERO);
    }

    #[test]
    fn a_million_sources_take_no_more_room_and_keep_nobody_out() {
        let buckets = Buckets::default();
        empty(&buckets, mark(0), at(0));
        for number in 1..1_000_000 {
            assert_eq!(buckets.take(mark(number), RATE, at(1)), Ok(()), "{number}");
        }
        let bytes = buckets.0.get().map_or(0, |sets| size_of_val::<[_]>(sets));
        assert!(bytes <= 1200 << 10, "{bytes}");
        assert!(buckets.take(mark(0), RATE, at(2)).is_err(), "who owes the most is remembered");
    }

    #[test]
    fn of_many_at_once_as_many_pass_as_may() {
        let buckets = Buckets::default();
        let passed = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..RATE.count {
                        if buckets.take(mark(1), RATE, at(0)).is_ok() {
                            passed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), RATE.count);
    }
}

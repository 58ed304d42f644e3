//! How often strangers may make us ask: a handful at once, then one every so often.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket of looks that fills by one at a time.
pub(super) struct Budget {
    size: u32,
    earn: Duration,
    /// When all of it will have been earned again.
    full: Instant,
}

impl Budget {
    /// Of one issuer. Whatever strangers do, a look is at most one `earn` away.
    pub(super) fn of_one(now: Instant) -> Self {
        Self { size: 8, earn: Duration::from_secs(4), full: now }
    }

    /// Of all issuers together: as if eight of them were under attack at once, however many there
    /// are. Beyond that they take turns.
    pub(super) fn of_all(now: Instant) -> Self {
        Self { size: 32, earn: Duration::from_millis(500), full: now }
    }

    /// When the next look may begin; a time that has passed means at once.
    pub(super) fn next(&self) -> Instant {
        let before_full = self.earn.saturating_mul(self.size.saturating_sub(1));
        self.full.checked_sub(before_full).unwrap_or(self.full)
    }

    /// Pays for a look that begins at `now`.
    pub(super) fn spend(&mut self, now: Instant) {
        self.full = self.full.max(now) + self.earn;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many looks fit into `time`, taken as soon as they may be.
    fn looks(mut budget: Budget, from: Instant, time: Duration) -> usize {
        let mut now = from;
        std::iter::from_fn(|| {
            now = now.max(budget.next());
            (now <= from + time).then(|| budget.spend(now))
        })
        .count()
    }

    #[test]
    fn a_handful_at_once_then_one_every_four_seconds() {
        let now = Instant::now();
        assert_eq!(looks(Budget::of_one(now), now, Duration::ZERO), 8);
        assert_eq!(looks(Budget::of_one(now), now, Duration::from_secs(3)), 8);
        assert_eq!(looks(Budget::of_one(now), now, Duration::from_mins(1)), 8 + 15);
    }

    #[test]
    fn what_is_not_spent_comes_back_and_no_more_than_that() {
        let start = Instant::now();
        let mut budget = Budget::of_one(start);
        (0..8).for_each(|_| budget.spend(start));
        assert_eq!(budget.next(), start + Duration::from_secs(4));
        let later = start + Duration::from_hours(1);
        assert_eq!(looks(budget, later, Duration::ZERO), 8);
    }

    #[test]
    fn all_issuers_together_have_their_own_bound() {
        let now = Instant::now();
        assert_eq!(looks(Budget::of_all(now), now, Duration::from_secs(10)), 32 + 20);
    }
}

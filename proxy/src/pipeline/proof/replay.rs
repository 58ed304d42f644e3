//! Which proofs have been used: bounded, and closed when full (RFC 9449 section 11.1).

#![expect(
    clippy::disallowed_types,
    reason = "looking and inserting must be one step, or a proof that is sent twice at once passes \
              twice; only requests with a proof come here, and a shard is held for one insertion"
)]

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use aws_lc_rs::digest;

use super::{Sha256, Unproven, dpop};

/// The proofs of the last minutes. Only those come here whose token and whose every other check
/// held: a stranger cannot fill it, and whoever has a token fills the shard of their own key.
pub(super) struct Used(Box<[Mutex<Shard>]>);

/// Two generations: what is in the older one was used so long ago that it is refused for its age.
#[derive(Default)]
struct Shard {
    generation: u64,
    current: HashSet<Name>,
    before: HashSet<Name>,
}

/// Half a SHA-256 of the key and the proof's own name.
type Name = [u8; 16];

impl Used {
    pub(super) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    /// Notes that a proof is used now; fails if it was before, or if nothing more can be noted.
    pub(super) fn note(&self, key: &Sha256, id: &str, now: Duration) -> Result<(), Unproven> {
        let [first, ..] = key;
        let shard = self.0.get(usize::from(*first) % SHARDS).ok_or(Unproven::Full)?;
        // A shard that was left in the middle of a panic may have forgotten something.
        let mut shard = shard.lock().map_err(|_| Unproven::Full)?;
        shard.turn(now.as_secs() / GENERATION);
        shard.note(name(key, id))
    }
}

impl Shard {
    /// A clock that goes back a little forgets nothing. One that goes back far was wrong before: what
    /// is remembered ages from now on, or nothing would be forgotten before it is there again, and
    /// nobody let in. So a proof from that time may be used once more when that time comes.
    fn turn(&mut self, generation: u64) {
        if generation + 1 < self.generation {
            self.before.extend(self.current.drain());
            self.generation = generation;
        }
        if generation <= self.generation {
            return;
        }
        let last = std::mem::take(&mut self.current);
        let follows = generation == self.generation + 1;
        self.before = if follows { last } else { HashSet::new() };
        self.generation = generation;
    }

    fn note(&mut self, name: Name) -> Result<(), Unproven> {
        if self.current.contains(&name) || self.before.contains(&name) {
            return Err(Unproven::Replayed);
        }
        // After a step back there may be more than one generation's in the older one.
        if self.current.len() >= MOST || self.current.len() + self.before.len() >= 2 * MOST {
            return Err(Unproven::Full);
        }
        self.current.insert(name);
        Ok(())
    }
}

fn name(key: &Sha256, id: &str) -> Name {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(key);
    context.update(id.as_bytes());
    let mut name = Name::default();
    for (to, from) in name.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    name
}

const SHARDS: usize = 16;

/// In a shard's generation: some 470 requests a second under one key, and 34 MiB in all. As many as a
/// set of 2^16 places takes before it doubles.
const MOST: usize = 7 << 13;

/// Seconds from the first moment at which a proof is accepted to the last.
const GENERATION: u64 = 2 * dpop::WINDOW.as_secs();

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const KEY: Sha256 = [7; 32];

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_proof_is_used_once_for_as_long_as_it_is_good() {
        for start in [0, 119, 120, 121, 239] {
            let used = Used::new();
            assert_eq!(used.note(&KEY, "a", at(start)), Ok(()));
            for later in [0, 1, 60, 119, 120] {
                let again = used.note(&KEY, "a", at(start + later));
                assert_eq!(again, Err(Unproven::Replayed), "{start} + {later}");
            }
            assert_eq!(used.note(&KEY, "a", at(start + 240)), Ok(()), "forgotten");
        }
    }

    #[test]
    fn another_key_may_use_the_same_name() {
        let used = Used::new();
        assert_eq!(used.note(&KEY, "a", at(0)), Ok(()));
        assert_eq!(used.note(&[8; 32], "a", at(0)), Ok(()));
        assert_eq!(used.note(&KEY, "b", at(0)), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_forgets_nothing() {
        let used = Used::new();
        assert_eq!(used.note(&KEY, "a", at(10_000)), Ok(()));
        assert_eq!(used.note(&KEY, "a", at(0)), Err(Unproven::Replayed));
    }

    #[test]
    fn a_clock_that_was_ahead_keeps_nobody_out_for_long() {
        let used = Used::new();
        for id in 0..MOST {
            assert_eq!(used.note(&KEY, &id.to_string(), at(1_000_000)), Ok(()));
        }
        assert_eq!(used.note(&KEY, "new", at(1_000_000)), Err(Unproven::Full));
        assert_eq!(used.note(&KEY, "new", at(1_200)), Ok(()), "the clock is right again");
        assert_eq!(used.note(&KEY, "new", at(1_320)), Err(Unproven::Replayed), "as ever");
        assert_eq!(used.note(&KEY, "new", at(1_440)), Ok(()), "forgotten, as ever");
    }

    #[test]
    fn a_clock_that_jumps_to_and_fro_does_not_make_the_store_grow() {
        let used = Used::new();
        let mut noted = 0;
        for jump in 0..8 {
            let now = at(1_000_000 - jump * 10_000);
            let ids = (0..MOST).map(|id| format!("{jump} {id}"));
            noted += ids.filter(|id| used.note(&KEY, id, now).is_ok()).count();
        }
        assert_eq!(noted, 2 * MOST);
        assert_eq!(used.note(&KEY, "new", at(930_000 + 240)), Ok(()), "the next generations");
    }

    #[test]
    fn a_full_shard_refuses_and_the_others_do_not() {
        let used = Used::new();
        for id in 0..MOST {
            assert_eq!(used.note(&KEY, &id.to_string(), at(0)), Ok(()));
        }
        assert_eq!(used.note(&KEY, "new", at(0)), Err(Unproven::Full));
        assert_eq!(used.note(&KEY, "0", at(0)), Err(Unproven::Replayed), "still known");
        assert_eq!(used.note(&[8; 32], "new", at(0)), Ok(()), "another shard");
        assert_eq!(used.note(&KEY, "new", at(120)), Ok(()), "the next generation");
        assert_eq!(used.note(&KEY, "0", at(120)), Err(Unproven::Replayed), "still known");
    }

    #[test]
    fn of_many_at_once_one_is_the_first() {
        let used = Used::new();
        let passed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    if used.note(&KEY, "a", at(0)).is_ok() {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 1);
    }
}

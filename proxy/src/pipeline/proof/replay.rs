//! Which proofs have been used: bounded, and closed when full (RFC 9449 section 11.1).

#![expect(
    clippy::disallowed_types,
    reason = "looking and inserting must be one step, or a proof that is sent twice at once passes \
              twice; only requests with a proof come here, and a shard is held for one insertion"
)]

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use aws_lc_rs::{digest, hmac};

use super::{Sha256, Unproven, dpop};

/// The proofs of the last minutes. Only those come here whose token may pass: a stranger cannot fill
/// it, and whoever may pass fills no more than the part of their own key.
pub(super) struct Used {
    shards: Box<[Mutex<Shard>]>,
    /// Places keys where nobody outside can tell, so that nobody can choose whom to stand beside.
    placing: hmac::Key,
}

/// Two generations: what is in the older one was used so long ago that it is refused for its age.
struct Shard {
    generation: u64,
    current: HashSet<Name>,
    /// How many of those came under the keys of each place.
    counts: Vec<u16>,
    before: HashSet<Name>,
}

/// What is noted of a proof that has not been used yet.
#[derive(Debug)]
pub(super) struct Mark {
    place: u16,
    name: Name,
}

/// Half a SHA-256 of the key and the proof's own name.
type Name = [u8; 16];

impl Used {
    /// `secret` is random: whoever knows it can tell which keys share a place.
    pub(super) fn new(secret: &[u8]) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect();
        Self { shards, placing: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// What a proof will be noted as.
    pub(super) fn mark(&self, key: &Sha256, id: &str) -> Mark {
        Mark { place: self.place(key), name: name(key, id) }
    }

    /// Notes that a proof is used now; fails if it was before, or if nothing more can be noted.
    pub(super) fn note(&self, mark: &Mark, now: Duration) -> Result<(), Unproven> {
        let place = usize::from(mark.place);
        let shard = self.shards.get(place % SHARDS).ok_or(Unproven::Full)?;
        // A shard that was left in the middle of a panic may have forgotten something.
        let mut shard = shard.lock().map_err(|_| Unproven::Full)?;
        shard.turn(now.as_secs() / GENERATION);
        shard.note(mark.name, place / SHARDS)
    }

    fn place(&self, key: &Sha256) -> u16 {
        let tag = hmac::sign(&self.placing, key);
        u16::from_be_bytes(tag.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl Shard {
    fn new() -> Self {
        let counts = vec![0; PLACES];
        Self { generation: 0, current: HashSet::new(), counts, before: HashSet::new() }
    }

    /// A clock that goes back a little forgets nothing. One that goes back far was wrong before: what
    /// is remembered ages from now on, or nothing would be forgotten before it is there again, and
    /// nobody let in. So a proof from that time may be used once more when that time comes.
    fn turn(&mut self, generation: u64) {
        if generation + 1 < self.generation {
            self.before.extend(self.current.drain());
            self.counts.fill(0);
            self.generation = generation;
        }
        if generation <= self.generation {
            return;
        }
        let last = std::mem::take(&mut self.current);
        self.counts.fill(0);
        let follows = generation == self.generation + 1;
        self.before = if follows { last } else { HashSet::new() };
        self.generation = generation;
    }

    fn note(&mut self, name: Name, place: usize) -> Result<(), Unproven> {
        if self.current.contains(&name) || self.before.contains(&name) {
            return Err(Unproven::Replayed);
        }
        // After a step back there may be more than one generation's in the older one.
        if self.current.len() >= MOST || self.current.len() + self.before.len() >= 2 * MOST {
            return Err(Unproven::Full);
        }
        let count = self.counts.get_mut(place).filter(|count| **count < MOST_OF_ONE);
        *count.ok_or(Unproven::Full)? += 1;
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

/// In each shard: as many as are left of sixteen bits.
const PLACES: usize = (1 << 16) / SHARDS;

/// In a shard's generation: some 470 requests a second, and 34 MiB in all. As many as a set of 2^16
/// places takes before it doubles.
const MOST: usize = 7 << 13;

/// In a place's generation: some 120 requests a second under one key. Few keys share a place, and
/// which do nobody can choose.
const MOST_OF_ONE: u16 = 7 << 11;

/// Seconds from the first moment at which a proof is accepted to the last.
const GENERATION: u64 = 2 * dpop::WINDOW.as_secs();

/// Seconds after which there is room again for sure: another generation has begun.
pub(in crate::pipeline) const ROOM_AFTER: &str = "120";

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const KEY: Sha256 = [7; 32];

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn used() -> Used {
        Used::new(b"secret")
    }

    /// Another key, of the same shard or of another one.
    fn beside(used: &Used, same: bool) -> Sha256 {
        let place = used.place(&KEY);
        let mut others = (0..=u8::MAX).map(|byte| [byte; 32]);
        let is_it = |key: &Sha256| {
            let other = used.place(key);
            (shard(other) == shard(place)) == same && other != place
        };
        others.find(is_it).unwrap()
    }

    fn shard(place: u16) -> usize {
        usize::from(place) % SHARDS
    }

    #[test]
    fn a_proof_is_used_once_for_as_long_as_it_is_good() {
        for start in [0, 119, 120, 121, 239] {
            let used = used();
            assert_eq!(used.note(&used.mark(&KEY, "a"), at(start)), Ok(()));
            for later in [0, 1, 60, 119, 120] {
                let again = used.note(&used.mark(&KEY, "a"), at(start + later));
                assert_eq!(again, Err(Unproven::Replayed), "{start} + {later}");
            }
            assert_eq!(used.note(&used.mark(&KEY, "a"), at(start + 240)), Ok(()), "forgotten");
        }
    }

    #[test]
    fn another_key_may_use_the_same_name() {
        let used = used();
        assert_eq!(used.note(&used.mark(&KEY, "a"), at(0)), Ok(()));
        assert_eq!(used.note(&used.mark(&[8; 32], "a"), at(0)), Ok(()));
        assert_eq!(used.note(&used.mark(&KEY, "b"), at(0)), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_forgets_nothing() {
        let used = used();
        assert_eq!(used.note(&used.mark(&KEY, "a"), at(10_000)), Ok(()));
        assert_eq!(used.note(&used.mark(&KEY, "a"), at(0)), Err(Unproven::Replayed));
    }

    /// As many as fit, under as many keys as that takes. Tells how many fitted.
    fn fill(used: &Used, now: Duration) -> usize {
        let here = |key: &Sha256| shard(used.place(key)) == shard(used.place(&KEY));
        let keys = (0..=u8::MAX).map(|byte| [byte; 32]).filter(here).take(5);
        let ids: Vec<String> = (0..MOST_OF_ONE).map(|id| format!("{now:?} {id}")).collect();
        let marks = keys.flat_map(|key| ids.iter().map(move |id| used.mark(&key, id)));
        marks.filter(|mark| used.note(mark, now).is_ok()).count()
    }

    #[test]
    fn a_clock_that_was_ahead_keeps_nobody_out_for_long() {
        let used = used();
        let new = used.mark(&KEY, "new");
        assert_eq!(fill(&used, at(1_000_000)), MOST);
        assert_eq!(used.note(&new, at(1_000_000)), Err(Unproven::Full));
        assert_eq!(used.note(&new, at(1_200)), Ok(()), "the clock is right again");
        assert_eq!(used.note(&new, at(1_320)), Err(Unproven::Replayed), "as ever");
        assert_eq!(used.note(&new, at(1_440)), Ok(()), "forgotten, as ever");
    }

    #[test]
    fn a_clock_that_jumps_to_and_fro_does_not_make_the_store_grow() {
        let used = used();
        let jumps = (0..4).map(|jump| fill(&used, at(1_000_000 - jump * 10_000)));
        assert_eq!(jumps.sum::<usize>(), 2 * MOST);
        let new = used.mark(&KEY, "new");
        assert_eq!(used.note(&new, at(970_000 + 120)), Ok(()), "the next generation");
    }

    #[test]
    fn a_full_shard_refuses_and_the_others_do_not() {
        let used = used();
        let id = format!("{:?} 0", at(0));
        assert_eq!(used.note(&used.mark(&KEY, &id), at(0)), Ok(()));
        assert_eq!(fill(&used, at(0)), MOST - 1);
        assert_eq!(used.note(&used.mark(&KEY, "new"), at(0)), Err(Unproven::Full));
        assert_eq!(used.note(&used.mark(&KEY, &id), at(0)), Err(Unproven::Replayed), "known");
        let other = beside(&used, false);
        assert_eq!(used.note(&used.mark(&other, "new"), at(0)), Ok(()), "another shard");
        let next = at(GENERATION);
        assert_eq!(used.note(&used.mark(&KEY, "new"), next), Ok(()), "the next generation");
        assert_eq!(used.note(&used.mark(&KEY, &id), next), Err(Unproven::Replayed), "known");
    }

    #[test]
    fn one_key_cannot_fill_the_shard_that_it_shares() {
        let used = used();
        for id in 0..MOST_OF_ONE {
            assert_eq!(used.note(&used.mark(&KEY, &id.to_string()), at(0)), Ok(()));
        }
        assert_eq!(used.note(&used.mark(&KEY, "new"), at(0)), Err(Unproven::Full));
        assert_eq!(used.note(&used.mark(&KEY, "0"), at(0)), Err(Unproven::Replayed), "known");
        let other = beside(&used, true);
        assert_eq!(used.note(&used.mark(&other, "new"), at(0)), Ok(()), "the same shard");
        let next = at(GENERATION);
        assert_eq!(used.note(&used.mark(&KEY, "new"), next), Ok(()), "the next generation");
    }

    #[test]
    fn who_is_told_to_wait_comes_back_when_there_is_room() {
        assert_eq!(ROOM_AFTER, GENERATION.to_string());
    }

    #[test]
    fn where_a_key_stands_is_a_secret() {
        let stands = |secret: &[u8]| Used::new(secret).place(&KEY);
        assert_eq!(stands(b"one"), stands(b"one"));
        assert_ne!(stands(b"one"), stands(b"other"));
    }

    #[test]
    fn of_many_at_once_one_is_the_first() {
        let used = used();
        let passed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    if used.note(&used.mark(&KEY, "a"), at(0)).is_ok() {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 1);
    }
}

//! The last requests that were refused, for whoever looks: so many and no more, and what tells nothing of
//! tokens.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;

use super::log::seen;
use crate::reason::Reason;

/// One of them.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) time: SystemTime,
    pub(crate) reason: Reason,
    /// Why a stream was ended, if that is what happened.
    pub(crate) ended: Option<Reason>,
    pub(crate) status: u16,
    pub(crate) method: Short,
    pub(crate) path: Short,
    /// Who, if the token was good.
    pub(crate) issuer: Option<Short>,
    pub(crate) subject: Option<Short>,
    pub(crate) client: Option<Short>,
    /// What was called, and which rule refused it.
    pub(crate) call: Option<Short>,
    pub(crate) name: Option<Short>,
    pub(crate) rule: Option<Short>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) request_id: Option<Short>,
}

/// What somebody else wrote: its beginning, all of it visible.
#[derive(Debug)]
pub(crate) struct Short(Box<str>);

impl Short {
    pub(crate) fn of(text: &str) -> Self {
        let mut kept = seen(text.chars().take(LONGEST));
        if text.chars().nth(LONGEST).is_some() {
            kept.push('\u{2026}');
        }
        Self(kept.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Those that are remembered. Requests write into it without waiting for each other.
#[derive(Debug)]
pub(super) struct Refusals {
    places: Box<[ArcSwapOption<(u64, Refusal)>]>,
    count: AtomicU64,
}

impl Refusals {
    pub(super) fn new() -> Self {
        let places = (0..MOST).map(|_| ArcSwapOption::empty()).collect();
        Self { places, count: AtomicU64::new(0) }
    }

    pub(super) fn note(&self, refusal: Refusal) {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(number).unwrap_or_default() % MOST;
        if let Some(place) = self.places.get(place) {
            place.store(Some(Arc::new((number, refusal))));
        }
    }

    /// The latest first.
    pub(super) fn latest(&self) -> Vec<Arc<(u64, Refusal)>> {
        let mut all: Vec<_> = self.places.iter().filter_map(ArcSwapOption::load_full).collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.0));
        all
    }
}

const MOST: usize = 64;
const LONGEST: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &str) -> Refusal {
        Refusal {
            time: SystemTime::UNIX_EPOCH,
            reason: Reason::NotFound,
            ended: None,
            status: 404,
            method: Short::of("GET"),
            path: Short::of(path),
            issuer: None,
            subject: None,
            client: None,
            call: None,
            name: None,
            rule: None,
            address: None,
            request_id: None,
        }
    }

    #[test]
    fn only_the_last_ones_are_kept_and_the_latest_is_told_first() {
        let refusals = Refusals::new();
        for number in 0..200 {
            refusals.note(refusal(&number.to_string()));
        }
        let told = refusals.latest();
        assert_eq!(told.len(), MOST);
        let paths: Vec<_> = told.iter().map(|one| one.1.path.as_str()).collect();
        assert_eq!((paths[0], paths[1], paths[MOST - 1]), ("199", "198", "136"));
    }

    #[test]
    fn what_others_wrote_is_cut_and_made_visible() {
        let long = Short::of(&"x".repeat(10_000));
        assert_eq!(long.as_str().chars().count(), LONGEST + 1);
        assert_eq!(Short::of(&"x".repeat(LONGEST)).as_str().len(), LONGEST);
        let odd = Short::of("a\u{1b}[2J\n\u{202e}<b>");
        assert_eq!(odd.as_str(), "a\\u001b[2J\\u000a\\u202e<b>");
    }
}

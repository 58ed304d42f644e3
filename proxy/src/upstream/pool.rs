//! The servers of one resource, and the choice among them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::backend::{Backend, Hold};
use crate::config::Upstream;
use crate::pipeline::session::BackendTag;

/// Servers that are alike.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) upstream: Upstream,
    /// Written by who looks names up.
    pub(super) all: ArcSwap<Vec<Arc<Backend>>>,
    /// Whether each name has been looked up.
    pub(super) known: AtomicBool,
    /// Whether each has had an address: a server that is not there then is none of ours.
    pub(super) complete: AtomicBool,
    /// Where the next look begins: of servers that have as much to do, each has its turn.
    turn: AtomicUsize,
}

/// Why a request goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unplaced {
    /// Its session's server is none of ours any more.
    Gone,
    /// Its session's server is down; or none is known.
    Down,
    /// All have as much to do as they may.
    Full,
}

impl Pool {
    pub(super) fn new(upstream: &Upstream, all: Vec<Arc<Backend>>) -> Self {
        Self {
            upstream: upstream.clone(),
            all: ArcSwap::from_pointee(all),
            known: AtomicBool::new(false),
            complete: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
        }
    }

    /// All there are at the moment.
    pub(crate) fn backends(&self) -> Arc<Vec<Arc<Backend>>> {
        self.all.load_full()
    }

    /// How long an answer may take to begin.
    pub(crate) fn answer_timeout(&self) -> Option<Duration> {
        self.upstream.answer_timeout
    }

    /// A server for a request; the one that its session is at, if it has any.
    pub(crate) fn choose(&self, session: Option<BackendTag>) -> Result<Hold, Unplaced> {
        let all = self.all.load();
        if let Some(tag) = session {
            let Some(at) = all.iter().find(|backend| backend.tag() == tag) else {
                let complete = self.complete.load(Ordering::Relaxed);
                return Err(if complete { Unplaced::Gone } else { Unplaced::Down });
            };
            // The only one is asked in any case.
            if !at.is_up() && all.len() > 1 {
                return Err(Unplaced::Down);
            }
            return Hold::take(at).ok_or(Unplaced::Full);
        }
        match &***all {
            [only] => Hold::take(only).ok_or(Unplaced::Full),
            all => self.least_loaded(all, &[]),
        }
    }

    /// Another one than those that have been tried.
    pub(crate) fn choose_again(&self, tried: &[Arc<Backend>]) -> Result<Hold, Unplaced> {
        self.least_loaded(&self.all.load(), tried)
    }

    /// Of those that are up the one that has least to do. If none is, the one that has failed least:
    /// to ask it costs no more than to say no, and all may be well again.
    fn least_loaded(&self, all: &[Arc<Backend>], tried: &[Arc<Backend>]) -> Result<Hold, Unplaced> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let first = turn.checked_rem(all.len()).unwrap_or_default();
        let untried = || {
            let in_turn = all.iter().cycle().skip(first).take(all.len());
            in_turn.filter(|backend| !tried.iter().any(|other| Arc::ptr_eq(backend, other)))
        };
        let up = untried().filter(|backend| backend.is_up()).min_by_key(|backend| backend.open());
        let least_bad = || untried().min_by_key(|one| (one.health.failures(), one.open()));
        let chosen = up.or_else(least_bad).ok_or(Unplaced::Down)?;
        Hold::take(chosen).ok_or(Unplaced::Full)
    }
}

//! How a server is, as requests and looks at it tell.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use tokio::sync::Notify;

/// Requests only note how they ended; who looks after the server says when it is well again.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: AtomicU8,
    /// In a row.
    failures: AtomicU32,
    /// Rings whenever the state is another one.
    changed: Notify,
}

/// What became of a request, or of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There was no connection to be had.
    Connect,
    /// Nor was one refused.
    ConnectTimeout,
    /// The connection ended before an answer began.
    NoAnswer,
    /// No answer began in time.
    AnswerTimeout,
    /// What was looked at was not as it should be.
    Check,
}

impl Failure {
    /// Its name in metrics and in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::NoAnswer => "no_answer",
            Self::AnswerTimeout => "answer_timeout",
            Self::Check => "check",
        }
    }

    /// After how many in a row requests go elsewhere. Where nobody listens, nobody will answer; a request
    /// that is not answered may have been the fault of that request.
    fn most(self) -> u32 {
        match self {
            Self::Connect | Self::ConnectTimeout => 1,
            Self::NoAnswer | Self::AnswerTimeout | Self::Check => 3,
        }
    }
}

impl Health {
    pub(super) fn is_up(&self) -> bool {
        self.state.load(Ordering::Relaxed) == UP
    }

    /// In a row, so far.
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// True if it is down from now on.
    pub(super) fn failed(&self, how: Failure) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        failures >= how.most() && self.turn(UP, FAILING)
    }

    /// True if it is up from now on. What looks found unwell is not well because it answers.
    pub(super) fn answered(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.failures.store(0, Ordering::Relaxed);
        self.turn(FAILING, UP)
    }

    /// By looks. True if it is down from now on.
    pub(super) fn found_unwell(&self) -> bool {
        self.state.swap(UNWELL, Ordering::Relaxed) == UP
    }

    /// By looks. True if it is up from now on.
    pub(super) fn found_well(&self) -> bool {
        self.failures.store(0, Ordering::Relaxed);
        self.state.swap(UP, Ordering::Relaxed) != UP
    }

    /// Waits until it may be another one. Only one may wait.
    pub(super) async fn changes(&self) {
        self.changed.notified().await;
    }

    fn turn(&self, from: u8, to: u8) -> bool {
        let turned = self.state.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
        if turned.is_ok() {
            self.changed.notify_one();
        }
        turned.is_ok()
    }
}

const UP: u8 = 0;
/// Requests have failed.
const FAILING: u8 = 1;
/// Looks have failed.
const UNWELL: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_listens_nothing_more_is_sent_and_an_answer_brings_it_back() {
        let health = Health::default();
        assert!(health.failed(Failure::Connect));
        assert!(!health.failed(Failure::Connect), "no news");
        assert!(!health.is_up());
        assert!(health.answered() && health.is_up());
        assert_eq!(health.failures(), 0);
    }

    #[test]
    fn three_requests_in_a_row_must_go_unanswered() {
        let health = Health::default();
        for _ in 0..5 {
            assert!(!health.failed(Failure::NoAnswer));
            assert!(!health.failed(Failure::AnswerTimeout));
            assert!(!health.answered());
        }
        assert!(!health.failed(Failure::NoAnswer) && !health.failed(Failure::NoAnswer));
        assert!(health.is_up() && health.failed(Failure::NoAnswer) && !health.is_up());
    }

    #[test]
    fn what_looks_found_unwell_is_well_when_they_say_so() {
        let health = Health::default();
        health.failed(Failure::NoAnswer);
        assert!(health.found_unwell() && !health.found_unwell());
        assert!(!health.answered() && !health.is_up());
        assert!(health.found_well() && health.is_up() && !health.found_well());
    }
}

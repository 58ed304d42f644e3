//! What is kept of an issuer's keys: the one place that writes to its keyring.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::source::NoKeys;
use crate::holder::KeyHolder;
use crate::keys::KeySet;
use crate::keys::jwks::{Parsed, Skipped};
use crate::record::KeyGauges;

/// An issuer's keyring, and what was said about it so far.
pub(super) struct Keep {
    holder: KeyHolder,
    gauges: KeyGauges,
    tell: watch::Sender<u64>,
    /// When the keys are too old to be used.
    good_until: Option<Instant>,
    /// The last set, also when it is no longer in force.
    last: Option<Arc<KeySet>>,
    skipped: Vec<Skipped>,
    complaint: String,
}

impl Keep {
    pub(super) fn new(holder: &KeyHolder, gauges: KeyGauges, tell: watch::Sender<u64>) -> Self {
        Self {
            holder: holder.clone(),
            gauges,
            tell,
            good_until: None,
            last: None,
            skipped: Vec::new(),
            complaint: String::new(),
        }
    }

    /// Takes over a set that was published at `now`.
    pub(super) fn take_over(&mut self, parsed: Parsed, now: Instant) {
        let count = parsed.keys.len();
        self.good_until = Some(now + self.holder.issuer.keys_max_age);
        self.complaint.clear();
        if self.holder.keyring.replace(parsed.keys) {
            tracing::info!(issuer = self.issuer(), keys = count, "new keys");
            self.note_reuse();
            self.tell.send_modify(|changes| *changes += 1);
        }
        self.note_skipped(parsed.skipped);
        self.gauges.fetched(count);
    }

    /// What was there before stays.
    pub(super) fn could_not(&mut self, why: &NoKeys, failures: u32) {
        let kept = self.holder.keyring.current().is_some();
        let why = why.to_string();
        // Said when it is news, and ever more rarely while it is not.
        if why != self.complaint || failures.is_power_of_two() {
            tracing::warn!(issuer = self.issuer(), %why, kept, failures, "keys not fetched");
        }
        self.complaint = why;
        self.gauges.failed();
    }

    /// Ends when the keys are too old; never while there are none.
    pub(super) async fn too_old(&self) {
        match self.good_until {
            Some(end) => sleep_until(end).await,
            None => future::pending().await,
        }
    }

    /// Nobody has vouched for these keys for too long.
    pub(super) fn drop_keys(&mut self) {
        self.good_until = None;
        if self.holder.keyring.empty() {
            let age = self.holder.issuer.keys_max_age.as_secs();
            tracing::error!(issuer = self.issuer(), keys_max_age = age, "keys too old to be used");
            self.tell.send_modify(|changes| *changes += 1);
        }
        self.gauges.emptied();
    }

    /// Tells when the next look is due.
    pub(super) fn next_look_in(&self, pause: Duration) {
        self.gauges.next_look_in(pause);
    }

    /// No look may be so late that the keys are too old by then.
    pub(super) fn longest_pause(&self) -> Duration {
        self.holder.issuer.keys_max_age / 2
    }

    /// A name that means another key than it did: the issuer's mistake, or not the issuer.
    fn note_reuse(&mut self) {
        let now = self.holder.keyring.current();
        if let (Some(now), Some(last)) = (&now, &self.last) {
            for id in now.reused_since(last) {
                tracing::warn!(issuer = self.issuer(), key = id, "key id reused for another key");
                self.gauges.reused();
            }
        }
        self.last = now;
    }

    fn note_skipped(&mut self, skipped: Vec<Skipped>) {
        let faults = skipped.iter().filter(|skipped| skipped.why.is_fault()).count();
        self.gauges.skipped(faults);
        if skipped == self.skipped {
            return;
        }
        for Skipped { id, why } in skipped.iter().take(MOST_TOLD) {
            let (issuer, id) = (self.issuer(), id.as_deref().unwrap_or("-"));
            if why.is_fault() {
                tracing::warn!(issuer, key = id, %why, "key skipped");
            } else {
                tracing::debug!(issuer, key = id, %why, "key of no use here");
            }
        }
        self.skipped = skipped;
    }

    fn issuer(&self) -> &str {
        self.holder.issuer.issuer.as_str()
    }
}

/// The gauge tells of all of them.
const MOST_TOLD: usize = 20;

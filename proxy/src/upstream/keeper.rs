//! Looks after one server: notices when it is not well, if it is to be looked at, and when it is again.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::backend::Backend;
use super::health::Failure;
use super::prober::Prober;
use crate::config::Check;

/// For ever. No request is ever sent to find out whether a server is well again.
pub(super) async fn keep(backend: Arc<Backend>, check: Option<Check>, prober: Arc<Prober>) {
    let (mut pause, mut came_back) = (FIRST, None::<Instant>);
    let ward = Ward { backend, check, prober };
    loop {
        ward.watch().await;
        // One that comes and goes is left alone for longer each time.
        pause = match came_back {
            Some(at) if at.elapsed() < LONGEST => pause.saturating_mul(2).min(LONGEST),
            Some(_) | None => FIRST,
        };
        ward.nurse(&mut pause).await;
        came_back = Some(Instant::now());
    }
}

struct Ward {
    backend: Arc<Backend>,
    check: Option<Check>,
    prober: Arc<Prober>,
}

impl Ward {
    /// Until it is down.
    async fn watch(&self) {
        let mut failures = 0;
        while self.backend.is_up() {
            let Some(check) = &self.check else {
                self.backend.health.changes().await;
                continue;
            };
            match self.prober.look(&self.backend, Some(check)).await {
                Ok(()) => failures = 0,
                Err(why) => {
                    failures += 1;
                    self.backend.check_failed();
                    if failures >= check.failures {
                        self.backend.found_unwell(&format!("{}: {why}", Failure::Check.name()));
                        return;
                    }
                }
            }
            self.rest(check.interval).await;
        }
    }

    /// Until it is up.
    async fn nurse(&self, pause: &mut Duration) {
        let mut successes = 0;
        self.rest(*pause).await;
        while !self.backend.is_up() {
            let found = self.prober.look(&self.backend, self.check.as_ref()).await;
            let wanted = self.check.as_ref().map_or(1, |check| check.successes);
            successes = if found.is_ok() { successes + 1 } else { 0 };
            if successes >= wanted {
                self.backend.found_well();
                return;
            }
            *pause = pause.saturating_mul(2).min(LONGEST);
            self.rest(self.check.as_ref().map_or(*pause, |check| check.interval)).await;
        }
    }

    /// That long, more or less, so that replicas do not come all at once; or until something changes.
    async fn rest(&self, wait: Duration) {
        drop(timeout(about(wait), self.backend.health.changes()).await);
    }
}

/// Up to a tenth less or more.
pub(super) fn about(wait: Duration) -> Duration {
    let chance = u32::try_from(RandomState::new().hash_one(0_u8) % 201).unwrap_or(100);
    wait.mul_f64(f64::from(900 + chance) / 1000.0)
}

/// As long as a restart takes.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

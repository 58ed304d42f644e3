//! The end of a server: nobody is turned away who can be served, and nobody waits for ever.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Server;
use crate::edge::{Edge, Guests};

/// Why it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It was told to, or cannot go on.
    Stopped,
    /// Another process serves at its sockets.
    Succeeded,
}

impl Server {
    /// Says no to probes first, stops accepting, lets requests end, ends streams, and cuts the rest last.
    /// Each time that `hurry` ends, what is being waited for is waited for no longer.
    pub(crate) async fn drain(mut self, why: Departure, mut hurry: impl AsyncFnMut()) {
        self.stopping.store(true, Ordering::Relaxed);
        // A handle that is kept keeps the socket.
        drop(self.sockets());
        if let Some(delay) = self.shutdown_delay.filter(|_| why == Departure::Stopped) {
            tokio::select! {
                () = sleep(delay) => (),
                // What breaks now needs no other end.
                () = self.run() => (),
                () = hurry() => (),
            }
        }
        let admin = match why {
            Departure::Stopped => Admin::Open(self.admin),
            // Probes and scrapes shall meet the successor alone.
            Departure::Succeeded => Admin::Closed(self.admin.close().await),
        };
        let redirect = match self.redirect {
            Some(redirect) => Some(redirect.close().await),
            None => None,
        };
        let mut guests = self.gateway.close().await;
        let last_words = LAST_WORDS.min(self.shutdown_timeout / 4);
        let gone = tokio::select! {
            () = guests.gone() => true,
            () = sleep(self.shutdown_timeout.saturating_sub(last_words)) => false,
            () = hurry() => false,
        };
        if !gone {
            self.leaving.send_replace(true);
            drop(timeout(last_words, guests.gone()).await);
        }
        let cut = guests.cut().await;
        if cut > 0 {
            tracing::warn!(connections = cut, "cut at the end of shutdown_timeout");
        }
        if let Some(redirect) = redirect {
            redirect.cut().await;
        }
        tokio::join!(self.audit.finish(), self.spans.finish());
        // A disk that hangs keeps its thread; it goes with the process.
        drop(timeout(PATIENCE, self.generations.tasks().shutdown()).await);
        let admin = match admin {
            Admin::Open(edge) => edge.close().await,
            Admin::Closed(mut guests) => {
                drop(timeout(LAST_WORDS, guests.gone()).await);
                guests
            }
        };
        admin.cut().await;
    }
}

/// The listener for probes and scrapes.
enum Admin {
    Open(Edge),
    Closed(Guests),
}

/// How long streams may take to hear that they are over.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What runs beside the requests has nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(2);

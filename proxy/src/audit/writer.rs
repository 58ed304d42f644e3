//! The one thread that writes events.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::place::Place;
use super::{Message, State};
use crate::record::AuditCounts;

/// Writes what comes in, in its order, and lets nothing of it go.
pub(super) struct Writer {
    place: Place,
    inbox: mpsc::Receiver<Message>,
    state: Arc<State>,
    counts: AuditCounts,
    /// Lines that are to be written, and how much of them has been.
    lines: String,
    written: usize,
    events: u64,
    lost: u64,
    complained: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        place: Place,
        inbox: mpsc::Receiver<Message>,
        state: Arc<State>,
        counts: AuditCounts,
    ) -> Self {
        Self {
            place,
            inbox,
            state,
            counts,
            lines: String::new(),
            written: 0,
            events: 0,
            lost: 0,
            complained: None,
        }
    }

    /// Until it is told to end, or nobody is left to tell.
    pub(super) fn run(mut self) {
        while let Some(message) = self.inbox.blocking_recv() {
            let mut ends = !self.take(message);
            while let Some(more) = self.has_room().then(|| self.inbox.try_recv().ok()).flatten() {
                ends |= !self.take(more);
            }
            self.write_all();
            self.note_losses();
            if ends {
                return;
            }
        }
    }

    fn has_room(&self) -> bool {
        self.lines.len() < BATCH
    }

    /// Whether there is more to come.
    fn take(&mut self, message: Message) -> bool {
        let Message::Event(event) = message else { return false };
        // Texts and numbers: there is nothing in it that JSON could not say.
        let event = serde_json::to_string(&event).unwrap_or_default();
        self.lines += &self.place.line(&event);
        self.lines.push('\n');
        self.events += 1;
        true
    }

    /// However long it takes, until it is time to end.
    fn write_all(&mut self) {
        let mut tried_since = Instant::now();
        while let Err(why) = self.write() {
            self.state.failing.store(true, Ordering::Relaxed);
            self.counts.failing.set(1);
            self.complain(&format!("it cannot be written: {why}"));
            if !self.state.stopping.load(Ordering::Relaxed) {
                tried_since = Instant::now();
            } else if tried_since.elapsed() > LAST_TRY {
                tracing::error!(events = self.events, "audit events lost: the proxy is stopping");
                self.counts.lost.inc_by(self.events);
                self.begin_anew();
                return;
            }
            thread::sleep(RETRY);
        }
        if self.state.failing.swap(false, Ordering::Relaxed) {
            tracing::warn!(events = self.events, "audit events written again");
            self.counts.failing.set(0);
            self.complained = None;
        }
        self.counts.written.inc_by(self.events);
        self.begin_anew();
    }

    fn write(&mut self) -> io::Result<()> {
        if self.place.follow()? {
            // What was only half written is whole in the new file.
            let done = self.lines.get(..self.written).and_then(|done| done.rfind('\n'));
            self.written = done.map_or(0, |end| end + 1);
        }
        while let Some(rest) = self.lines.as_bytes().get(self.written..).filter(|r| !r.is_empty()) {
            match self.place.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(some) => self.written += some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        self.place.flush()
    }

    fn begin_anew(&mut self) {
        self.lines.clear();
        self.written = 0;
        self.events = 0;
    }

    /// What the queue had no room for.
    fn note_losses(&mut self) {
        let lost = self.counts.lost.get();
        if lost > self.lost {
            self.complain(&format!("{} lost: the queue was full", lost - self.lost));
            self.lost = lost;
        }
    }

    /// Loudly, and not once for each.
    fn complain(&mut self, why: &str) {
        if self.complained.is_none_or(|at| at.elapsed() > SILENCE) {
            let lost = self.counts.lost.get();
            tracing::error!(why, lost, "audit events not written");
            self.complained = Some(Instant::now());
        }
    }
}

/// One write.
const BATCH: usize = 256 << 10;
const RETRY: Duration = Duration::from_millis(200);
const LAST_TRY: Duration = Duration::from_secs(2);
const SILENCE: Duration = Duration::from_secs(10);

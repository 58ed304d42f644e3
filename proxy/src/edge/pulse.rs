//! When a stream of events has been silent for so long that something in between might cut it.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// Where the stream stands that an HTTP/1.1 connection carries. The gateway tells what is about to be
/// written, the guard when something is, and has been. One task does all of it.
pub(super) struct Pulse {
    /// After how much silence something is said.
    every: Option<Duration>,
    start: Instant,
    streams: AtomicBool,
    /// Whether an event ends with what was told last.
    ends_event: AtomicBool,
    /// Whether something has been written and may not have left yet.
    unflushed: AtomicBool,
    /// How many pieces have been told of and not been written. Below nothing, one was written that
    /// nobody told of: who knows where the stream stands then?
    told: AtomicI32,
    written: AtomicU64,
}

impl Pulse {
    pub(super) fn new(start: Instant, every: Option<Duration>) -> Self {
        Self {
            every,
            start,
            streams: AtomicBool::new(false),
            ends_event: AtomicBool::new(false),
            unflushed: AtomicBool::new(false),
            told: AtomicI32::new(0),
            written: AtomicU64::new(0),
        }
    }

    /// The head of a stream is about to be written. Before the first event as between two: servers
    /// may say nothing for hours.
    pub(super) fn begins(&self) {
        self.told.store(0, Relaxed);
        self.says(true);
        self.streams.store(true, Relaxed);
    }

    /// A piece of it is; whether an event ends with it.
    pub(super) fn says(&self, ends_event: bool) {
        self.told.fetch_add(1, Relaxed);
        self.ends_event.store(ends_event, Relaxed);
    }

    /// It is over.
    pub(super) fn stops(&self) {
        self.streams.store(false, Relaxed);
    }

    /// Something is being written.
    pub(super) fn writes(&self) {
        self.unflushed.store(true, Relaxed);
    }

    /// Everything that was written has left. pingora flushes after the head and after each piece.
    pub(super) fn flushed(&self) {
        if self.streams.load(Relaxed) && self.unflushed.load(Relaxed) {
            self.unflushed.store(false, Relaxed);
            self.told.fetch_sub(1, Relaxed);
            let millis = self.start.elapsed().as_millis();
            self.written.store(u64::try_from(millis).unwrap_or(u64::MAX), Relaxed);
        }
    }

    /// When something should be said, if it may be.
    pub(super) fn due(&self) -> Option<Instant> {
        let every = self.every.filter(|_| self.streams.load(Relaxed))?;
        let between_events = self.ends_event.load(Relaxed)
            && !self.unflushed.load(Relaxed)
            && self.told.load(Relaxed) >= 0;
        let written = self.start + Duration::from_millis(self.written.load(Relaxed));
        between_events.then(|| written + every)
    }
}

/// A comment, which clients pass over: one whole chunk.
pub(super) const COMMENT: &[u8] = b"E\r\n: keep-alive\n\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(15);

    /// A stream whose head has been written.
    fn begun(every: Option<Duration>) -> Pulse {
        let pulse = Pulse::new(Instant::now(), every);
        pulse.begins();
        pass(&pulse);
        pulse
    }

    fn pass(pulse: &Pulse) {
        pulse.writes();
        pulse.flushed();
    }

    #[test]
    fn something_is_said_only_between_events_that_have_been_written() {
        let pulse = begun(Some(EVERY));
        assert!(pulse.due().unwrap() >= pulse.start + EVERY);
        pulse.says(true);
        pulse.writes();
        assert_eq!(pulse.due(), None, "not written yet");
        pulse.flushed();
        assert!(pulse.due().is_some());
        pulse.says(false);
        pass(&pulse);
        assert_eq!(pulse.due(), None, "inside an event");
        pulse.says(false);
        pulse.says(true);
        pass(&pulse);
        pass(&pulse);
        assert!(pulse.due().is_some(), "told of together, written one by one");
        pulse.stops();
        assert_eq!(pulse.due(), None, "it is over");
    }

    #[test]
    fn nothing_is_said_after_what_nobody_told_of() {
        let pulse = begun(Some(EVERY));
        pass(&pulse);
        assert_eq!(pulse.due(), None, "the last chunk, perhaps");
        pulse.stops();
        pulse.begins();
        pass(&pulse);
        assert!(pulse.due().is_some(), "another stream");
    }

    #[test]
    fn nothing_is_said_where_nothing_shall_be() {
        assert_eq!(begun(None).due(), None);
        assert_eq!(Pulse::new(Instant::now(), Some(EVERY)).due(), None);
    }

    #[test]
    fn the_comment_is_one_whole_chunk() {
        let text = std::str::from_utf8(COMMENT).unwrap();
        let (size, rest) = text.split_once("\r\n").unwrap();
        let chunk = rest.strip_suffix("\r\n").unwrap();
        assert_eq!(usize::from_str_radix(size, 16).unwrap(), chunk.len());
        assert_eq!(chunk, ": keep-alive\n\n");
    }
}

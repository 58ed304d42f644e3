//! What is known of one connection, shared between its bytes and its requests.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use pingora_core::protocols::Digest;
use tokio::sync::watch;
use tokio::time::Instant;

use super::pulse::Pulse;
use crate::config::Limits;

/// One client's connection. Requests reach it through pingora's digest.
pub(crate) struct Connection {
    opened: Opened,
    header_timeout: Duration,
    idle_timeout: Duration,
    body_timeout: Duration,
    write_timeout: Duration,
    active: AtomicU32,
    served: AtomicU32,
    phase: AtomicU8,
    deadline: AtomicU64,
    bodies: AtomicU32,
    body_moved: AtomicU64,
    pulse: Pulse,
}

/// What is known once it is open.
pub(super) struct Opened {
    pub(super) start: Instant,
    pub(super) is_h2: bool,
    /// SHA-256 of the client's certificate.
    pub(super) certificate: Option<[u8; 32]>,
    /// The host that the client named when TLS began.
    pub(super) server_name: Option<Box<str>>,
    pub(super) caller: Caller,
    /// Whether the edge was told to stop.
    pub(super) stopped: watch::Receiver<bool>,
}

/// Who is at the other end.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) peer: IpAddr,
    /// For whom it said, before anything else, that it speaks.
    pub(crate) introduced: Option<IpAddr>,
}

/// What the connection is waiting for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The rest of a request head; a deadline runs.
    Head,
    /// A request is being served; pingora's timeouts apply.
    Busy,
    /// The next request; a deadline runs.
    Idle,
}

/// How long to wait for bytes.
pub(super) struct Wait {
    /// When they are overdue.
    pub(super) due: Option<Instant>,
    /// When to ask again.
    pub(super) look_again: Instant,
}

impl Connection {
    pub(super) fn new(opened: Opened, limits: &Limits) -> Self {
        let connection = Self {
            pulse: Pulse::new(opened.start, limits.stream_keepalive),
            opened,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            body_timeout: limits.body_timeout,
            write_timeout: limits.write_timeout,
            active: AtomicU32::new(0),
            served: AtomicU32::new(0),
            phase: AtomicU8::new(0),
            deadline: AtomicU64::new(0),
            bodies: AtomicU32::new(0),
            body_moved: AtomicU64::new(0),
        };
        connection.expect(Phase::Head);
        connection
    }

    /// The connection that a request came on.
    pub(crate) fn of(digest: Option<&Digest>) -> Option<Arc<Self>> {
        let data = digest?.proxy_digest.as_ref()?.user_data.as_ref()?;
        data.downcast_ref::<Arc<Self>>().cloned()
    }

    /// SHA-256 of the certificate whose key the client has proved to hold.
    pub(crate) fn certificate(&self) -> Option<[u8; 32]> {
        self.opened.certificate
    }

    /// The host that the client named when TLS began.
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.opened.server_name.as_deref()
    }

    /// Who is at the other end.
    pub(crate) fn caller(&self) -> Caller {
        self.opened.caller
    }

    /// Whether no further request shall come on it.
    pub(crate) fn is_ending(&self) -> bool {
        *self.opened.stopped.borrow()
    }

    /// A whole request head has arrived.
    pub(crate) fn head_read(&self) {
        self.active.fetch_add(1, Ordering::AcqRel);
        self.expect(Phase::Busy);
    }

    /// A request is over. An HTTP/2 connection may have others, and pingora closes it when idle.
    pub(crate) fn request_done(&self) {
        self.served.fetch_add(1, Ordering::AcqRel);
        self.active.fetch_sub(1, Ordering::AcqRel);
        if !self.opened.is_h2 {
            self.expect(Phase::Idle);
        }
    }

    /// A stream of events is about to be written. Only HTTP/1.1 connections carry one thing at a time,
    /// so that this means something.
    pub(crate) fn begins_events(&self) {
        self.pulse.begins();
    }

    /// A piece of it is; whether an event ends with it.
    pub(crate) fn says_events(&self, ends_event: bool) {
        self.pulse.says(ends_event);
    }

    /// That stream is over.
    pub(crate) fn ends_events(&self) {
        self.pulse.stops();
    }

    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// How many requests have been served, if none is being served now.
    pub(super) fn served_and_rests(&self) -> Option<u32> {
        (self.active.load(Ordering::Acquire) == 0).then(|| self.served.load(Ordering::Acquire))
    }

    /// Whether an HTTP/1.1 head is still being read, so that whatever is answered is about no request.
    pub(super) fn has_no_request(&self) -> bool {
        !self.opened.is_h2 && self.phase() == Phase::Head
    }

    /// How long the client may take nothing of what is written.
    pub(super) fn write_timeout(&self) -> Duration {
        self.write_timeout
    }

    pub(super) fn expect(&self, phase: Phase) {
        let (code, wait) = match phase {
            Phase::Head => (HEAD, Some(self.header_timeout)),
            Phase::Idle => (IDLE, Some(self.idle_timeout)),
            // The old deadline stays: a reader that still sees the old phase must not find it past.
            Phase::Busy => (BUSY, None),
        };
        if let Some(wait) = wait {
            self.deadline.store(self.since_start(wait), Ordering::Relaxed);
        }
        self.phase.store(code, Ordering::Release);
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            HEAD => Phase::Head,
            IDLE => Phase::Idle,
            _ => Phase::Busy,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.opened.start + Duration::from_millis(self.deadline.load(Ordering::Relaxed))
    }

    /// Waits for a request's body on an HTTP/2 connection, where pingora would wait for ever.
    pub(crate) fn await_body(self: &Arc<Self>) -> Option<Body> {
        self.opened.is_h2.then(|| {
            self.bodies.fetch_add(1, Ordering::AcqRel);
            let body = Body(Arc::clone(self));
            body.moved();
            body
        })
    }

    /// What a reader with nothing to read waits for; nothing, while an HTTP/1 request is served.
    pub(super) fn wait(&self) -> Option<Wait> {
        let due = match self.phase() {
            Phase::Head | Phase::Idle => Some(self.deadline()),
            Phase::Busy if self.opened.is_h2 => self.body_deadline(),
            Phase::Busy => return None,
        };
        // Nobody reads anew when an HTTP/2 request begins or its body is awaited: look now and then.
        let soon = self.opened.is_h2.then(|| Instant::now() + self.body_timeout);
        let look_again = due.into_iter().chain(soon).min()?;
        Some(Wait { due, look_again })
    }

    /// Twice what a part may take: once for the client to send it, and before that once for the
    /// upstream to take the one before. Which of the two is late cannot be told from here.
    fn body_deadline(&self) -> Option<Instant> {
        let moved =
            self.opened.start + Duration::from_millis(self.body_moved.load(Ordering::Relaxed));
        (self.bodies.load(Ordering::Acquire) > 0).then(|| moved + self.body_timeout * 2)
    }

    fn since_start(&self, wait: Duration) -> u64 {
        u64::try_from((self.opened.start.elapsed() + wait).as_millis()).unwrap_or(u64::MAX)
    }
}

/// A request body that has not ended yet.
pub(crate) struct Body(Arc<Connection>);

impl Body {
    /// A part of it has arrived.
    pub(crate) fn moved(&self) {
        self.0.body_moved.store(self.0.since_start(Duration::ZERO), Ordering::Relaxed);
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.0.bodies.fetch_sub(1, Ordering::AcqRel);
    }
}

const HEAD: u8 = 0;
const BUSY: u8 = 1;
const IDLE: u8 = 2;

//! One event for each decision on a protected request, written where nobody waits for it.
//!
//! A request leaves its event in a queue and goes on. One thread writes: as long as it cannot, it tries
//! again and the queue fills; what the queue has no room for is lost, counted and complained about. Where
//! events are required, nothing is permitted meanwhile.

mod chain;
mod event;
mod place;
mod redact;
mod verify;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config;
use crate::record::AuditCounts;
pub(crate) use event::{Event, Verdict};
use place::Place;
pub(crate) use place::{CannotWrite, examine};
pub(crate) use verify::{Broken, Verifier, Whole};
use writer::Writer;

/// Where requests leave their events. Nowhere, if nobody wants them.
#[derive(Clone)]
pub(crate) struct Audit(Option<Arc<Desk>>);

struct Desk {
    queue: mpsc::Sender<Message>,
    required: bool,
    arguments: Option<Vec<String>>,
    state: Arc<State>,
    counts: AuditCounts,
    ended: watch::Receiver<bool>,
}

/// What the desk and the writer know of each other.
#[derive(Default)]
struct State {
    /// Nothing could be written when it was last tried.
    failing: AtomicBool,
    /// It is time to end.
    stopping: AtomicBool,
}

enum Message {
    Event(Box<Event>),
    End,
}

/// The event will not be written, and it has to be.
#[derive(Debug)]
pub(crate) struct NotKept;

impl Audit {
    /// Opens the place and starts the writer.
    pub(crate) fn start(
        rules: Option<&config::Audit>,
        counts: AuditCounts,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, CannotWrite> {
        let Some(rules) = rules else { return Ok(Self(None)) };
        let place = Place::open(&rules.to, rules.chain)?;
        let (queue, inbox) = mpsc::channel(ROOM);
        let (end, ended) = watch::channel(false);
        let state = Arc::<State>::default();
        let writer = Writer::new(place, inbox, Arc::clone(&state), counts.clone());
        tasks.spawn_blocking(move || {
            writer.run();
            end.send_replace(true);
        });
        let (required, arguments) = (rules.required, rules.arguments.clone());
        Ok(Self(Some(Arc::new(Desk { queue, required, arguments, state, counts, ended }))))
    }

    /// Whether anybody wants events.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What may be told of a call's arguments, if anything.
    pub(crate) fn arguments(&self, of_call: Option<&Value>) -> Option<Value> {
        let hidden = self.0.as_ref()?.arguments.as_ref()?;
        of_call.map(|arguments| redact::redacted(arguments, hidden))
    }

    /// For a request that is to pass: where events are required, only if this one is kept.
    pub(crate) fn permit(&self, event: Event) -> Result<(), NotKept> {
        let Some(desk) = &self.0 else { return Ok(()) };
        if desk.required && desk.state.failing.load(Ordering::Relaxed) {
            return Err(NotKept);
        }
        match desk.queue.try_send(Message::Event(Box::new(event))) {
            Err(_) if desk.required => Err(NotKept),
            Err(_) => {
                desk.counts.lost.inc();
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// For everything else, which an event that is lost makes no worse.
    pub(crate) fn tell(&self, event: Event) {
        let Some(desk) = &self.0 else { return };
        if desk.queue.try_send(Message::Event(Box::new(event))).is_err() {
            desk.counts.lost.inc();
        }
    }

    /// Has all that was told written, if that is possible soon.
    pub(crate) async fn finish(&self) {
        let Some(desk) = &self.0 else { return };
        desk.state.stopping.store(true, Ordering::Relaxed);
        let mut ended = desk.ended.clone();
        let writing = async {
            // Nobody is there any more, or it ends at what comes first.
            drop(desk.queue.send(Message::End).await);
            drop(ended.wait_for(|ended| *ended).await);
        };
        drop(timeout(PATIENCE, writing).await);
    }
}

/// Events that wait: some seconds of a busy gateway.
const ROOM: usize = 16 << 10;
/// More than the writer takes to give up.
const PATIENCE: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::record::Recorder;

    /// With room for one event, and nobody who writes.
    fn stuck(required: bool) -> (Audit, AuditCounts, mpsc::Receiver<Message>) {
        let counts = Recorder::new().unwrap().audit();
        let (queue, inbox) = mpsc::channel(1);
        let (state, ended) = (Arc::default(), watch::channel(false).1);
        let desk = Desk { queue, required, arguments: None, state, counts: counts.clone(), ended };
        (Audit(Some(Arc::new(desk))), counts, inbox)
    }

    fn event() -> Event {
        Event {
            time: SystemTime::UNIX_EPOCH,
            verdict: Verdict::Permitted,
            code: "forwarded",
            security: None,
            issuer: None,
            subject: None,
            client: None,
            resource: "r".into(),
            method: "POST".into(),
            path: "/".into(),
            call: None,
            name: None,
            arguments: None,
            rule: None,
            failed: None,
            shadow: None,
            address: None,
            request_id: None,
            trace_id: None,
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_lost_and_counted() {
        let (audit, counts, _inbox) = stuck(false);
        for lost in [0, 1, 2] {
            assert!(audit.permit(event()).is_ok());
            assert_eq!(counts.lost.get(), lost);
        }
        audit.tell(event());
        assert_eq!(counts.lost.get(), 3);
    }

    #[test]
    fn where_events_are_required_what_there_is_no_room_for_may_not_pass() {
        let (audit, counts, mut inbox) = stuck(true);
        assert!(audit.permit(event()).is_ok());
        assert!(audit.permit(event()).is_err());
        inbox.try_recv().unwrap();
        assert!(audit.permit(event()).is_ok(), "there is room again");
        assert_eq!(counts.lost.get(), 0, "nothing passed that was not told");
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_waits_for_nobody_for_ever() {
        let (audit, ..) = stuck(false);
        assert!(audit.permit(event()).is_ok());
        audit.finish().await;
    }
}

//! Asks an issuer what its tokens are worth (RFC 7662): once for all who wait, few at a time, never long.

mod inquirer;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::config::{Introspection, Source};
use crate::holder::KeyHolder;
use crate::outbound::Outbound;
use crate::pipeline::authenticate::Told;
use crate::pipeline::token::{Digest, Inquiry};
use crate::record::{InquiryCounts, Recorder};
use inquirer::Inquirer;
pub(crate) use inquirer::Unanswered;

/// Where requests ask about the tokens of one issuer.
#[derive(Clone)]
pub(crate) struct Introspector(mpsc::Sender<Ask>);

impl Introspector {
    /// Opens the issuer's desk, which is there until nobody can ask any more.
    pub(crate) fn start(
        holder: &KeyHolder,
        introspection: &Introspection,
        outbound: &Outbound,
        recorder: &Recorder,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (asks, inbox) = mpsc::channel(INBOX);
        tasks.spawn(Desk::new(inbox, holder, introspection, outbound, recorder).run());
        Self(asks)
    }

    /// Waits for the issuer's answer. All who ask about the same token share it.
    pub(crate) async fn ask(&self, inquiry: Inquiry) -> Option<Arc<Told>> {
        let (reply, flight) = oneshot::channel();
        // A desk that is overrun refuses at once.
        self.0.try_send(Ask { inquiry, reply }).ok()?;
        let mut flight = flight.await.ok()?;
        let landed = flight.wait_for(Option::is_some).await.ok()?;
        landed.as_ref()?.clone()
    }
}

/// One inquiry, for whoever runs no proxy.
pub(crate) async fn ask_once(
    holder: &KeyHolder,
    outbound: &Outbound,
    inquiry: Inquiry,
) -> Result<Arc<Told>, Unanswered> {
    let Source::Introspection(introspection) = &holder.issuer.source else {
        return Err(Unanswered::NoEndpoint);
    };
    let (inquirer, slot) = (Inquirer::new(introspection, holder, outbound), Semaphore::new(1));
    timeout(PATIENCE, inquirer.ask(inquiry, &slot)).await.unwrap_or(Err(Unanswered::Late))
}

struct Ask {
    inquiry: Inquiry,
    reply: oneshot::Sender<Flight>,
}

/// An inquiry under way: nothing, until it has landed with an answer or without one.
type Flight = watch::Receiver<Option<Option<Arc<Told>>>>;

/// The one keeper of what is under way.
struct Desk {
    inbox: mpsc::Receiver<Ask>,
    flights: HashMap<Digest, Flight>,
    landing: JoinSet<Landed>,
    inquirer: Arc<Inquirer>,
    /// Whoever had a good token gets through a crowd of strangers.
    known: Lane,
    strangers: Lane,
    linger: Duration,
    issuer: String,
    counts: InquiryCounts,
    complained: Option<(String, Instant)>,
}

/// What came of an inquiry.
struct Landed {
    digest: Digest,
    told: Result<Arc<Told>, Unanswered>,
}

/// How many inquiries may be at the issuer, and how many may be under way in all.
#[derive(Clone)]
struct Lane {
    slots: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

impl Lane {
    fn new(slots: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(slots)), room: Arc::new(Semaphore::new(ROOM)) }
    }
}

impl Desk {
    fn new(
        inbox: mpsc::Receiver<Ask>,
        holder: &KeyHolder,
        introspection: &Introspection,
        outbound: &Outbound,
        recorder: &Recorder,
    ) -> Self {
        let issuer = holder.issuer.issuer.as_str();
        Self {
            inbox,
            flights: HashMap::new(),
            landing: JoinSet::new(),
            inquirer: Arc::new(Inquirer::new(introspection, holder, outbound)),
            known: Lane::new(SLOTS_KNOWN),
            strangers: Lane::new(SLOTS_STRANGERS),
            linger: LINGER.min(introspection.cache),
            issuer: issuer.to_owned(),
            counts: recorder.inquiries(issuer),
            complained: None,
        }
    }

    async fn run(mut self) {
        loop {
            tokio::select! {
                ask = self.inbox.recv() => match ask {
                    Some(ask) => self.board(ask),
                    None => return,
                },
                Some(landed) = self.landing.join_next() => self.land(landed),
            }
        }
    }

    /// Joins whoever asks about the same token, or starts an inquiry.
    fn board(&mut self, ask: Ask) {
        let digest = ask.inquiry.digest();
        // Where nothing is remembered, not even what has just landed is.
        let joinable = |flight: &&Flight| !self.linger.is_zero() || flight.borrow().is_none();
        let flight = match self.flights.get(&digest).filter(joinable) {
            Some(flight) => Some(flight.clone()),
            None => self.take_off(ask.inquiry),
        };
        if let Some(flight) = flight {
            // Whoever asked may be gone.
            drop(ask.reply.send(flight));
        }
    }

    fn take_off(&mut self, inquiry: Inquiry) -> Option<Flight> {
        let digest = inquiry.digest();
        let lane = if inquiry.is_known() { &self.known } else { &self.strangers };
        let Ok(room) = Arc::clone(&lane.room).try_acquire_owned() else {
            self.record(&Err(Unanswered::Crowded));
            return None;
        };
        let (inquirer, slots, linger) =
            (Arc::clone(&self.inquirer), Arc::clone(&lane.slots), self.linger);
        let (tell, flight) = watch::channel(None);
        self.landing.spawn(async move {
            let asking = inquirer.ask(inquiry, &slots);
            let told = timeout(PATIENCE, asking).await.unwrap_or(Err(Unanswered::Late));
            tell.send_replace(Some(told.as_ref().ok().cloned()));
            // Who has looked for a verdict just before this one was found comes right now.
            sleep(linger).await;
            drop(room);
            Landed { digest, told }
        });
        self.flights.insert(digest, flight.clone());
        Some(flight)
    }

    fn land(&mut self, landed: Result<Landed, JoinError>) {
        match landed {
            Ok(landed) => {
                let is_over = |flight: &Flight| flight.borrow().is_some();
                if self.flights.get(&landed.digest).is_some_and(is_over) {
                    self.flights.remove(&landed.digest);
                }
                self.record(&landed.told);
            }
            // It panicked, and whoever waited knows: nobody else shall wait for it.
            Err(_) => self.flights.retain(|_, flight| flight.has_changed().is_ok()),
        }
    }

    fn record(&mut self, told: &Result<Arc<Told>, Unanswered>) {
        match told {
            Ok(told) if told.is_active() => self.counts.active.inc(),
            Ok(_) => self.counts.inactive.inc(),
            Err(why) => {
                let crowded = matches!(why, Unanswered::Crowded);
                if crowded { &self.counts.refused } else { &self.counts.failed }.inc();
                self.complain(why);
            }
        }
    }

    /// Once in a while: strangers decide how often something fails.
    fn complain(&mut self, why: &Unanswered) {
        let (text, now) = (why.to_string(), Instant::now());
        let told = |(last, at): &(String, Instant)| *last == text && now - *at < SILENCE;
        if self.complained.as_ref().is_some_and(told) {
            return;
        }
        let issuer = self.issuer.as_str();
        match why {
            Unanswered::Credentials(_) => tracing::error!(issuer, %why, "token not introspected"),
            Unanswered::NoEndpoint
            | Unanswered::Failed(_)
            | Unanswered::Malformed
            | Unanswered::Late
            | Unanswered::Crowded => tracing::warn!(issuer, %why, "token not introspected"),
        }
        self.complained = Some((text, now));
    }
}

const INBOX: usize = 1024;
/// At the issuer at once: 64 in all.
const SLOTS_KNOWN: usize = 16;
const SLOTS_STRANGERS: usize = 48;
/// At the issuer, waiting for that, or just landed.
const ROOM: usize = 512;
/// How long a request waits: less than a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
const LINGER: Duration = Duration::from_millis(50);
const SILENCE: Duration = Duration::from_secs(10);

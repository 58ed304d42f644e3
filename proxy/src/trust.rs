//! The issuers that are trusted, and those who look after them: from one generation of the rules to the
//! next they go on as they are while nothing about them changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use crate::config::{Source, TrustedIssuer};
use crate::holder::KeyHolder;
use crate::introspect::Introspector;
use crate::outbound::Outbound;
use crate::pipeline::authenticate::{Told, UnknownKey};
use crate::pipeline::token::Inquiry;
use crate::record::Recorder;
use crate::refresh::{Bell, Looked, Refresh};

/// An issuer under one generation of the rules.
#[derive(Clone)]
struct Minded {
    holder: KeyHolder,
    contact: Contact,
    /// Whether all requests are to be kept away while it cannot be judged by.
    counts: Arc<AtomicBool>,
    task: Arc<AbortHandle>,
}

/// How requests reach who looks after it.
#[derive(Clone)]
enum Contact {
    Keys(Arc<Bell>),
    Word(Introspector),
}

/// The issuers of one generation, in the order of its rules.
#[derive(Clone)]
pub(crate) struct Trust(Vec<Minded>);

impl Trust {
    /// Waits for a look at an issuer's keys that began after this call.
    pub(crate) async fn look_again(&self, key: UnknownKey) -> Looked {
        match self.0.get(key.issuer).map(|minded| &minded.contact) {
            Some(Contact::Keys(bell)) => bell.look_again(key.mark).await,
            Some(Contact::Word(_)) | None => Looked::InVain,
        }
    }

    /// Waits for the word of the one issuer that may be asked.
    pub(crate) async fn ask(&self, inquiry: Inquiry) -> Option<Arc<Told>> {
        let desk = self.0.iter().find_map(|minded| match &minded.contact {
            Contact::Word(desk) => Some(desk),
            Contact::Keys(_) => None,
        });
        desk?.ask(inquiry).await
    }

    /// What is known of each.
    pub(crate) fn holders(&self) -> impl Iterator<Item = &KeyHolder> {
        self.0.iter().map(|minded| &minded.holder)
    }

    /// Whether requests need not be kept away.
    pub(crate) fn is_ready(&self) -> bool {
        // Each is asked, for it notes that it has been heard of.
        self.0.iter().filter(|minded| !minded.is_ready()).count() == 0
    }
}

impl Minded {
    /// One that has come with a change of the rules, and has never been heard of, keeps nobody away: its
    /// own tokens wait, and all the others were served before.
    fn is_ready(&self) -> bool {
        let ready = self.holder.is_ready();
        if ready {
            self.counts.store(true, Ordering::Relaxed);
        }
        ready || !self.counts.load(Ordering::Relaxed)
    }
}

/// Those who look after issuers.
pub(crate) struct Minders {
    refresh: Arc<Refresh>,
    outbound: Outbound,
    recorder: Recorder,
    now: Trust,
}

impl Minders {
    pub(crate) fn new(outbound: Outbound, recorder: Recorder) -> Self {
        let refresh = Arc::new(Refresh::new(outbound.clone(), recorder.clone()));
        Self { refresh, outbound, recorder, now: Trust(Vec::new()) }
    }

    /// Ticks when any issuer's keys change, or go.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.refresh.changes()
    }

    /// Looks after these too. Nothing is taken from those before, until [`Minders::only`].
    pub(crate) fn mind(&self, issuers: &[TrustedIssuer], tasks: &mut JoinSet<()>) -> Trust {
        let mut goes_on = |issuer: &TrustedIssuer| {
            let same = |minded: &Minded| {
                Some(Minded { holder: minded.holder.under(issuer)?, ..minded.clone() })
            };
            self.now.0.iter().find_map(same).unwrap_or_else(|| self.begin(issuer, tasks))
        };
        Trust(issuers.iter().map(&mut goes_on).collect())
    }

    fn begin(&self, issuer: &TrustedIssuer, tasks: &mut JoinSet<()>) -> Minded {
        let holder = KeyHolder::new(issuer);
        let (contact, task) = match &issuer.source {
            Source::Keys(place) => {
                let (bell, task) = self.refresh.start(&holder, place, tasks);
                (Contact::Keys(Arc::new(bell)), task)
            }
            Source::Introspection(introspection) => {
                let (outbound, recorder) = (&self.outbound, &self.recorder);
                let task = self.refresh.keep_endpoint(&holder, tasks);
                let desk = Introspector::start(&holder, introspection, outbound, recorder, tasks);
                (Contact::Word(desk), task)
            }
        };
        let counts = Arc::new(AtomicBool::new(self.now.0.is_empty()));
        Minded { holder, contact, counts, task: Arc::new(task) }
    }

    /// Those of these that have just come are not wanted after all.
    pub(crate) fn let_go(&self, come: &Trust) {
        for gone in self.tell_no_more(come, &self.now) {
            gone.task.abort();
            self.refresh.forget(&gone.holder);
        }
    }

    /// Of one whose name nobody stays with, nothing is told any more. Gives those that do not stay.
    fn tell_no_more(&self, before: &Trust, after: &Trust) -> Vec<Minded> {
        let stays = |one: &Minded| after.0.iter().any(|kept| Arc::ptr_eq(&kept.task, &one.task));
        let gone: Vec<Minded> = before.0.iter().filter(|one| !stays(one)).cloned().collect();
        for issuer in gone.iter().map(|one| &one.holder.issuer.issuer) {
            if !after.holders().any(|holder| holder.issuer.issuer == *issuer) {
                self.recorder.forget_issuer(issuer.as_str());
            }
        }
        gone
    }

    /// From now on only these: the others are dropped when what was begun under them is decided.
    pub(crate) fn only(&mut self, next: Trust, tasks: &mut JoinSet<()>) {
        let gone = self.tell_no_more(&self.now, &next);
        self.now = next;
        if gone.is_empty() {
            return;
        }
        let refresh = Arc::clone(&self.refresh);
        tasks.spawn(async move {
            sleep(GRACE).await;
            for old in gone {
                old.task.abort();
                refresh.forget(&old.holder);
            }
        });
    }
}

/// A decision takes no longer: requests wait five seconds for keys, or for an issuer's word.
const GRACE: Duration = Duration::from_secs(10);

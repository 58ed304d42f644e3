//! Parts of traces on their way to a collector: no request waits for them.
//!
//! A request that is over leaves its parts in a bounded queue. One task sends what has come within a
//! second, so much at once and no more. While the collector cannot be reached the queue fills, and what it
//! has no room for is dropped and counted.

mod message;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{OutboundRules, Traces};
use crate::outbound::{CannotFetch, Outbound};
use crate::record::SpanCounts;

/// One part of a trace.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace: [u8; 16],
    pub(crate) id: [u8; 8],
    /// The part that it is a part of.
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) from: SystemTime,
    pub(crate) to: SystemTime,
    pub(crate) failed: bool,
    pub(crate) attributes: Vec<(&'static str, Value)>,
}

/// Whose work it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request of somebody else's.
    Server,
    /// Ours alone.
    Internal,
    /// A request of ours.
    Client,
}

/// What is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

/// Where requests leave parts of traces. Nowhere, if nobody wants them.
#[derive(Clone, Debug)]
pub(crate) struct Spans(Option<Desk>);

#[derive(Clone, Debug)]
struct Desk {
    queue: mpsc::Sender<Message>,
    counts: SpanCounts,
}

#[derive(Debug)]
enum Message {
    Spans(Vec<Span>),
    /// All that came before is to be sent now.
    End(oneshot::Sender<()>),
}

impl Spans {
    /// Starts who sends them.
    pub(crate) fn start(
        rules: Option<&Traces>,
        outbound: &OutboundRules,
        counts: SpanCounts,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, CannotFetch> {
        let Some(rules) = rules else { return Ok(Self(None)) };
        let mut headers = rules.headers.iter().cloned().collect::<HeaderMap>();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        let outbound = Outbound::to(outbound, &rules.endpoint)?;
        let (queue, inbox) = mpsc::channel(ROOM);
        let (rules, sent) = (rules.clone(), counts.clone());
        tasks.spawn(Courier { rules, headers, outbound, inbox, counts: sent, failures: 0 }.run());
        Ok(Self(Some(Desk { queue, counts })))
    }

    /// Whether anybody wants them.
    pub(crate) fn are_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Leaves the parts of one trace.
    pub(crate) fn tell(&self, spans: Vec<Span>) {
        let Some(Desk { queue, counts }) = &self.0 else { return };
        let count = number(spans.len());
        if queue.try_send(Message::Spans(spans)).is_err() {
            counts.dropped.inc_by(count);
        }
    }

    /// Has sent what was left, if that is possible soon.
    pub(crate) async fn finish(&self) {
        let Some(Desk { queue, .. }) = &self.0 else { return };
        let (tell, told) = oneshot::channel();
        let sending = async {
            // Nobody is there any more: then there is nothing to wait for.
            if queue.send(Message::End(tell)).await.is_ok() {
                drop(told.await);
            }
        };
        drop(timeout(PATIENCE, sending).await);
    }
}

/// Brings them to the collector.
struct Courier {
    rules: Traces,
    headers: HeaderMap,
    outbound: Outbound,
    inbox: mpsc::Receiver<Message>,
    counts: SpanCounts,
    failures: u32,
}

impl Courier {
    async fn run(mut self) {
        loop {
            let (batch, end) = self.gather().await;
            self.send(batch).await;
            if let Some(end) = end {
                // Who waited may have gone.
                end.send(()).unwrap_or_default();
                return;
            }
        }
    }

    /// What comes within a second of the first, or as much as is sent at once.
    async fn gather(&mut self) -> (Vec<Span>, Option<oneshot::Sender<()>>) {
        let mut batch = Vec::new();
        let mut due = None;
        while batch.len() < MOST_AT_ONCE {
            let next = match due {
                None => self.inbox.recv().await,
                Some(due) => match timeout_at(due, self.inbox.recv()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            match next {
                Some(Message::Spans(spans)) => batch.extend(spans),
                Some(Message::End(end)) => return (batch, Some(end)),
                // Nobody can leave anything any more.
                None if batch.is_empty() => std::future::pending().await,
                None => break,
            }
            due.get_or_insert_with(|| Instant::now() + PAUSE);
        }
        (batch, None)
    }

    async fn send(&mut self, batch: Vec<Span>) {
        if batch.is_empty() {
            return;
        }
        let count = number(batch.len());
        let body = message::of(batch);
        match self.outbound.deliver(&self.rules.endpoint, self.headers.clone(), body).await {
            Ok(()) => {
                self.counts.sent.inc_by(count);
                self.failures = 0;
            }
            Err(why) => {
                self.counts.failed.inc_by(count);
                self.failures = self.failures.saturating_add(1);
                // Ever more rarely while it is no news.
                if self.failures.is_power_of_two() {
                    tracing::warn!(%why, spans = count, failures = self.failures, "spans not sent");
                }
            }
        }
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

const PROTOBUF: &str = "application/x-protobuf";
/// Traces that wait: some seconds of a busy gateway, of about a kilobyte each.
const ROOM: usize = 4096;
/// What collectors take at once by default is a few thousand.
const MOST_AT_ONCE: usize = 1024;
const PAUSE: Duration = Duration::from_secs(1);
/// At the end.
const PATIENCE: Duration = Duration::from_secs(2);

//! One topic on its way: receive, publish, settle, all three at the same time.
//!
//! ```text
//!   receive ──► waiting ──► out (with the destination) ──► ends ──► settle
//!     one batch ahead          one batch, in order            what was taken, refused or given back
//! ```
//!
//! Of one key, one message is out of the store at a time, so that the order of a key holds whatever runs beside what. A batch
//! that the destination cannot take stays in hand, with its leases extended: no attempt is used up, and nothing is read anew.
//! What becomes of what is in hand stands in `hand.rs`, and what is waited for in `lane/calls.rs`; here is when what begins.

mod calls;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Backoff, Ids, Message, Retry, Token, chain};
use dozen_lifecycle::Stop;
use dozen_messaging::{CircuitState, CircuitStatus, Error, JournalSubscriber, Publisher, Subscriber};
use tokio::time::Instant;

use crate::circuit::Circuit;
use crate::hand::{Hand, Judged};
use crate::relay::RelayOptions;
use crate::status::Gauge;
use calls::{Call, Calls, Event};

/// Between two attempts to reach the store that is read.
const SOURCE_BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), cap: Duration::from_secs(5) };
/// How long one call waits for messages. Engines make up for lost wake-ups themselves.
const WAIT: Duration = Duration::from_secs(600);

/// What a lane works with.
pub(crate) struct Lane {
    pub(crate) topic: String,
    pub(crate) destination: String,
    pub(crate) source: JournalSubscriber,
    pub(crate) target: Arc<dyn Publisher>,
    pub(crate) options: RelayOptions,
    pub(crate) ids: Ids,
    pub(crate) gauge: Arc<Gauge>,
}

/// A lane under way.
struct Run<'a> {
    lane: &'a Lane,
    hand: Hand,
    calls: Calls,
    /// How often the store has failed in a row, and when to try again.
    failures: u32,
    source_from: Instant,
    extend_from: Instant,
}

impl Lane {
    /// Runs until it is stopped, and has sent and settled what it had in hand.
    pub(crate) async fn run(self, stop: Stop) {
        let now = Instant::now();
        let mut run = Run {
            hand: Hand::new(self.options.batch, Circuit::new(self.options.backoff)),
            calls: Calls::default(),
            failures: 0,
            source_from: now,
            extend_from: now,
            lane: &self,
        };
        loop {
            let stopping = stop.is_stopping();
            if stopping && run.is_over() {
                return;
            }
            let wake = run.begin(Instant::now(), stopping);
            match run.calls.next(&stop, wake).await {
                Event::Cut => return, // the leases end by themselves
                // A call that is dropped gives its messages up when their leases end.
                Event::Stopping => run.calls.receiving = None,
                event => run.take(event),
            }
        }
    }
}

impl Run<'_> {
    /// Whether, now that it stops, there is nothing left to do.
    fn is_over(&mut self) -> bool {
        if self.calls.publishing.is_some() {
            return false;
        }
        if !self.hand.circuit.is_closed() {
            self.hand.give_back(self.lane.ids.clock().now());
        }
        !self.hand.holds() && self.hand.ends.is_empty() && self.calls.settling.is_none()
    }

    /// Begins what can begin; gives when to look again if nothing happens before. An idle lane has nothing to wake up for.
    fn begin(&mut self, now: Instant, stopping: bool) -> Option<Instant> {
        let lane = self.lane;
        let rests = now < self.source_from;
        let mut wakes = Vec::new();
        if rests {
            wakes.push(self.source_from);
        }
        if self.calls.receiving.is_none() && !stopping && !rests && self.hand.wants_more() {
            let (source, batch) = (lane.source.clone(), lane.options.batch.max(1));
            self.calls.receiving = Some(Box::pin(async move { source.receive(batch, WAIT).await }));
        }
        match self.hand.send(now, self.calls.settled.len()) {
            Ok(()) => self.calls.publishing = lane.publish(&self.hand),
            Err(again) => wakes.extend(again),
        }
        if self.calls.settling.is_none() && !rests && !self.hand.ends.is_empty() {
            let ends = std::mem::take(&mut self.hand.ends);
            self.calls.settled = ends.clone();
            let source = lane.source.clone();
            self.calls.settling = Some(Box::pin(async move { source.settle(ends).await }));
        }
        if self.calls.extending.is_none() && self.hand.holds() {
            if now >= self.extend_from {
                self.extend_from = now + lane.options.lease / 3;
                let (source, leases) = (lane.source.clone(), self.hand.leases());
                self.calls.extended = leases.clone();
                self.calls.extending = Some(Box::pin(async move { source.extend(&leases).await }));
            } else {
                wakes.push(self.extend_from);
            }
        }
        wakes.into_iter().min()
    }

    /// Takes what has happened.
    fn take(&mut self, event: Event) {
        let (doing, error) = match event {
            Event::Published(result) => {
                let judged = self.hand.judge(result.as_ref().err(), Instant::now(), self.lane.ids.random());
                return self.lane.note(judged);
            }
            Event::Received(Ok(deliveries)) => {
                if !self.hand.holds() {
                    self.extend_from = Instant::now() + self.lane.options.lease / 3;
                }
                self.hand.waiting.extend(deliveries);
                return self.answered();
            }
            Event::Settled(Ok(good)) => {
                self.lane.count_overtaken(&good);
                self.calls.settled.clear();
                return self.answered();
            }
            Event::Extended(Ok(kept)) => {
                let lost = self.calls.extended.drain(..).zip(kept).filter(|(_, kept)| !kept);
                self.hand.forget(&lost.map(|(lease, _)| lease).collect::<HashSet<_>>());
                return self.answered();
            }
            Event::Received(Err(error)) => ("receive", error),
            Event::Settled(Err(error)) => {
                self.hand.ends.append(&mut self.calls.settled);
                ("settle", error)
            }
            Event::Extended(Err(error)) => ("extend", error),
            Event::Stopping | Event::Cut | Event::Due => return,
        };
        self.away(doing, &error);
    }

    fn answered(&mut self) {
        if std::mem::take(&mut self.failures) > 0 {
            self.lane.gauge.update(|here| here.source_error = None);
        }
    }

    /// The store that is read does not answer: it is left alone for a while.
    fn away(&mut self, doing: &str, error: &Error) {
        let error = chain(error);
        if self.failures == 0 {
            let topic = &self.lane.topic;
            tracing::warn!(topic, doing, error, "the store that the relay reads does not answer");
        }
        self.failures += 1;
        self.lane.gauge.update(|here| here.source_error = Some(error));
        self.source_from = Instant::now() + SOURCE_BACKOFF.delay(self.failures, self.lane.ids.random());
    }
}

impl Lane {
    /// Sends what is out.
    fn publish(&self, hand: &Hand) -> Call<Token> {
        if !hand.circuit.is_closed() {
            self.gauge.update(|here| here.circuit.state = CircuitState::Probing);
        }
        let messages: Vec<Message> = hand.out.iter().map(|delivery| delivery.message.clone()).collect();
        let (target, destination, patience) =
            (self.target.clone(), self.destination.clone(), self.options.patience);
        Some(Box::pin(async move {
            let publish = target.publish(&destination, messages);
            tokio::time::timeout(patience, publish).await.unwrap_or_else(|_| {
                Err(Error::Engine {
                    doing: format!("publish on `{destination}`"),
                    retry: Retry::Later,
                    source: format!("it did not answer within {patience:?}").into(),
                })
            })
        }))
    }

    fn note(&self, judged: Judged) {
        let topic = self.topic.as_str();
        match judged {
            Judged::Carried(count) => self.gauge.update(|here| {
                if here.circuit.state != CircuitState::Closed {
                    tracing::info!(topic, "the relay's destination takes messages again");
                }
                here.carried_total += count as u64;
                here.circuit = CircuitStatus::default();
            }),
            Judged::Refused(error) => {
                tracing::warn!(
                    topic,
                    error,
                    "the relay's destination refuses a message; it is a dead letter"
                );
                self.gauge.update(|here| {
                    here.refused_total += 1;
                    here.circuit = CircuitStatus::default();
                });
            }
            Judged::OneByOne => {}
            Judged::Away { failures, error } => {
                let now = self.ids.clock().now();
                self.gauge.update(|here| {
                    // Said once, not with each attempt.
                    if failures == 1 {
                        tracing::warn!(topic, error, "the relay's destination is away; waiting for it");
                    }
                    let since = here.circuit.since.or(Some(now));
                    here.failures_total += 1;
                    here.circuit =
                        CircuitStatus { state: CircuitState::Open, failures, since, error: Some(error) };
                });
            }
        }
    }

    fn count_overtaken(&self, good: &[bool]) {
        let overtaken = good.iter().filter(|good| !**good).count() as u64;
        if overtaken > 0 {
            tracing::warn!(topic = self.topic, overtaken, "leases had passed on; sent twice, perhaps");
            self.gauge.update(|here| here.overtaken_total += overtaken);
        }
    }
}

//! One topic on its way: receive, publish, settle, all three at the same time.
//!
//! ```text
//!   receive ──► waiting ──► out (with the destination) ──► ends ──► settle
//!     one batch ahead          one batch, in order            what was taken, refused or given back
//! ```
//!
//! Of one key, one message is out of the store at a time, so that the order of a key holds whatever runs beside what. A batch
//! that the destination cannot take stays in hand, with its leases extended: no attempt is used up, and nothing is read anew.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Backoff, Ids, Message, Retry, Timestamp, Token, chain};
use dozen_lifecycle::Stop;
use dozen_messaging::{
    CircuitState, CircuitStatus, Delivery, Error, JournalSubscriber, Lease, Publisher, Settlement, Subscriber,
};
use tokio::time::Instant;

use crate::circuit::{Blame, Circuit, blame};
use crate::relay::RelayOptions;
use crate::status::Gauge;

/// Between two attempts to reach the store that is read.
const SOURCE_BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), cap: Duration::from_secs(5) };
/// How long one call waits for messages. Engines make up for lost wake-ups themselves.
const WAIT: Duration = Duration::from_secs(600);
/// Batches whose settlement may be outstanding before no more is sent: bounds what would be sent twice after a crash.
const UNSETTLED_BATCHES_MAX: usize = 4;

type Call<T> = Option<Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>>;
type Ends = Vec<(Lease, Settlement)>;

/// Completes with the call, or never where there is none.
async fn finished<T>(call: &mut Call<T>) -> Result<T, Error> {
    let result = match call {
        Some(running) => running.await,
        None => std::future::pending().await,
    };
    *call = None;
    result
}

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

/// What a lane has in hand.
struct Hand {
    waiting: VecDeque<Delivery>,
    out: Vec<Delivery>,
    ends: Ends,
    /// So many at the head of `waiting` go one by one: one of them was refused.
    single: usize,
    circuit: Circuit,
}

impl Hand {
    /// Takes the answer for what is out.
    fn judge(&mut self, result: Result<Token, Error>, now: Instant, random: u64) -> Judged {
        let count = self.out.len();
        let Err(error) = result else {
            self.single = self.single.saturating_sub(count);
            self.ends.extend(self.out.drain(..).map(|delivery| (delivery.lease, Settlement::Done)));
            self.circuit.answered();
            return Judged::Carried(count);
        };
        match blame(&error) {
            Blame::Message if count == 1 => {
                let error = chain(&error);
                let park = |delivery: Delivery| (delivery.lease, Settlement::Park { error: error.clone() });
                self.ends.extend(self.out.drain(..).map(park));
                self.single = self.single.saturating_sub(1);
                self.circuit.answered();
                Judged::Refused(error)
            }
            Blame::Message => {
                self.single = count;
                self.put_back();
                Judged::OneByOne
            }
            Blame::Destination(asks) => {
                self.put_back();
                self.circuit.failed(now, asks, random);
                Judged::Away { failures: self.circuit.failures(), error: chain(&error) }
            }
        }
    }

    fn put_back(&mut self) {
        for delivery in self.out.drain(..).rev() {
            self.waiting.push_front(delivery);
        }
    }

    /// Gives back what has not been sent, for another relay to take at once.
    fn give_back(&mut self, now: Timestamp) {
        let error = "the relay was stopped while its destination was away".to_owned();
        let retry =
            |delivery: Delivery| (delivery.lease, Settlement::Retry { at: now, error: error.clone() });
        self.ends.extend(self.waiting.drain(..).map(retry));
    }

    fn leases(&self) -> Vec<Lease> {
        self.waiting.iter().chain(&self.out).map(|delivery| delivery.lease).collect()
    }
}

/// What became of what was out.
enum Judged {
    Carried(usize),
    Refused(String),
    OneByOne,
    Away { failures: u32, error: String },
}

impl Lane {
    /// Runs until it is stopped, and has sent and settled what it had in hand.
    pub(crate) async fn run(self, stop: Stop) {
        let mut hand = Hand {
            waiting: VecDeque::new(),
            out: Vec::new(),
            ends: Vec::new(),
            single: 0,
            circuit: Circuit::new(self.options.backoff),
        };
        let mut receiving: Call<Vec<Delivery>> = None;
        let mut publishing: Call<Token> = None;
        let mut settling: Call<Vec<bool>> = None;
        let mut extending: Call<Vec<bool>> = None;
        // What the calls that are running were about.
        let (mut settled, mut extended): (Ends, Vec<Lease>) = (Vec::new(), Vec::new());
        // After the store failed: how often, and when to try again.
        let (mut source_failures, mut source_from) = (0u32, Instant::now());
        let batch = self.options.batch.max(1);
        let step = self.options.lease / 3;
        let mut extend_from = Instant::now() + step;
        loop {
            let now = Instant::now();
            let stopping = stop.is_stopping();
            let source_rests = now < source_from;
            // An idle lane has no lease to extend, and nothing to wake up for.
            let holds = !hand.waiting.is_empty() || !hand.out.is_empty();
            let mut wakes = vec![];
            if holds && extending.is_none() {
                wakes.push(extend_from);
            }
            if stopping && publishing.is_none() {
                if !hand.circuit.is_closed() {
                    hand.give_back(self.ids.clock().now());
                }
                if hand.waiting.is_empty() && hand.ends.is_empty() && settling.is_none() {
                    return;
                }
            }
            if source_rests {
                wakes.push(source_from);
            }
            let receives = !stopping && hand.circuit.is_closed() && hand.waiting.len() < batch;
            if receiving.is_none() && receives && !source_rests {
                let source = self.source.clone();
                receiving = Some(Box::pin(async move { source.receive(batch, WAIT).await }));
            }
            let room = hand.ends.len() + settled.len() < UNSETTLED_BATCHES_MAX * batch;
            if publishing.is_none() && room && !hand.waiting.is_empty() {
                match hand.circuit.allows(now, if hand.single > 0 { 1 } else { batch }) {
                    Ok(count) => publishing = self.publish(&mut hand, count),
                    Err(until) => wakes.push(until),
                }
            }
            if settling.is_none() && !hand.ends.is_empty() && !source_rests {
                settled = std::mem::take(&mut hand.ends);
                let (source, ends) = (self.source.clone(), settled.clone());
                settling = Some(Box::pin(async move { source.settle(ends).await }));
            }
            if holds && extending.is_none() && now >= extend_from {
                extend_from = now + step;
                extended = hand.leases();
                let (source, leases) = (self.source.clone(), extended.clone());
                extending = Some(Box::pin(async move { source.extend(&leases).await }));
                continue;
            }
            let wake = async {
                match wakes.into_iter().min() {
                    Some(wake) => tokio::time::sleep_until(wake).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! { biased;
                () = stop.hard.cancelled() => return, // the leases end by themselves
                // A call that is dropped gives its messages up when their leases end.
                () = stop.soft.cancelled(), if !stopping => receiving = None,
                result = finished(&mut publishing) => self.note(hand.judge(result, Instant::now(), self.ids.random())),
                result = finished(&mut settling) => match result {
                    Ok(good) => self.answered(&mut source_failures, &good, &settled),
                    Err(error) => {
                        hand.ends.append(&mut settled);
                        source_from = self.away(&mut source_failures, "settle", &error);
                    }
                },
                result = finished(&mut extending) => match result {
                    Ok(kept) => {
                        // What somebody else has by now is theirs to send.
                        let lost = extended.iter().zip(kept).filter(|(_, kept)| !kept);
                        let lost: HashSet<Lease> = lost.map(|(lease, _)| *lease).collect();
                        hand.waiting.retain(|delivery| !lost.contains(&delivery.lease));
                    }
                    Err(error) => {
                        source_from = self.away(&mut source_failures, "extend", &error);
                    }
                },
                result = finished(&mut receiving) => match result {
                    Ok(deliveries) => {
                        self.answered(&mut source_failures, &[], &[]);
                        if !holds {
                            extend_from = Instant::now() + step;
                        }
                        hand.waiting.extend(deliveries);
                    }
                    Err(error) => source_from = self.away(&mut source_failures, "receive", &error),
                },
                () = wake => {}
            }
            if settling.is_none() {
                settled.clear();
            }
        }
    }

    /// Sends the first `count` that wait.
    fn publish(&self, hand: &mut Hand, count: usize) -> Call<Token> {
        let count = count.min(hand.waiting.len());
        hand.out = hand.waiting.drain(..count).collect();
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

    fn answered(&self, failures: &mut u32, good: &[bool], settled: &[(Lease, Settlement)]) {
        let overtaken = good.iter().filter(|good| !**good).count();
        if overtaken > 0 {
            let of = settled.len();
            tracing::warn!(topic = self.topic, overtaken, of, "leases had passed on; sent twice, perhaps");
        }
        if *failures > 0 || overtaken > 0 {
            *failures = 0;
            self.gauge.update(|here| {
                here.source_error = None;
                here.overtaken_total += overtaken as u64;
            });
        }
    }

    /// The store that is read does not answer: when to try again.
    fn away(&self, failures: &mut u32, doing: &str, error: &Error) -> Instant {
        let error = chain(error);
        if *failures == 0 {
            tracing::warn!(
                topic = self.topic,
                doing,
                error,
                "the store that the relay reads does not answer"
            );
        }
        *failures += 1;
        self.gauge.update(|here| here.source_error = Some(error));
        Instant::now() + SOURCE_BACKOFF.delay(*failures, self.ids.random())
    }
}

//! What a lane has in hand, and what becomes of it: pure decisions.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use dozen_core::{Timestamp, chain};
use dozen_messaging::{Delivery, Error, Lease, Settlement};
use tokio::time::Instant;

use crate::circuit::{Blame, Circuit, blame};

/// Batches whose settlement may be outstanding before no more is sent: bounds what would be sent twice after a crash.
const UNSETTLED_BATCHES_MAX: usize = 4;

/// How deliveries end.
pub(crate) type Ends = Vec<(Lease, Settlement)>;

/// Deliveries on their way: they wait, are out with the destination, and end.
pub(crate) struct Hand {
    pub(crate) waiting: VecDeque<Delivery>,
    pub(crate) out: Vec<Delivery>,
    pub(crate) ends: Ends,
    pub(crate) circuit: Circuit,
    /// So many at the head of `waiting` go one by one: one of them was refused.
    single: usize,
    batch: usize,
}

/// What became of what was out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    Carried(usize),
    Refused(String),
    OneByOne,
    Away { failures: u32, error: String },
}

impl Hand {
    /// Empty, for batches of this size.
    pub(crate) fn new(batch: usize, circuit: Circuit) -> Self {
        let batch = batch.max(1);
        Self { waiting: VecDeque::new(), out: Vec::new(), ends: Vec::new(), circuit, single: 0, batch }
    }

    /// Whether another batch should be received.
    pub(crate) fn wants_more(&self) -> bool {
        self.circuit.is_closed() && self.waiting.len() < self.batch
    }

    /// Whether anything is held by a lease.
    pub(crate) fn holds(&self) -> bool {
        !self.waiting.is_empty() || !self.out.is_empty()
    }

    pub(crate) fn leases(&self) -> Vec<Lease> {
        self.waiting.iter().chain(&self.out).map(|delivery| delivery.lease).collect()
    }

    /// Puts what can be sent now into `out`, while `settling` ends are on their way. `Err` is when to ask again.
    pub(crate) fn send(&mut self, now: Instant, settling: usize) -> Result<(), Option<Instant>> {
        let room = self.ends.len() + settling < UNSETTLED_BATCHES_MAX * self.batch;
        if !room || self.waiting.is_empty() || !self.out.is_empty() {
            return Err(None);
        }
        let most = if self.single > 0 { 1 } else { self.batch };
        let count = self.circuit.allows(now, most).map_err(Some)?.min(self.waiting.len());
        self.out = self.waiting.drain(..count).collect();
        Ok(())
    }

    /// Takes the answer for what is out.
    pub(crate) fn judge(&mut self, error: Option<&Error>, now: Instant, random: u64) -> Judged {
        let count = self.out.len();
        let Some(error) = error else {
            self.single = self.single.saturating_sub(count);
            self.ends.extend(self.out.drain(..).map(|delivery| (delivery.lease, Settlement::Done)));
            self.circuit.answered();
            return Judged::Carried(count);
        };
        match blame(error) {
            Blame::Message if count == 1 => {
                let error = chain(error);
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
                self.away(now, asks, random, error)
            }
        }
    }

    fn away(&mut self, now: Instant, asks: Duration, random: u64, error: &Error) -> Judged {
        self.circuit.failed(now, asks, random);
        Judged::Away { failures: self.circuit.failures(), error: chain(error) }
    }

    fn put_back(&mut self) {
        for delivery in self.out.drain(..).rev() {
            self.waiting.push_front(delivery);
        }
    }

    /// Gives back what has not been sent, for another relay to take at once.
    pub(crate) fn give_back(&mut self, now: Timestamp) {
        let error = "the relay was stopped while its destination was away".to_owned();
        let retry =
            |delivery: Delivery| (delivery.lease, Settlement::Retry { at: now, error: error.clone() });
        self.ends.extend(self.waiting.drain(..).map(retry));
    }

    /// What somebody else has by now is theirs to send.
    pub(crate) fn forget(&mut self, lost: &HashSet<Lease>) {
        self.waiting.retain(|delivery| !lost.contains(&delivery.lease));
    }
}

#[cfg(test)]
mod tests {
    use dozen_core::{Backoff, Message};

    use super::*;

    fn hand(count: u64) -> Hand {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut hand = Hand::new(4, Circuit::new(backoff));
        hand.waiting.extend((1..=count).map(|position| Delivery {
            message: Message::new(position.to_string(), "/s", "t"),
            lease: Lease { position, fence: 1, part: 0 },
            attempts: 1,
            until: Timestamp::NEVER,
            stored: Timestamp(0),
        }));
        hand
    }

    fn ended(hand: &Hand) -> Vec<(u64, bool)> {
        let tell = |(lease, how): &(Lease, Settlement)| (lease.position, *how == Settlement::Done);
        hand.ends.iter().map(tell).collect()
    }

    #[test]
    fn one_refusal_costs_one_message_and_the_rest_keeps_its_order() {
        let (mut hand, now) = (hand(6), Instant::now());
        let refused = Error::TooLarge { name: "t".into(), bytes: 2, bytes_max: 1 };
        hand.send(now, 0).unwrap();
        assert_eq!(hand.out.len(), 4);
        assert_eq!(hand.judge(Some(&refused), now, 0), Judged::OneByOne);
        for position in 1..=4 {
            hand.send(now, 0).unwrap();
            assert_eq!((hand.out.len(), hand.out[0].lease.position), (1, position));
            let judged = hand.judge((position == 2).then_some(&refused), now, 0);
            assert_eq!(matches!(judged, Judged::Refused(_)), position == 2);
        }
        assert_eq!(ended(&hand), [(1, true), (2, false), (3, true), (4, true)]);
        hand.send(now, 0).unwrap();
        assert_eq!(hand.out.len(), 2, "and what follows goes together again");
    }

    #[test]
    fn while_the_destination_is_away_all_stays_in_hand_and_one_probes() {
        let (mut hand, now) = (hand(5), Instant::now());
        let full = Error::Full { name: "t".into(), waiting_max: 1 };
        hand.send(now, 0).unwrap();
        assert!(matches!(hand.judge(Some(&full), now, 0), Judged::Away { failures: 1, .. }));
        assert!((hand.ends.is_empty(), hand.leases().len(), hand.wants_more()) == (true, 5, false));
        let again = hand.send(now, 0).unwrap_err().expect("a moment to ask again");
        hand.send(again, 0).unwrap();
        assert_eq!((hand.out.len(), hand.out[0].lease.position), (1, 1));
        assert_eq!(hand.judge(None, again, 0), Judged::Carried(1));
        hand.send(again, 0).unwrap();
        assert_eq!(hand.out.len(), 4);
        hand.judge(Some(&full), again, 0);
        hand.give_back(Timestamp(7));
        assert!(!hand.holds() && hand.ends.len() == 5);
    }

    #[test]
    fn what_is_not_settled_holds_up_what_is_sent() {
        let (mut hand, now) = (hand(3), Instant::now());
        assert_eq!(hand.send(now, 16), Err(None));
        assert_eq!(hand.send(now, 15), Ok(()));
    }
}

//! A queue on the reference engine, with a clock that the test sets.

#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Clock, Ids, ManualClock, Message, Timestamp};
use dozen_memory::Memory;
use dozen_messaging::{Delivery, Settlement, Subscriber};
use dozen_queue::{Options, Queue};
use dozen_store::Store;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) struct Bench {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Store,
    pub(crate) queue: Queue,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(1_790_000_000_000_000)));
        let store = Store::new(Memory::new(), clock.clone());
        let ids = Ids::new(clock.clone(), 1);
        let queue = Queue::open_with(&store, "work", options, ids).await.expect("open");
        Self { clock, store, queue }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn message(&self, text: &str) -> Message {
        self.queue.message("test", text)
    }

    /// Sends a message without a key; gives its id.
    pub(crate) async fn send(&self, text: &str) -> String {
        let message = self.message(text);
        let id = message.id.clone();
        self.queue.send(message).await.expect("send");
        id
    }

    pub(crate) async fn send_keyed(&self, key: &str, text: &str) {
        self.queue.send(self.message(text).with_key(key)).await.expect("send");
    }

    pub(crate) async fn receive(&self, max: usize) -> Vec<Delivery> {
        self.queue.subscriber().receive(max, Duration::ZERO).await.expect("receive")
    }

    pub(crate) async fn end(&self, delivery: &Delivery, how: Settlement) -> bool {
        self.queue.subscriber().settle(vec![(delivery.lease, how)]).await.expect("settle")[0]
    }

    pub(crate) async fn park(&self, delivery: &Delivery, error: &str) {
        assert!(self.end(delivery, Settlement::Park { error: error.into() }).await);
    }
}

pub(crate) fn texts(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| std::str::from_utf8(&delivery.message.data).expect("text")).collect()
}

//! A broker in memory that keeps the ports' promises and shows a test what became of each message.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Clock as _, Message, SystemClock, Timestamp, Token};
use dozen_messaging::{
    Broker, Delivery, Error, Lease, Publisher, Settlement, Subscriber, SubscriptionOptions,
};
use tokio::sync::{Notify, watch};

/// All topics; each is made by its first use. A topic named `broken` fails.
#[derive(Default)]
pub struct Memory {
    topics: Mutex<HashMap<String, Vec<Message>>>,
    opened: Mutex<HashMap<(String, String), Arc<Opened>>>,
    grown: Arc<Notify>,
}

struct Opened {
    entries: Mutex<Vec<Entry>>,
    grown: Arc<Notify>,
    /// How each message ended, in that order, and how often it was handed out.
    settled: watch::Sender<Vec<(String, Settlement, u32)>>,
}

struct Entry {
    message: Message,
    attempts: u32,
    fence: u64,
    next: Option<Timestamp>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds a lock")
}

impl Memory {
    /// What was published to `topic`.
    pub fn messages(&self, topic: &str) -> Vec<Message> {
        lock(&self.topics).get(topic).cloned().unwrap_or_default()
    }

    fn opened(&self, topic: &str, name: &str) -> Arc<Opened> {
        let key = (topic.to_owned(), name.to_owned());
        let new = || {
            let settled = watch::Sender::new(Vec::new());
            Arc::new(Opened { entries: Mutex::default(), grown: self.grown.clone(), settled })
        };
        lock(&self.opened).entry(key).or_insert_with(new).clone()
    }

    /// Waits until `count` settlements of a subscription have been made.
    pub async fn settled(&self, topic: &str, name: &str, count: usize) -> Vec<(String, Settlement, u32)> {
        let mut settled = self.opened(topic, name).settled.subscribe();
        let enough = settled.wait_for(|settled| settled.len() >= count);
        tokio::time::timeout(super::LONG, enough)
            .await
            .expect("it happens in time")
            .expect("it is open")
            .clone()
    }

    /// Makes a subscription before anyone opens it, so that nothing published from now on is missed.
    pub fn prepare(&self, topic: &str, name: &str) {
        self.opened(topic, name);
    }
}

#[async_trait]
impl Publisher for Memory {
    async fn publish(&self, destination: &str, messages: Vec<Message>) -> Result<Token, Error> {
        if destination == "broken" {
            return Err(Error::Full { name: destination.into(), waiting_max: 0 });
        }
        for ((topic, _), opened) in lock(&self.opened).iter() {
            if topic == destination {
                let entry = |message: &Message| Entry {
                    message: message.clone(),
                    attempts: 0,
                    fence: 0,
                    next: Some(Timestamp(0)),
                };
                lock(&opened.entries).extend(messages.iter().map(entry));
            }
        }
        lock(&self.topics).entry(destination.to_owned()).or_default().extend(messages);
        self.grown.notify_waiters();
        Ok(Token { store: "memory".into(), epoch: 1, position: 1 })
    }
}

#[async_trait]
impl Broker for Memory {
    async fn subscribe(
        &self,
        topic: &str,
        name: &str,
        _: SubscriptionOptions,
    ) -> Result<Arc<dyn Subscriber>, Error> {
        Ok(Arc::new(Reader(self.opened(topic, name))))
    }

    async fn unsubscribe(&self, _: &str, _: &str) -> Result<bool, Error> {
        Err(Error::Invalid("the sidecar never ends a subscription".into()))
    }

    async fn topics(&self) -> Result<Vec<String>, Error> {
        Ok(lock(&self.topics).keys().cloned().collect())
    }
}

struct Reader(Arc<Opened>);

#[async_trait]
impl Subscriber for Reader {
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error> {
        let until = tokio::time::Instant::now() + wait;
        loop {
            let grown = self.0.grown.notified();
            let now = SystemClock.now();
            let mut taken = Vec::new();
            for (position, entry) in lock(&self.0.entries).iter_mut().enumerate() {
                if taken.len() < max && entry.next.is_some_and(|next| next <= now) {
                    entry.next = None;
                    entry.attempts += 1;
                    entry.fence += 1;
                    let lease = Lease { position: position as u64, fence: entry.fence, part: 0 };
                    let (message, attempts) = (entry.message.clone(), entry.attempts);
                    taken.push(Delivery { message, lease, attempts, until: Timestamp::NEVER, stored: now });
                }
            }
            if !taken.is_empty() || tokio::time::Instant::now() >= until {
                return Ok(taken);
            }
            let due = lock(&self.0.entries).iter().filter_map(|entry| entry.next).min();
            let due = due.map_or(wait, |due| due.since(now) + Duration::from_millis(1));
            tokio::select! {
                () = grown => {}
                () = tokio::time::sleep(due) => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    async fn settle(&self, settlements: Vec<(Lease, Settlement)>) -> Result<Vec<bool>, Error> {
        let mut entries = lock(&self.0.entries);
        let settle = |(lease, settlement): (Lease, Settlement)| {
            let entry = &mut entries[usize::try_from(lease.position).expect("a position of ours")];
            let holds = entry.fence == lease.fence;
            if holds {
                if let Settlement::Retry { at, .. } = &settlement {
                    entry.next = Some(*at);
                }
                let (id, attempts) = (entry.message.id.clone(), entry.attempts);
                self.0.settled.send_modify(|settled| settled.push((id, settlement, attempts)));
            }
            holds
        };
        let settled = settlements.into_iter().map(settle).collect();
        self.0.grown.notify_waiters();
        Ok(settled)
    }

    async fn extend(&self, leases: &[Lease]) -> Result<Vec<bool>, Error> {
        Ok(vec![true; leases.len()])
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(30)
    }
}

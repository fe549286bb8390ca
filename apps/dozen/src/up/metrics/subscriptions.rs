//! Topics and subscriptions as they stand in the store, and the deliveries that this process made.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use dozen_messaging::CircuitState;
use dozen_metrics::{Collector, OTHER, Page, top};
use dozen_pubsub::{SubscriptionStatus, Topics};

use super::Collected;
use super::tally::{Entry, Tallies};

/// What the readers of relays are called; they have metrics of their own.
const RELAY: &str = "relay/";

pub(super) struct Subscriptions {
    pub(super) topics: Topics,
    /// Subscriptions of these names, and no topics; `None` is all.
    pub(super) only: Option<Arc<[String]>>,
}

#[async_trait]
impl Collector for Subscriptions {
    fn name(&self) -> &'static str {
        "subscriptions"
    }

    async fn collect(&self, page: &mut Page) -> Collected {
        if self.only.is_none() {
            self.topics(page).await?;
        }
        let mut statuses = self.topics.subscriptions().await?;
        statuses.retain(|status| match &self.only {
            Some(only) => only.contains(&status.name),
            None => !status.name.starts_with(RELAY),
        });
        let other =
            SubscriptionStatus { topic: OTHER.into(), name: OTHER.into(), ..SubscriptionStatus::default() };
        for status in top(statuses, |status| (status.dead, status.lag), other, |sum, status| sum.add(&status))
        {
            write(&status, page);
        }
        Ok(())
    }
}

impl Subscriptions {
    async fn topics(&self, page: &mut Page) -> Collected {
        let topics = self.topics.topic_statuses().await?;
        let rows = topics.into_iter().map(|status| (status.topic, status.published, status.bytes)).collect();
        let sum = |sum: &mut (String, u64, u64), row: (String, u64, u64)| {
            sum.1 += row.1;
            sum.2 += row.2;
        };
        for (topic, published, bytes) in top(rows, |row| row.1, (OTHER.to_owned(), 0, 0), sum) {
            let topic = ("topic", topic.as_str());
            page.counter("dozen_topic_published_total", "Messages that were ever published on a topic.")
                .sample(&[topic], published as f64);
            page.gauge("dozen_topic_kept_bytes", "Payload that a topic keeps.")
                .sample(&[topic], bytes as f64);
        }
        Ok(())
    }
}

fn write(status: &SubscriptionStatus, page: &mut Page) {
    let name = [("topic", status.topic.as_str()), ("subscription", status.name.as_str())];
    page.gauge(
        "dozen_subscription_lag_messages",
        "Messages before a subscription that are neither finished nor dead letters.",
    )
    .sample(&name, status.lag as f64);
    page.gauge("dozen_subscription_lag_seconds", "Age of the oldest of those messages.")
        .sample(&name, status.behind.map_or(0.0, |behind| behind.as_secs_f64()));
    let mut messages = page.gauge(
        "dozen_subscription_messages",
        "Messages that a subscription has looked at and not finished, by state.",
    );
    for (state, count) in [
        ("working", status.leased),
        ("waiting", status.waiting),
        ("held", status.held),
        ("dead", status.dead),
    ] {
        messages.sample(&[name[0], name[1], ("state", state)], count as f64);
    }
    page.gauge(
        "dozen_subscription_parked_keys",
        "Keys whose messages a dead letter of the subscription holds up.",
    )
    .sample(&name, status.parked_keys as f64);
    let is = |flag: bool| f64::from(u8::from(flag));
    page.gauge("dozen_subscription_paused", "Whether the receivers of a subscription rest.")
        .sample(&name, is(status.paused));
    let open = status.circuit.as_ref().is_some_and(|circuit| circuit.state != CircuitState::Closed);
    page.gauge(
        "dozen_subscription_circuit_open",
        "Whether the receiver of a subscription is away and left alone.",
    )
    .sample(&name, is(open));
}

/// What became of the deliveries of this process.
pub(super) struct Deliveries {
    pub(super) tallies: Tallies,
    pub(super) only: Option<Arc<[String]>>,
}

#[async_trait]
impl Collector for Deliveries {
    fn name(&self) -> &'static str {
        "deliveries"
    }

    async fn collect(&self, page: &mut Page) -> Collected {
        let is_meant = |entry: &Entry| self.only.as_ref().is_none_or(|only| only.contains(&entry.1));
        for (topic, name, counts) in self.tallies.all().into_iter().filter(is_meant) {
            let mut family = page.counter(
                "dozen_deliveries_total",
                "Deliveries that this process made, by what became of them.",
            );
            for (result, count) in
                [("handled", &counts.handled), ("failed", &counts.failed), ("put_off", &counts.put_off)]
            {
                let labels = [("topic", topic.as_str()), ("subscription", name.as_str()), ("result", result)];
                family.sample(&labels, count.load(Ordering::Relaxed) as f64);
            }
        }
        Ok(())
    }
}

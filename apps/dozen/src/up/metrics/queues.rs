//! Queues as they stand in the store.

use async_trait::async_trait;
use dozen_metrics::{Collector, OTHER, Page, top};
use dozen_queue::Overview;
use dozen_store::Store;

use super::Collected;

pub(super) struct Queues(pub(super) Store);

#[async_trait]
impl Collector for Queues {
    fn name(&self) -> &'static str {
        "queues"
    }

    async fn collect(&self, page: &mut Page) -> Collected {
        let now = self.0.clock().now();
        let other = Overview { name: OTHER.into(), ..Overview::default() };
        let queues = Overview::of(&self.0).await?;
        for queue in top(queues, |queue| (queue.dead, queue.lag()), other, |sum, queue| sum.add(&queue)) {
            let name = ("queue", queue.name.as_str());
            let mut messages =
                page.gauge("dozen_queue_messages", "Messages of a queue that are not finished, by state.");
            for (state, count) in [
                ("fresh", queue.fresh),
                ("working", queue.working),
                ("waiting", queue.waiting),
                ("held", queue.held),
                ("dead", queue.dead),
            ] {
                messages.sample(&[name, ("state", state)], count as f64);
            }
            page.gauge(
                "dozen_queue_lag_messages",
                "Messages of a queue that are neither finished nor dead letters.",
            )
            .sample(&[name], queue.lag() as f64);
            let lag = queue.oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
            page.gauge("dozen_queue_lag_seconds", "Age of the oldest of those messages.")
                .sample(&[name], lag);
            page.gauge("dozen_queue_parked_keys", "Keys whose messages a dead letter of the queue holds up.")
                .sample(&[name], queue.parked_keys as f64);
            page.gauge("dozen_queue_paused", "Whether the workers of a queue rest.")
                .sample(&[name], f64::from(u8::from(queue.paused)));
        }
        Ok(())
    }
}

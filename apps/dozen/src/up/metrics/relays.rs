//! Relays: what is before them, and what they have met.

use std::sync::Arc;

use async_trait::async_trait;
use dozen_core::{Clock as _, SystemClock};
use dozen_messaging::CircuitState;
use dozen_metrics::{Collector, Page};
use dozen_outbox::{LaneStatus, Relay};

use super::Collected;

/// By name.
pub(super) struct Relays(pub(super) Vec<(String, Arc<Relay>)>);

#[async_trait]
impl Collector for Relays {
    fn name(&self) -> &'static str {
        "relays"
    }

    async fn collect(&self, page: &mut Page) -> Collected {
        for (name, relay) in &self.0 {
            // A relay carries a thousand topics at most, so its series are bounded.
            for lane in relay.status().await? {
                write(name, &lane, page);
            }
        }
        Ok(())
    }
}

fn write(relay: &str, lane: &LaneStatus, page: &mut Page) {
    let name = [("relay", relay), ("topic", lane.topic.as_str())];
    let age = lane.oldest.map_or(0.0, |oldest| SystemClock.now().since(oldest).as_secs_f64());
    let gauges = [
        ("dozen_relay_backlog_messages", "Messages that a relay has not carried yet.", lane.backlog as f64),
        ("dozen_relay_lag_seconds", "Age of the oldest message that a relay has not carried yet.", age),
        (
            "dozen_relay_dead_messages",
            "Messages that a relay's destination will never take.",
            lane.dead_letters as f64,
        ),
        (
            "dozen_relay_circuit_open",
            "Whether a relay's destination is away and left alone.",
            f64::from(u8::from(lane.here.circuit.state != CircuitState::Closed)),
        ),
    ];
    for (family, help, value) in gauges {
        page.gauge(family, help).sample(&name, value);
    }
    let counters = [
        (
            "dozen_relay_carried_total",
            "Messages that a relay of this process carried.",
            lane.here.carried_total,
        ),
        (
            "dozen_relay_failures_total",
            "Attempts that failed because the destination was away.",
            lane.here.failures_total,
        ),
        (
            "dozen_relay_refused_total",
            "Messages that a relay's destination refused for ever.",
            lane.here.refused_total,
        ),
    ];
    for (family, help, value) in counters {
        page.counter(family, help).sample(&name, value as f64);
    }
}

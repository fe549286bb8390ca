//! What there is to measure of features. Every name is here; labels are names of the file and closed sets.

use std::sync::Arc;

use async_trait::async_trait;
use dozen_metrics::{Collector, Page};

use crate::gate::Verdict;
use crate::registry::Registry;
use crate::shadow::Shadow;
use crate::stage::Hold;

/// Features and shadowing, for a metrics endpoint.
pub struct Metrics {
    registry: Arc<Registry>,
    shadow: Option<Arc<Shadow>>,
}

impl Metrics {
    /// Of these.
    pub fn new(registry: Arc<Registry>, shadow: Option<Arc<Shadow>>) -> Self {
        Self { registry, shadow }
    }

    fn features(&self, page: &mut Page) {
        for feature in self.registry.features() {
            let (state, used, live) = (feature.state(), feature.used(), feature.live());
            let of = [("feature", feature.name())];
            page.gauge("dozen_feature_share_ratio", "The share of the keys that the new side serves.")
                .sample(&of, state.effective().share().fraction());
            page.gauge("dozen_feature_held", "1 for what keeps a feature from moving by itself.")
                .sample(&[of[0], ("hold", held(state.hold))], f64::from(u8::from(state.hold.is_some())));
            page.gauge("dozen_feature_gate_verdict", "What the gate says: 1 pass, 0 unknown, -1 fail.")
                .sample(&of, verdict(feature.judgement().verdict));
            for (side, served) in [("old", used.old), ("new", used.new)] {
                page.counter(
                    "dozen_feature_requests_total",
                    "Requests that a side has served, through this gateway.",
                )
                .sample(&[of[0], ("side", side)], served as f64);
            }
            let counts = live.counts();
            page.gauge(
                "dozen_feature_compared_answers",
                "Compared answers of this stage, through this gateway.",
            )
            .sample(&of, counts.differing.trials as f64);
            page.gauge("dozen_feature_differing_answers", "Compared answers of this stage that differ.")
                .sample(&of, counts.differing.hits as f64);
            page.gauge(
                "dozen_feature_incomparable_answers",
                "Answers of this stage that could not be compared.",
            )
            .sample(&of, counts.incomparable as f64);
            page.gauge(
                "dozen_feature_unreconciled_writes",
                "Writes of this stage that are not equal on both sides.",
            )
            .sample(&of, counts.unreconciled.hits as f64);
            page.gauge(
                "dozen_feature_unread_writes",
                "Writes of this stage that could not be read on both sides.",
            )
            .sample(&of, counts.unread as f64);
        }
        page.counter("dozen_feature_unmapped_requests_total", "Requests that no feature takes.")
            .sample(&[], self.registry.unmapped().total() as f64);
    }
}

fn held(hold: Option<Hold>) -> &'static str {
    match hold {
        None => "none",
        Some(Hold::Frozen) => "frozen",
        Some(Hold::Pinned) => "pinned",
        Some(Hold::Killed) => "killed",
    }
}

fn verdict(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Pass => 1.0,
        Verdict::Unknown => 0.0,
        Verdict::Fail => -1.0,
    }
}

#[async_trait]
impl Collector for Metrics {
    fn name(&self) -> &'static str {
        "features"
    }

    async fn collect(&self, page: &mut Page) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.features(page);
        if let Some(shadow) = &self.shadow {
            let counts = shadow.counts();
            page.counter(
                "dozen_feature_shadow_sent_total",
                "Requests that were sent to a side that only watches.",
            )
            .sample(&[], counts.sent as f64);
            page.counter("dozen_feature_shadow_unanswered_total", "Those of them that got no answer.")
                .sample(&[], counts.unanswered as f64);
            let mut dropped = page
                .counter("dozen_feature_shadow_dropped_total", "Requests that were not shadowed, and why.");
            dropped.sample(&[("reason", "bytes")], counts.over_budget as f64);
            dropped.sample(&[("reason", "queue")], counts.queue_full as f64);
            dropped.sample(&[("reason", "not-asked")], counts.not_asked as f64);
        }
        Ok(())
    }
}

//! What there is to measure of translators. Every name is here; labels are names of the file and closed sets.

use std::sync::Arc;

use async_trait::async_trait;
use dozen_dataplane::resilience::Circuit;
use dozen_metrics::{Collector, Page};

use crate::compile::Translators;
use crate::problem::Cause;

/// Translators and their providers, for a metrics endpoint.
#[derive(Debug)]
pub struct Metrics(Arc<Translators>);

impl Metrics {
    /// Of these.
    pub fn new(translators: Arc<Translators>) -> Self {
        Self(translators)
    }

    fn translators(&self, page: &mut Page) {
        for (name, translator) in self.0.iter() {
            let (of, totals) = (("translator", name), translator.totals());
            let mut ended =
                page.counter("dozen_translator_operations_total", "Operations, and how they ended.");
            ended.sample(&[of, ("outcome", "answered")], totals.answered as f64);
            for (cause, count) in Cause::ALL.into_iter().zip(totals.problems) {
                ended.sample(&[of, ("outcome", cause.label())], count as f64);
            }
            page.counter(
                "dozen_translator_operations_seconds_total",
                "How long all operations together took.",
            )
            .sample(&[of], totals.took.as_secs_f64());
            page.counter(
                "dozen_translator_cached_total",
                "Results that were kept, or asked for by somebody else already.",
            )
            .sample(&[of], totals.cached as f64);
            page.counter("dozen_translator_passed_on_total", "Times that the next provider was asked.")
                .sample(&[of], totals.passed_on as f64);
            page.counter("dozen_translator_left_out_total", "Optional calls that had no answer.")
                .sample(&[of], totals.left_out as f64);
            page.counter(
                "dozen_translator_fallbacks_total",
                "Fields that failed, and for which something stood in.",
            )
            .sample(&[of], totals.fallbacks as f64);
            for report in translator.drift() {
                let of = [of, ("call", &*report.place.call), ("provider", &*report.place.provider)];
                page.counter(
                    "dozen_translator_compared_answers_total",
                    "Live answers that were compared with the examples.",
                )
                .sample(&of, report.compared as f64);
                page.gauge(
                    "dozen_translator_drifted_fields",
                    "Fields of live answers that differ from the examples.",
                )
                .sample(&of, report.fields.len() as f64);
            }
        }
    }

    fn providers(&self, page: &mut Page) {
        for upstream in self.0.providers.upstreams.all() {
            let view = upstream.view();
            let of = [("provider", &**upstream.service())];
            page.gauge("dozen_provider_requests_in_flight", "Requests to a provider at this moment.")
                .sample(&of, f64::from(view.in_flight));
            page.gauge(
                "dozen_provider_circuit_open",
                "1 while a provider is left alone, 0.5 while it is being tried.",
            )
            .sample(
                &of,
                match view.circuit {
                    Circuit::Closed => 0.0,
                    Circuit::HalfOpen => 0.5,
                    Circuit::Open => 1.0,
                },
            );
            let mut refused = page.counter(
                "dozen_provider_refused_total",
                "Requests that were not sent to a provider, and why.",
            );
            refused.sample(&[of[0], ("reason", "full")], view.totals.full as f64);
            refused.sample(&[of[0], ("reason", "open")], view.totals.open as f64);
            refused.sample(&[of[0], ("reason", "unavailable")], view.totals.unavailable as f64);
        }
    }
}

#[async_trait]
impl Collector for Metrics {
    fn name(&self) -> &'static str {
        "translators"
    }

    async fn collect(&self, page: &mut Page) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.translators(page);
        self.providers(page);
        Ok(())
    }
}

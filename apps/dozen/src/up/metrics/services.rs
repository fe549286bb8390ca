//! The services that are called, and how they fare.

use std::sync::Arc;

use async_trait::async_trait;
use dozen_dataplane::Upstreams;
use dozen_dataplane::resilience::Circuit;
use dozen_metrics::{Collector, Page};

use super::Collected;

/// Services that are told; a file has fewer.
const SERVICES_MAX: usize = 1000;

/// Whoever calls them: the gateway, sidecars, subscriptions and all others share what is known of a service.
pub(super) struct Services(pub(super) Arc<Upstreams>);

#[async_trait]
impl Collector for Services {
    fn name(&self) -> &'static str {
        "services"
    }

    async fn collect(&self, page: &mut Page) -> Collected {
        for view in self.0.views().iter().take(SERVICES_MAX) {
            let service = ("service", view.service.as_str());
            let totals = &view.totals;
            page.counter("dozen_service_attempts_total", "Attempts that were given an instance.")
                .sample(&[service], totals.requests as f64);
            page.counter("dozen_service_retries_total", "Requests that were sent again.")
                .sample(&[service], totals.retries as f64);
            page.counter(
                "dozen_service_hedges_total",
                "Requests that were sent a second time without a failure.",
            )
            .sample(&[service], totals.hedges as f64);
            page.counter(
                "dozen_service_retries_refused_total",
                "Requests that were not sent again because the budget was used up.",
            )
            .sample(&[service], totals.retries_refused as f64);
            for (why, count) in [
                ("unavailable", totals.unavailable),
                ("full", totals.full),
                ("shed", totals.shed),
                ("open", totals.open),
            ] {
                page.counter("dozen_service_refused_total", "Requests that got no instance, by the reason.")
                    .sample(&[service, ("reason", why)], count as f64);
            }
            page.counter("dozen_service_ejections_total", "Instances that were left alone for a while.")
                .sample(&[service], totals.ejections as f64);
            page.counter("dozen_service_probes_failed_total", "Probes that were not answered as expected.")
                .sample(&[service], totals.probes_failed as f64);
            page.gauge("dozen_service_in_flight", "Requests under way.")
                .sample(&[service], view.in_flight.into());
            page.gauge("dozen_service_circuit_open", "1 while the service is left alone.")
                .sample(&[service], f64::from(u8::from(view.circuit == Circuit::Open)));
        }
        Ok(())
    }
}

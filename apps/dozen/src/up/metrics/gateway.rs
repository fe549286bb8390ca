//! What went through the gateway, by route.

use std::sync::Arc;

use async_trait::async_trait;
use dozen_gateway::auth::Reason;
use dozen_gateway::{Cached, DURATIONS_US, Gateway, Measured};
use dozen_metrics::{Collector, OTHER, Page, top};

use super::Collected;

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Routes with a histogram of their own; each has a dozen series.
const HISTOGRAMS_MAX: usize = 200;

pub(super) struct Routes(pub(super) Arc<Gateway>);

#[async_trait]
impl Collector for Routes {
    fn name(&self) -> &'static str {
        "gateway"
    }

    async fn collect(&self, page: &mut Page) -> Collected {
        let other = || Measured { route: OTHER.into(), ..Measured::default() };
        // Names come from the file alone, and those that are asked least are told together.
        let routes = top(self.0.measured(), Measured::ended, other(), |sum, one| sum.absorb(&one));
        for measured in &routes {
            write(measured, page);
        }
        let mut busiest = routes;
        busiest.sort_by_key(|one| std::cmp::Reverse(one.ended()));
        let mut rest = other();
        busiest.iter().skip(HISTOGRAMS_MAX).for_each(|one| rest.absorb(one));
        let is_cut = busiest.len() > HISTOGRAMS_MAX;
        busiest.truncate(HISTOGRAMS_MAX);
        busiest.extend(is_cut.then_some(rest));
        for measured in &busiest {
            histogram(measured, page);
        }
        page.counter("dozen_gateway_access_log_dropped_total", "Lines that could not be written in time.")
            .sample(&[], self.0.lines_dropped() as f64);
        if let Some(acme) = self.0.acme() {
            for (outcome, count) in [("obtained", acme.obtained), ("failed", acme.failed)] {
                page.counter(
                    "dozen_gateway_acme_total",
                    "Attempts to obtain a certificate, by what came of them.",
                )
                .sample(&[("outcome", outcome)], count as f64);
            }
            if let Some(until) = acme.until {
                page.gauge(
                    "dozen_gateway_acme_until_seconds",
                    "Until when the certificate of the authority holds, in seconds since 1970.",
                )
                .sample(&[], until.0 as f64 / 1e6);
            }
        }
        page.gauge("dozen_gateway_revision", "Counted up with each configuration that was taken over.")
            .sample(&[], self.0.revision() as f64);
        Ok(())
    }
}

fn write(measured: &Measured, page: &mut Page) {
    let route = ("route", &*measured.route);
    for (class, count) in CLASSES.iter().zip(measured.statuses) {
        page.counter(
            "dozen_gateway_requests_total",
            "Requests that were answered, by the hundreds of their status.",
        )
        .sample(&[route, ("status", class)], count as f64);
    }
    page.gauge("dozen_gateway_requests_in_flight", "Requests that have begun and not ended.")
        .sample(&[route], measured.in_flight as f64);
    for (reason, count) in Reason::ALL.iter().zip(measured.refused).filter(|(_, count)| *count > 0) {
        page.counter("dozen_gateway_refused_total", "Requests that did not pass, by the reason.")
            .sample(&[route, ("reason", reason.label())], count as f64);
    }
    for (cached, count) in Cached::ALL.iter().zip(measured.cached).filter(|(_, count)| *count > 0) {
        page.counter("dozen_gateway_cache_total", "Answers by the way in which the cache came into them.")
            .sample(&[route, ("result", cached.label())], count as f64);
    }
    if measured.kept_bytes > 0 {
        page.gauge("dozen_gateway_cache_bytes", "Bytes of answers that are kept to be used again.")
            .sample(&[route], measured.kept_bytes as f64);
    }
    for (direction, bytes) in [("in", measured.bytes_in), ("out", measured.bytes_out)] {
        page.counter("dozen_gateway_body_bytes_total", "Bytes of bodies from clients and to them.")
            .sample(&[route, ("direction", direction)], bytes as f64);
    }
}

fn histogram(measured: &Measured, page: &mut Page) {
    let bounds = DURATIONS_US.iter().map(|micros| *micros as f64 / 1e6);
    let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(measured.durations).collect();
    page.histogram("dozen_gateway_duration_seconds", "From a request's head to the end of its answer.")
        .sample(&[("route", &measured.route)], &buckets, measured.duration.as_secs_f64());
}

//! `/service`: what runs, and where it can be reached.

use dozen_core::Timestamp;
use maud::{Markup, html};
use serde::Serialize;

use crate::Error;
use crate::console::Console;
use crate::done::Done;
use crate::frame::{ago, fresh, nothing};
use crate::sources::ServiceView;
use crate::view::View;

/// All services.
#[derive(Serialize)]
pub(crate) struct Services {
    now: Timestamp,
    services: Vec<ServiceView>,
}

impl View for Services {
    const PATH: &'static str = "/service";

    async fn gather(console: &Console, _: &str) -> Result<Self, Error> {
        Ok(Self { now: console.now(), services: (console.sources.services)() })
    }

    fn title(&self) -> String {
        "Services".into()
    }

    fn body(&self, _: &Console, _: &Done) -> Markup {
        html! {
            h1 { "Services" }
            (fresh("services", html! {
                @if self.services.is_empty() {
                    (nothing("No service is known. Name one under `services` in the file, or let it register itself."))
                } @else {
                    (services_table(&self.services, self.now))
                }
                @for service in &self.services { (instances(service)) }
            }))
        }
    }
}

/// One line for each service.
pub(crate) fn services_table(services: &[ServiceView], now: Timestamp) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "Service" } th { "Instances" } th { "Process" } th { "Started" } th.n { "Restarts" } th { "Sidecar" } } }
            tbody {
                @for service in services {
                    @let healthy = service.endpoints.healthy().count();
                    @let all = service.endpoints.endpoints.len();
                    tr {
                        td { strong { (service.endpoints.service) } }
                        td { (dot(healthy > 0)) (healthy) " of " (all) " healthy" }
                        @match &service.process {
                            Some(process) => {
                                td { (dot(process.is_well)) (process.state) @if let Some(pid) = process.pid { " " span.muted { "pid " (pid) } } }
                                td { @if let Some(since) = process.since { (ago(since, now)) } }
                                td.n { (process.restarts) }
                            }
                            None => { td.muted { "not started by dozen" } td {} td {} }
                        }
                        td.mono { (service.sidecar.as_deref().unwrap_or("")) }
                    }
                }
            }
        } }
    }
}

fn instances(service: &ServiceView) -> Markup {
    html! {
        section {
            h2.name { (service.endpoints.service) }
            @if let Some(process) = &service.process { p.mono.muted { (process.command) } }
            @if service.endpoints.endpoints.is_empty() {
                (nothing("No instance."))
            } @else {
                div.scroll { table {
                    thead { tr { th { "Instance" } th { "Address" } th { "Health" } th.n { "Weight" } th { "Zone" } th { "Metadata" } } }
                    tbody {
                        @for endpoint in &service.endpoints.endpoints {
                            tr {
                                td.mono { (endpoint.id) }
                                td.mono { (endpoint.address) }
                                td { (dot(endpoint.healthy)) @if endpoint.healthy { "healthy" } @else { "failing" } }
                                td.n { (endpoint.weight) }
                                td { (endpoint.zone.as_deref().unwrap_or("")) }
                                td.small { @for (name, value) in &endpoint.metadata { span.pair { (name) "=" (value) } " " } }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn dot(is_well: bool) -> Markup {
    html! { i.dot.well[is_well].ill[!is_well] {} }
}

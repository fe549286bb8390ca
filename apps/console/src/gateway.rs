//! `/gateway`: its routes, and the requests that came lately.

use dozen_core::Timestamp;
use maud::{Markup, html};
use serde::Serialize;

use crate::console::Console;
use crate::done::Done;
use crate::frame::{ago, fresh, nothing};
use crate::sources::{RequestView, RouteView};
use crate::view::View;
use crate::{Error, explain, format, live};

/// What the page follows.
const PREFIX: &str = "gateway/";

/// Requests shown.
const REQUESTS_MAX: usize = 100;

/// Routes and requests.
#[derive(Serialize)]
pub(crate) struct Gateway {
    now: Timestamp,
    routes: Vec<RouteView>,
    requests: Vec<RequestView>,
}

impl Gateway {
    fn of(console: &Console) -> Self {
        Self {
            now: console.now(),
            routes: (console.sources.routes)(),
            requests: (console.sources.recent_requests)(REQUESTS_MAX),
        }
    }
}

/// Another number when there are other routes or requests.
pub(crate) fn numbers(console: &Console, prefix: &str) -> Vec<(String, u64)> {
    let shown = (prefix == PREFIX).then(|| Gateway::of(console));
    shown.iter().map(|shown| (PREFIX.to_owned(), live::version(&(&shown.routes, &shown.requests)))).collect()
}

impl View for Gateway {
    const PATH: &'static str = "/gateway";

    async fn gather(console: &Console, _: &str) -> Result<Self, Error> {
        Ok(Self::of(console))
    }

    fn follows(&self) -> String {
        PREFIX.to_owned()
    }

    fn title(&self) -> String {
        "Gateway".into()
    }

    fn body(&self, _: &Console, _: &Done) -> Markup {
        html! {
            h1 { "Gateway" }
            section {
                h2 { "Routes" }
                @if !self.routes.is_empty() { (explain::form("")) }
                (fresh("routes", html! {
                    @if self.routes.is_empty() {
                        (nothing("No route. Add one under `gateway: routes` in the file."))
                    } @else { (routes_table(&self.routes)) }
                }))
            }
            (fresh("requests", html! {
                section {
                    h2 { "Latest requests" }
                    @if self.requests.is_empty() { (nothing("No request yet.")) } @else { (requests_table(&self.requests, self.now)) }
                }
            }))
        }
    }
}

fn routes_table(routes: &[RouteView]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "Method" } th { "Path" } th { "Leads to" } th { "On the way" } } }
            tbody {
                @for route in routes {
                    tr {
                        td.mono { (route.method) }
                        td.mono { @if let Some(host) = &route.host { span.muted { (host) } } (route.path) }
                        td.mono { (route.target) }
                        td.small { @for policy in &route.policies { span.pair { (policy) } " " } }
                    }
                }
            }
        } }
    }
}

/// One line for each request; the trace leads to the messages that it caused.
pub(crate) fn requests_table(requests: &[RequestView], now: Timestamp) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "Request" } th.n { "Status" } th { "Answered by" } th.n { "Took" } th { "When" } th { "Trace" } } }
            tbody {
                @for request in requests {
                    tr {
                        td.mono { (request.method) " " (request.path) }
                        td.n { (status(request.status)) }
                        td { (request.service.as_deref().unwrap_or("")) }
                        td.n { @match request.took { Some(took) => (format::span(took)), None => span.muted { "under way" } } }
                        td { (ago(request.at, now)) }
                        td { a.id href={ "/trace/" (format::encode(&request.trace_id)) } title=(request.trace_id) {
                            (request.trace_id.get(..8).unwrap_or(&request.trace_id)) "…"
                        } }
                    }
                }
            }
        } }
    }
}

/// A status in the colour of what it means.
pub(crate) fn status(status: Option<u16>) -> Markup {
    let class = match status {
        Some(100..400) => "tag good",
        Some(400..500) => "tag warn",
        Some(_) => "tag bad",
        None => "tag",
    };
    html! { span class=(class) { @match status { Some(status) => (status), None => "none" } } }
}

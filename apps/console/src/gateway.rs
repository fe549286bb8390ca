//! `/gateway`: its routes, and the requests that came lately.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dozen_core::Timestamp;
use maud::{Markup, html};
use serde::Serialize;

use crate::console::{Console, Shared};
use crate::frame::{self, Page, ago, fresh, nothing};
use crate::serve::json;
use crate::sources::{RequestView, RouteView};
use crate::{Error, format};

/// Requests shown.
const REQUESTS_MAX: usize = 100;

#[derive(Serialize)]
struct Data {
    now: Timestamp,
    routes: Vec<RouteView>,
    requests: Vec<RequestView>,
}

fn gather(console: &Console) -> Data {
    Data {
        now: console.now(),
        routes: (console.sources.routes)(),
        requests: (console.sources.recent_requests)(REQUESTS_MAX),
    }
}

pub(crate) async fn page(State(console): Shared) -> Response {
    let data = gather(&console);
    let body = html! {
        h1 { "Gateway" }
        section {
            h2 { "Routes" }
            @if data.routes.is_empty() {
                (nothing("No route. Add one under `gateway: routes` in the file."))
            } @else {
                (routes_table(&data.routes))
            }
        }
        (fresh("requests", html! {
            section {
                h2 { "Latest requests" }
                @if data.requests.is_empty() { (nothing("No request yet.")) } @else { (requests_table(&data.requests, data.now)) }
            }
        }))
    };
    let page = Page { title: "Gateway".into(), path: "/gateway", follows: Some(String::new()), body };
    frame::framed(&console, page)
}

pub(crate) async fn twin(State(console): Shared) -> Response {
    json(Ok::<_, Error>(gather(&console))).into_response()
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

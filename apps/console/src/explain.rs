//! `/gateway/explain`: which route would take a request, why that one, and why no other. Nothing is sent.

use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::console::{Console, Shared};
use crate::done::Done;
use crate::frame::nothing;
use crate::gateway::Gateway;
use crate::sources::ExplainView;
use crate::view::{self, View};

/// Signs of a request that is asked about.
const REQUEST_MAX: usize = 2048;

/// What a person has written into the form.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    request: String,
}

/// What would become of a request.
#[derive(Serialize)]
struct Explained {
    request: String,
    said: Option<ExplainView>,
}

/// The page for what the form asks.
pub(crate) async fn page(State(console): Shared, Query(asked): Query<Asked>) -> Response {
    view::show::<Explained>(&console, &asked.request, &Done::default()).await
}

impl View for Explained {
    const PATH: &'static str = Gateway::PATH;

    async fn gather(console: &Console, request: &str) -> Result<Self, Error> {
        let request: String = request.trim().chars().take(REQUEST_MAX).collect();
        let said = (console.sources.explain)(&request);
        Ok(Self { request, said })
    }

    fn title(&self) -> String {
        "Gateway".into()
    }

    fn body(&self, _: &Console, _: &Done) -> Markup {
        html! {
            h1 { "Which route, and why" }
            (form(&self.request))
            @match &self.said {
                None => (nothing("There is no gateway, so no request comes in.")),
                Some(said) => {
                    section {
                        h2 { "Route" }
                        div.scroll { table { tbody {
                            tr { td.muted { "route" } td.mono { (said.route.as_deref().unwrap_or("none")) } }
                            tr { td.muted { "why" } td { (said.why) } }
                            @for (name, value) in &said.then { tr { td.muted { (name) } td.mono { (value) } } }
                        } } }
                    }
                    section {
                        h2 { "Others" }
                        @if said.considered.is_empty() { (nothing("No other route comes near.")) } @else {
                            div.scroll { table {
                                thead { tr { th { "Route" } th { "Why not" } } }
                                tbody { @for (route, why_not) in &said.considered {
                                    tr { td.mono { (route) } td { (why_not) } }
                                } }
                            } }
                        }
                    }
                }
            }
        }
    }
}

/// Asks about a request.
pub(crate) fn form(request: &str) -> Markup {
    html! {
        form.line action="/gateway/explain" method="get" {
            input name="request" value=(request) placeholder="GET /orders/7" aria-label="Method and path or URL" autocomplete="off"
                spellcheck="false" maxlength=(REQUEST_MAX);
            button { "Explain" }
        }
    }
}

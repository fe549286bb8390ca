//! The console as a router, and as a part of the process.

use std::sync::Arc;

use async_trait::async_trait;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use http::{StatusCode, Uri};
use serde::Serialize;

use crate::console::Console;
use crate::{
    Error, Sources, dead_letters, edit, explain, feature, gateway, guard, live, message, outbox, overview,
    queue, rest, service, topic, trace, translator, view,
};

/// The console's pages. Pages that follow changes end when `stop.soft` is cancelled.
///
/// Fails when the operating system gives no random numbers.
pub fn router(sources: Sources, stop: Stop) -> Result<Router, Error> {
    let console = Arc::new(Console::new(sources, stop)?);
    let router = Router::new()
        .route("/", get(view::page::<overview::Overview>))
        .route("/service", get(view::page::<service::Services>))
        .route("/gateway", get(view::page::<gateway::Gateway>))
        .route("/gateway/explain", get(explain::page))
        .route("/translator", get(view::page::<translator::Page>))
        .route("/queue", get(view::page::<queue::Queues>))
        .route("/queue/{name}", get(view::page_of::<queue::One>))
        .route("/queue/{name}/rest", post(rest::queue))
        .route("/queue/{name}/dead-letters", post(dead_letters::of_queue))
        .route("/queue/{name}/dead-letters/{position}", get(edit::queue_page).post(edit::queue_save))
        .route("/feature", get(view::page::<feature::Features>))
        .route("/feature/{name}", get(view::page_of::<feature::One>))
        .route("/feature/{name}/order", post(feature::order))
        .route("/topic", get(view::page::<topic::Topics>))
        .route("/topic/{name}", get(view::page_of::<topic::One>))
        .route("/topic/{name}/{subscription}/rest", post(rest::subscription))
        .route("/topic/{name}/{subscription}/move", post(rest::seek))
        .route("/topic/{name}/{subscription}/dead-letters", post(dead_letters::of_subscription))
        .route(
            "/topic/{name}/{subscription}/dead-letters/{position}",
            get(edit::subscription_page).post(edit::subscription_save),
        )
        .route("/outbox", get(view::page::<outbox::Page>))
        .route("/outbox/replay", post(outbox::replay))
        .route("/message", get(message::search))
        .route("/message/{id}", get(message::page))
        .route("/trace/{id}", get(view::page_of::<trace::Trace>))
        .route("/events", get(live::events))
        .route("/metrics", get(metrics))
        .route("/api", get(view::twin::<overview::Overview>))
        .route("/api/", get(view::twin::<overview::Overview>))
        .route("/api/service", get(view::twin::<service::Services>))
        .route("/api/gateway", get(view::twin::<gateway::Gateway>))
        .route("/api/translator", get(view::twin::<translator::Page>))
        .route("/api/queue", get(view::twin::<queue::Queues>))
        .route("/api/queue/{name}", get(view::twin_of::<queue::One>))
        .route("/api/feature", get(view::twin::<feature::Features>))
        .route("/api/feature/{name}", get(view::twin_of::<feature::One>))
        .route("/api/topic", get(view::twin::<topic::Topics>))
        .route("/api/topic/{name}", get(view::twin_of::<topic::One>))
        .route("/api/outbox", get(view::twin::<outbox::Page>))
        .route("/api/message/{id}", get(message::twin))
        .route("/api/trace/{id}", get(view::twin_of::<trace::Trace>))
        .fallback(nothing_here)
        .layer(from_fn_with_state(console.clone(), guard::guard))
        .with_state(console);
    Ok(router)
}

/// The console on a listening socket.
pub fn serve(sources: Sources, server: dozen_dataplane::Server) -> Result<Arc<dyn Service>, Error> {
    let closing = Stop::new();
    let pages = server.serving(router(sources, closing.clone())?);
    Ok(Arc::new(Serving { pages, closing }))
}

/// Tells the pages that follow to end as soon as the server is told to, so that there is nothing to drain.
struct Serving {
    pages: Arc<dyn Service>,
    closing: Stop,
}

#[async_trait]
impl Service for Serving {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let pages = self.pages.clone().run(stop.clone(), ready);
        tokio::pin!(pages);
        tokio::select! { biased;
            () = stop.soft.cancelled() => self.closing.soft.cancel(),
            ended = &mut pages => return ended,
        }
        pages.await
    }
}

/// `/metrics`, for Prometheus.
async fn metrics(axum::extract::State(console): crate::console::Shared) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    match &console.sources.metrics {
        Some(registry) => {
            let page = registry.render().await.to_string();
            ([(http::header::CONTENT_TYPE, dozen_metrics::CONTENT_TYPE)], page).into_response()
        }
        None => Problem(Error::Unknown { kind: "page", name: "/metrics".into(), hint: "" }).into_response(),
    }
}

/// The JSON twin of a page.
pub(crate) fn json<T: Serialize>(data: Result<T, Error>) -> Result<Json<T>, Problem> {
    data.map(Json).map_err(Problem)
}

/// An error as a problem document (RFC 9457).
pub(crate) struct Problem(pub(crate) Error);

impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let status = self.0.status();
        let body = dozen_dataplane::problem_document(status.as_u16(), &self.0.text());
        (status, [(http::header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}

async fn nothing_here(
    axum::extract::State(console): crate::console::Shared,
    uri: Uri,
) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    let error = Error::Unknown { kind: "page", name: uri.path().to_owned(), hint: "" };
    if uri.path().starts_with("/api/") {
        return Problem(error).into_response();
    }
    debug_assert_eq!(error.status(), StatusCode::NOT_FOUND);
    crate::frame::failed(&console, &error)
}

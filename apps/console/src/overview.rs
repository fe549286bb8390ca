//! `/`: everything on one page, each part a link to its own.

use std::collections::BTreeMap;

use dozen_core::Timestamp;
use maud::{Markup, html};
use serde::Serialize;

use crate::console::Console;
use crate::done::Done;
use crate::frame::{fresh, live, nothing};
use crate::gateway::requests_table;
use crate::live::Snapshot;
use crate::queue::{QueueData, queues_table};
use crate::service::services_table;
use crate::sources::{RequestView, ServiceView};
use crate::topic::{TopicData, topics_table};
use crate::view::View;
use crate::{Error, queue, topic};

/// Requests shown.
const REQUESTS_MAX: usize = 8;

/// Everything.
#[derive(Serialize)]
pub(crate) struct Overview {
    app: String,
    engine: &'static str,
    now: Timestamp,
    totals: BTreeMap<String, u64>,
    services: Vec<ServiceView>,
    queues: Vec<QueueData>,
    topics: Vec<TopicData>,
    routes: usize,
    requests: Vec<RequestView>,
}

/// The numbers at the top, by the names that the events give them.
pub(crate) fn totals(console: &Console, snapshot: &Snapshot) -> BTreeMap<String, u64> {
    sums(
        &(console.sources.services)(),
        snapshot.readers.iter().map(|status| (&*status.stream, status.lag(), status.parked)),
    )
}

fn sums<'a>(
    services: &[ServiceView],
    readers: impl Iterator<Item = (&'a str, u64, u64)>,
) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for name in ["queues:lag", "topics:lag", "parked"] {
        sums.insert(name.to_owned(), 0);
    }
    for (stream, lag, parked) in readers {
        let name = match stream.split('/').next() {
            Some("queue") => "queues:lag",
            Some("topic") => "topics:lag",
            _ => continue,
        };
        for (name, value) in [(name, lag), ("parked", parked)] {
            if let Some(sum) = sums.get_mut(name) {
                *sum += value;
            }
        }
    }
    let well = services.iter().filter(|service| service.endpoints.healthy().next().is_some()).count();
    sums.insert("services:well".to_owned(), well as u64);
    sums
}

impl View for Overview {
    const PATH: &'static str = "/";

    async fn gather(console: &Console, _: &str) -> Result<Self, Error> {
        let queues = queue::gather_all(console).await?;
        let topics = topic::gather_all(console).await?;
        let services = (console.sources.services)();
        let of_queues = queues.iter().map(|queue| ("queue/", queue.lag, queue.overview.dead));
        let readers = topics.iter().flat_map(|topic| &topic.readers).map(|reader| &reader.status);
        let of_topics = readers.map(|status| (&*status.stream, status.lag(), status.parked));
        let totals = sums(&services, of_queues.chain(of_topics));
        Ok(Self {
            app: console.sources.app.clone(),
            engine: console.sources.store.capabilities().engine,
            now: console.now(),
            totals,
            services,
            queues,
            topics,
            routes: (console.sources.routes)().len(),
            requests: (console.sources.recent_requests)(REQUESTS_MAX),
        })
    }

    fn title(&self) -> String {
        "Overview".into()
    }

    fn body(&self, _: &Console, _: &Done) -> Markup {
        render(self)
    }
}

fn render(data: &Overview) -> Markup {
    let total = |name: &str| live(name, data.totals.get(name).copied().unwrap_or(0));
    html! {
        h1 { (data.app) }
        div.cards {
            a.card href="/service" { b { (total("services:well")) small { " of " (data.services.len()) } } span { "services well" } }
            a.card href="/gateway" { b { (data.routes) } span { "routes" } }
            a.card href="/queue" { b { (total("queues:lag")) } span { "messages in queues" } }
            a.card href="/topic" { b { (total("topics:lag")) } span { "events before subscribers" } }
            a.card.bad[data.totals.get("parked").is_some_and(|parked| *parked > 0)] href="/queue" {
                b { (total("parked")) } span { "dead letters" }
            }
        }
        (fresh("overview", html! {
            section {
                h2 { a href="/service" { "Services" } }
                @if data.services.is_empty() { (nothing("No service is known.")) } @else { (services_table(&data.services, data.now)) }
            }
            div.columns {
                section {
                    h2 { a href="/queue" { "Queues" } }
                    @if data.queues.is_empty() { (nothing("No queue yet.")) } @else { (queues_table(&data.queues, data.now, false)) }
                }
                section {
                    h2 { a href="/topic" { "Topics" } }
                    @if data.topics.is_empty() { (nothing("No topic yet.")) } @else { (topics_table(&data.topics, data.now)) }
                }
            }
            section {
                h2 { a href="/gateway" { "Latest requests" } }
                @if data.requests.is_empty() { (nothing("No request yet.")) } @else { (requests_table(&data.requests, data.now)) }
            }
            p.muted.small { "State lives in the " (data.engine) " engine." }
        }))
    }
}

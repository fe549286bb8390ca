//! A console over a store in memory, and what a test puts into it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use dozen_console::{Declared, RequestView, Sources, SubscriptionView};
use dozen_core::{Clock, ManualClock, Message, Timestamp};
use dozen_lifecycle::Stop;
use dozen_memory::Memory;
use dozen_messaging::{Publisher as _, Settlement, Subscriber as _, SubscriptionOptions};
use dozen_pubsub::{TopicOptions, Topics};
use dozen_store::{ClaimState, Ended, Start, Store};
use http::{Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// The address of the console itself.
pub(crate) const OWN: &str = "http://127.0.0.1:4000";
pub(crate) const NASTY: &str = "<script>alert(\"1\")</script>&'";

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) stop: Stop,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(1_790_000_000_000_000)));
        let store = Store::new(Memory::new(), clock.clone() as Arc<dyn Clock>);
        let stop = Stop::new();
        let sources = Sources {
            requests: Arc::new(|trace_id| if trace_id == TRACE { vec![request()] } else { Vec::new() }),
            recent_requests: Arc::new(|_| vec![request()]),
            queues: Arc::new(|| vec![declared("declared")]),
            topics: Arc::new(|| vec![declared("orders")]),
            subscriptions: Arc::new(|| {
                vec![SubscriptionView {
                    name: "mail".into(),
                    topics: vec!["orders".into()],
                    to: Some("mail:/on-order".into()),
                    filter: Some("event.total < 100".into()),
                }]
            }),
            hosts: vec!["console.test".into()],
            ..Sources::new("shop", store.clone())
        };
        let router = dozen_console::router(sources, stop.clone()).unwrap();
        Self { router, store, clock, stop }
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> (StatusCode, http::HeaderMap, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 1 << 22).await.unwrap();
        (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        let (status, _, body) = self.ask(get(path).body(Body::empty()).unwrap()).await;
        (status, body)
    }

    pub(crate) async fn twin(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// A queue `work` with one dead letter and one message that waits.
    pub(crate) async fn dead_letter(&self) {
        let (stream, reader) = ("queue/work".into(), "workers".into());
        let journal = self.store.journal();
        journal.open(&stream, &reader, Start::Earliest).await.unwrap();
        journal.append(&stream, vec![message("m1"), message("m2")]).await.unwrap();
        let (claimed, _) = journal.claim(&stream, &reader, 1, Duration::from_secs(30)).await.unwrap();
        let ends = vec![(claimed[0].place, Ended::Parked(NASTY.into()))];
        journal.settle(&stream, &reader, ends).await.unwrap();
    }

    pub(crate) async fn parked(&self) -> usize {
        let journal = self.store.journal();
        let (stream, reader) = ("queue/work".into(), "workers".into());
        journal.claims(&stream, &reader, ClaimState::Parked, 0, 10).await.unwrap().len()
    }

    /// Sends a form as the page at `page` would; gives where it leads.
    pub(crate) async fn press(&self, page: &str, path: &str, form: &str) -> String {
        let (_, body) = self.get(page).await;
        let token =
            body.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let (status, headers, body) =
            self.ask(post(path, "same-origin", OWN, format!("token={token}&{form}"))).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{path} {form}: {body}");
        headers["location"].to_str().unwrap().to_owned()
    }

    /// A topic `orders` with the subscription `mail`, which has one dead letter and one message to go.
    pub(crate) async fn subscription(&self, pattern: &str) -> Topics {
        let topics = Topics::open(&self.store);
        topics.declare_topic("orders", &TopicOptions::default()).await.unwrap();
        let options =
            SubscriptionOptions { start: dozen_messaging::Start::Earliest, ..SubscriptionOptions::default() };
        let mail = topics.subscription(pattern, "mail", options).await.unwrap();
        topics.publish("orders", vec![message("m1"), message("m2")]).await.unwrap();
        let taken = mail.receive(1, Duration::ZERO).await.unwrap();
        let park = Settlement::Park { error: "no such address".into() };
        mail.settle(vec![(taken[0].lease, park)]).await.unwrap();
        topics
    }
}

pub(crate) fn get(path: &str) -> http::request::Builder {
    Request::get(path).header("host", "127.0.0.1:4000")
}

fn declared(name: &str) -> Declared {
    Declared { name: name.into(), settings: vec![("lease".into(), "30s".into())] }
}

fn request() -> RequestView {
    RequestView {
        at: Timestamp(1_789_999_999_997_000),
        took: Some(Duration::from_millis(12)),
        method: "POST".into(),
        path: "/orders".into(),
        status: Some(201),
        service: Some("orders".into()),
        trace_id: TRACE.into(),
    }
}

pub(crate) fn message(id: &str) -> Message {
    let trace = format!("00-{TRACE}-00f067aa0ba902b7-01").parse().unwrap();
    Message::new(id, "/orders", NASTY).with_trace(trace).with_data(None, "{\"total\":\"</pre>\"}")
}

pub(crate) fn post(path: &str, site: &'static str, origin: &'static str, form: String) -> Request<Body> {
    Request::post(path)
        .header("host", "127.0.0.1:4000")
        .header("origin", origin)
        .header("sec-fetch-site", site)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap()
}

//! The pages, their twins, their guards and the events, without a browser.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use dozen_console::{Declared, RequestView, Sources, SubscriptionView};
use dozen_core::{Clock, ManualClock, Message, Timestamp};
use dozen_lifecycle::Stop;
use dozen_memory::Memory;
use dozen_store::{ClaimState, Ended, Start, Store};
use futures::StreamExt as _;
use http::{Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const NASTY: &str = "<script>alert(\"1\")</script>&'";

struct World {
    router: Router,
    store: Store,
    clock: Arc<ManualClock>,
    stop: Stop,
}

impl World {
    fn new() -> Self {
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

    async fn ask(&self, request: Request<Body>) -> (StatusCode, http::HeaderMap, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 1 << 22).await.unwrap();
        (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let (status, _, body) = self.ask(get(path).body(Body::empty()).unwrap()).await;
        (status, body)
    }

    async fn twin(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// A queue `work` with one dead letter and one message that waits.
    async fn dead_letter(&self) {
        let (stream, reader) = ("queue/work".into(), "workers".into());
        let journal = self.store.journal();
        journal.open(&stream, &reader, Start::Earliest).await.unwrap();
        journal.append(&stream, vec![message("m1"), message("m2")]).await.unwrap();
        let (claimed, _) = journal.claim(&stream, &reader, 1, Duration::from_secs(30)).await.unwrap();
        let ends = vec![(claimed[0].place, Ended::Parked(NASTY.into()))];
        journal.settle(&stream, &reader, ends).await.unwrap();
    }

    async fn parked(&self) -> usize {
        let journal = self.store.journal();
        let (stream, reader) = ("queue/work".into(), "workers".into());
        journal.claims(&stream, &reader, ClaimState::Parked, 0, 10).await.unwrap().len()
    }
}

fn get(path: &str) -> http::request::Builder {
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

fn message(id: &str) -> Message {
    let trace = format!("00-{TRACE}-00f067aa0ba902b7-01").parse().unwrap();
    Message::new(id, "/orders", NASTY).with_trace(trace).with_data(None, "{\"total\":\"</pre>\"}")
}

#[tokio::test]
async fn every_page_answers_without_anything_to_show_and_brings_its_policy() {
    let world = World::new();
    for path in [
        "/",
        "/service",
        "/gateway",
        "/queue",
        "/queue/declared",
        "/topic",
        "/topic/orders",
        &format!("/trace/{TRACE}"),
    ] {
        let (status, headers, body) = world.ask(get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        let nonce =
            policy.split("script-src 'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
        assert!(body.contains(&format!("<script nonce=\"{nonce}\">")), "{path}");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(!body.contains(" style=") && !body.contains("onclick"), "{path}");
        let twin = if path == "/" { "/api".to_owned() } else { format!("/api{path}") };
        world.twin(&twin).await;
    }
}

#[tokio::test]
async fn what_does_not_exist_is_a_404_that_says_so() {
    let world = World::new();
    for path in ["/queue/none", "/topic/none", "/message/none", "/message?id=a%2Fb", "/none"] {
        let (status, body) = world.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(body.contains("There is no"), "{path}: {body}");
        let (status, _) = world.get(&format!("/api{path}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    let (status, _) = world.get("/trace/xyz").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, headers, _) = world.ask(get("/message?id=%20m1%20").body(Body::empty()).unwrap()).await;
    assert_eq!((status, headers["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/message/m1"));
    let path = format!("/message?id={TRACE}");
    let (_, headers, _) = world.ask(get(&path).body(Body::empty()).unwrap()).await;
    let (_, headers, _) =
        world.ask(get(headers["location"].to_str().unwrap()).body(Body::empty()).unwrap()).await;
    assert_eq!(headers["location"].to_str().unwrap(), format!("/trace/{TRACE}"));
}

#[tokio::test]
async fn everything_shown_is_escaped() {
    let world = World::new();
    world.dead_letter().await;
    let odd = "a/b <i>?";
    world.store.journal().append(&"queue/work".into(), vec![message(odd)]).await.unwrap();
    for path in [
        "/queue/work",
        "/message/m1",
        "/message?id=a%2Fb%20%3Ci%3E%3F",
        "/queue/%3Cscript%3E",
        "/message/%3Cscript%3E",
    ] {
        let (_, body) = world.get(path).await;
        assert!(!body.contains("<script>") && !body.contains("<i>?"), "{path}");
        assert_eq!(body.matches("</pre>").count(), body.matches("<pre>").count(), "{path}");
    }
    let (_, body) = world.get("/queue/work").await;
    assert!(body.contains("&lt;script&gt;alert") && body.contains("/message?id=a%2Fb%20%3Ci%3E%3F"));
}

#[tokio::test]
async fn q_d3_the_journey_goes_from_the_request_to_each_reader() {
    let world = World::new();
    let journal = world.store.journal();
    let topic = "topic/orders".into();
    for reader in ["mail", "stock"] {
        journal.open(&topic, &reader.into(), Start::Earliest).await.unwrap();
    }
    journal.append(&topic, vec![message("m1")]).await.unwrap();
    journal.append(&"queue/work".into(), vec![message("m2")]).await.unwrap();
    let (claimed, _) = journal.claim(&topic, &"mail".into(), 1, Duration::from_secs(30)).await.unwrap();
    world.clock.advance(Duration::from_millis(2));
    journal.settle(&topic, &"mail".into(), vec![(claimed[0].place, Ended::Done)]).await.unwrap();
    let data = world.twin("/api/message/m1").await;
    assert_eq!(data["trace_id"], TRACE);
    assert_eq!(data["journey"]["requests"][0]["path"], "/orders");
    assert_eq!(data["journey"]["stops"][0]["stream"], "topic/orders");
    let whats = |reader: usize| -> Vec<String> {
        let steps = data["journey"]["stops"][0]["readers"][reader]["steps"].as_array().unwrap().clone();
        steps.iter().map(|step| step["what"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(whats(0), ["handed-out", "acknowledged"]);
    assert_eq!(whats(1), ["ahead"]);
    assert_eq!(data["related"][0]["id"], "m2");
    let (_, page) = world.get("/message/m1").await;
    // The request came 3 ms before the message was stored, and 2 ms later one reader was done.
    for text in ["POST /orders", "+3\u{a0}ms", "+5\u{a0}ms", "not looked at yet", "/message/m2"] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

#[tokio::test]
async fn ps_d3_a_subscription_shows_how_far_behind_it_is() {
    let world = World::new();
    let journal = world.store.journal();
    let topic = "topic/orders".into();
    journal.open(&topic, &"mail".into(), Start::Earliest).await.unwrap();
    journal.append(&topic, vec![message("m1"), message("m2")]).await.unwrap();
    world.clock.advance(Duration::from_secs(90));
    let data = world.twin("/api/topic/orders").await;
    let reader = &data["topic"]["readers"][0];
    assert_eq!((&reader["lag"], &reader["lag_seconds"]), (&Value::from(2), &Value::from(90.0)));
    let (_, page) = world.get("/topic/orders").await;
    assert!(page.contains("1\u{a0}min\u{a0}30\u{a0}s") && page.contains("mail:/on-order"), "{page}");
}

#[tokio::test]
async fn only_own_pages_act_on_dead_letters() {
    let world = World::new();
    world.dead_letter().await;
    let (_, page) = world.get("/queue/work").await;
    let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let post = |site: &'static str, origin: &'static str, form: String| {
        Request::post("/queue/work/dead-letters")
            .header("host", "127.0.0.1:4000")
            .header("origin", origin)
            .header("sec-fetch-site", site)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap()
    };
    let own = "http://127.0.0.1:4000";
    let good = format!("token={token}&action=redrive");
    for (request, expected) in [
        (post("cross-site", own, good.clone()), StatusCode::FORBIDDEN),
        (post("same-origin", "http://evil.test", good.clone()), StatusCode::FORBIDDEN),
        (post("same-origin", own, "token=x&action=redrive".into()), StatusCode::FORBIDDEN),
        (post("same-origin", own, format!("token={token}&action=explode")), StatusCode::BAD_REQUEST),
        (post("same-origin", own, String::new()), StatusCode::BAD_REQUEST),
    ] {
        let (status, _, body) = world.ask(request).await;
        assert_eq!(status, expected, "{body}");
        assert_eq!(world.parked().await, 1);
    }
    let (status, headers, _) = world.ask(post("same-origin", own, good)).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "/queue/work?done=redrive&count=1");
    assert_eq!(world.parked().await, 0);
    let (_, page) = world.get("/queue/work?done=redrive&count=1").await;
    assert!(page.contains("1 dead letter was sent round again."));
    let (status, _) = world.get("/queue/work?done=nonsense").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn foreign_names_are_refused() {
    let world = World::new();
    for (host, expected) in [
        ("evil.test", StatusCode::MISDIRECTED_REQUEST),
        ("console.test", StatusCode::OK),
        ("localhost:4000", StatusCode::OK),
    ] {
        let request = Request::get("/api/queue").header("host", host).body(Body::empty()).unwrap();
        let (status, headers, _) = world.ask(request).await;
        assert_eq!(status, expected, "{host}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
}

async fn follow(world: &World, path: &str) -> axum::response::Response {
    world.router.clone().oneshot(get(path).body(Body::empty()).unwrap()).await.unwrap()
}

fn news(piece: &[u8]) -> Value {
    let text = std::str::from_utf8(piece).unwrap();
    serde_json::from_str(text.strip_prefix("data: ").unwrap().trim_end()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn events_follow_the_store_four_times_a_second_at_most_and_end_with_the_process() {
    let world = World::new();
    world.dead_letter().await;
    let response = follow(&world, "/events?of=queue/").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.into_body().into_data_stream();
    let first = news(&events.next().await.unwrap().unwrap());
    assert_eq!(first["numbers"]["queue/work:workers:fresh"], 1);
    assert_eq!(first["numbers"]["parked"], 1);
    let began = tokio::time::Instant::now();
    let mut last = first;
    for at in 0..8 {
        world.store.journal().append(&"queue/work".into(), vec![message(&format!("n{at}"))]).await.unwrap();
        last = news(&events.next().await.unwrap().unwrap());
    }
    assert_eq!(last["numbers"]["queue/work:workers:fresh"], 9);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    world.stop.soft.cancel();
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn too_many_followers_are_refused_and_places_come_back() {
    let world = World::new();
    let mut following = Vec::new();
    for _ in 0..32 {
        let response = follow(&world, "/events").await;
        assert_eq!(response.status(), StatusCode::OK);
        following.push(response);
    }
    assert_eq!(follow(&world, "/events").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    following.clear();
    assert_eq!(follow(&world, "/events").await.status(), StatusCode::OK);
}

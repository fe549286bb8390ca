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
use dozen_messaging::{Publisher as _, Settlement, Subscriber as _, SubscriptionOptions};
use dozen_pubsub::{TopicOptions, Topics};
use dozen_queue::{Queue, Sending};
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
        "/outbox",
        "/feature",
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

const OWN: &str = "http://127.0.0.1:4000";

fn post(path: &str, site: &'static str, origin: &'static str, form: String) -> Request<Body> {
    Request::post(path)
        .header("host", "127.0.0.1:4000")
        .header("origin", origin)
        .header("sec-fetch-site", site)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap()
}

impl World {
    /// Sends a form as the page at `page` would; gives where it leads.
    async fn press(&self, page: &str, path: &str, form: &str) -> String {
        let (_, body) = self.get(page).await;
        let token =
            body.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let (status, headers, body) =
            self.ask(post(path, "same-origin", OWN, format!("token={token}&{form}"))).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{path} {form}: {body}");
        headers["location"].to_str().unwrap().to_owned()
    }

    /// A topic `orders` with the subscription `mail`, which has one dead letter and one message to go.
    async fn subscription(&self, pattern: &str) -> Topics {
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

#[tokio::test]
async fn only_own_pages_act() {
    let world = World::new();
    world.dead_letter().await;
    world.subscription("orders").await;
    let (_, page) = world.get("/queue/work").await;
    let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    for (path, act) in [
        ("/queue/work/dead-letters", "act=redrive+all"),
        ("/queue/work/dead-letters/1", "act=redrive&type=t&data=x"),
        ("/queue/work/rest", "act=pause"),
        ("/topic/orders/mail/dead-letters", "act=discard+all"),
        ("/topic/orders/mail/dead-letters/3", "act=edit&type=t&data=x"),
        ("/topic/orders/mail/rest", "act=pause"),
        ("/topic/orders/mail/move", "place=earliest"),
        ("/outbox/replay", "topic=orders&by=x&reason=x"),
    ] {
        let good = format!("token={token}&{act}");
        for (request, expected) in [
            (post(path, "cross-site", OWN, good.clone()), StatusCode::FORBIDDEN),
            (post(path, "same-origin", "http://evil.test", good.clone()), StatusCode::FORBIDDEN),
            (post(path, "same-origin", OWN, format!("token=x&{act}")), StatusCode::FORBIDDEN),
            (post(path, "same-origin", OWN, act.to_owned()), StatusCode::BAD_REQUEST),
            (post(path, "same-origin", OWN, String::new()), StatusCode::BAD_REQUEST),
        ] {
            let (status, _, body) = world.ask(request).await;
            assert_eq!(status, expected, "{path}: {body}");
        }
    }
    for nonsense in ["act=explode+all", "act=redrive", "act=redrive+selected", "act=redrive+x"] {
        let request =
            post("/queue/work/dead-letters", "same-origin", OWN, format!("token={token}&{nonsense}"));
        assert_eq!(world.ask(request).await.0, StatusCode::BAD_REQUEST, "{nonsense}");
    }
    assert_eq!(world.parked().await, 1);
    let topic = world.twin("/api/topic/orders").await;
    let status = &topic["topic"]["readers"][0]["status"];
    assert_eq!((&status["parked"], &status["paused"]), (&Value::from(1), &Value::from(false)));
    assert_eq!(topic["topic"]["published"], 2);
}

#[tokio::test]
async fn q_m7_dead_letters_are_redriven_selected_or_all_corrected_and_discarded() {
    let world = World::new();
    world.dead_letter().await;
    let to = world.press("/queue/work", "/queue/work/dead-letters", "act=redrive+all").await;
    assert_eq!(to, "/queue/work?done=redrive&count=1");
    assert_eq!(world.parked().await, 0);
    let (_, page) = world.get(&to).await;
    assert!(page.contains("1 dead letter was sent round again."));
    let (status, _) = world.get("/queue/work?done=nonsense").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let world = World::new();
    world.dead_letter().await;
    let twin = world.twin("/api/queue/work").await;
    let position = twin["dead_letters"][0]["position"].as_u64().unwrap();
    let path = format!("/queue/work/dead-letters/{position}");
    let (_, page) = world.get(&path).await;
    assert!(page.contains("{&quot;total&quot;:&quot;&lt;/pre&gt;&quot;}"), "{page}");
    let (_, headers, _) = world.ask(get(&path).body(Body::empty()).unwrap()).await;
    assert!(headers["content-security-policy"].to_str().unwrap().contains("form-action 'self'"));
    // What is no JSON is refused where it says that it is.
    let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let bad = format!("token={token}&act=edit&type=t&content-type=application/json&data=oops");
    let (status, _, body) = world.ask(post(&path, "same-origin", OWN, bad)).await;
    assert!(status == StatusCode::BAD_REQUEST && body.contains("not JSON"), "{body}");
    let form = "act=edit&type=better&content-type=application%2Fjson&data=%7B%22total%22%3A7%7D";
    assert_eq!(world.press(&path, &path, form).await, "/queue/work?done=edit&count=1");
    let twin = world.twin("/api/queue/work").await;
    let letter = &twin["dead_letters"][0];
    assert_eq!((&letter["kind"], &letter["edited"]), (&"better".into(), &true.into()), "{twin}");
    let selected = format!("act=discard+selected&position={position}&position=999");
    assert_eq!(
        world.press("/queue/work", "/queue/work/dead-letters", &selected).await,
        "/queue/work?done=discard&count=1"
    );
    assert_eq!(world.parked().await, 0);
    assert_eq!(world.get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_queue_with_priorities_is_one_line_and_is_paused_by_a_button() {
    let world = World::new();
    let ids = dozen_core::Ids::new(world.clock.clone(), 1);
    let options = dozen_queue::Options { priorities: 3, ..dozen_queue::Options::default() };
    Queue::declare(&world.store, "work", &options).await.unwrap();
    let queue = Queue::open(&world.store, "work", ids).await.unwrap();
    for (id, priority) in [("m1", 0), ("m2", 2), ("m3", 2)] {
        let sending = Sending { priority, ..Sending::default() };
        queue.send_with(vec![message(id)], sending).await.unwrap();
    }
    world.clock.advance(Duration::from_secs(90));
    let all = world.twin("/api/queue").await;
    let names: Vec<&str> =
        all.as_array().unwrap().iter().map(|queue| queue["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["declared", "work"], "a priority is no queue of its own");
    let twin = world.twin("/api/queue/work").await;
    let one = &twin["queue"];
    assert_eq!((&one["fresh"], &one["lag"], &one["lag_seconds"]), (&3.into(), &3.into(), &90.0.into()));
    assert_eq!(
        (&one["priorities"][0]["priority"], &one["priorities"][0]["status"]["fresh"]),
        (&2.into(), &2.into())
    );
    assert_eq!(twin["messages"].as_array().unwrap().len(), 3);
    assert_eq!(
        world.press("/queue/work", "/queue/work/rest", "act=pause").await,
        "/queue/work?done=pause&count=1"
    );
    assert!(queue.subscriber().receive(1, Duration::ZERO).await.unwrap().is_empty());
    world.press("/queue/work", "/queue/work/rest", "act=resume").await;
    assert_eq!(queue.subscriber().receive(3, Duration::ZERO).await.unwrap().len(), 3);
    let (status, _) = world.get("/queue/nobody").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(world.store.journal().readers("queue/nobody").await.unwrap().is_empty(), "looking made a queue");
}

#[tokio::test]
async fn ps_m5_a_subscription_is_paused_moved_and_its_dead_letters_redriven_by_buttons() {
    for pattern in ["orders", "*"] {
        let world = World::new();
        let topics = world.subscription(pattern).await;
        let mail = topics.subscription(pattern, "mail", SubscriptionOptions::default()).await.unwrap();
        let twin = world.twin("/api/topic/orders").await;
        assert_eq!(twin["topic"]["readers"][0]["pattern"], pattern);
        assert_eq!(twin["dead_letters"][0]["letters"][0]["errors"][0]["error"], "no such address");
        let press = async |act: &str, form: &str| {
            world.press("/topic/orders", &format!("/topic/orders/mail/{act}"), form).await
        };
        assert_eq!(press("dead-letters", "act=redrive+all").await, "/topic/orders?done=redrive&count=1");
        assert_eq!(press("rest", "act=pause").await, "/topic/orders?done=pause&count=1");
        assert!(mail.receive(5, Duration::ZERO).await.unwrap().is_empty());
        press("rest", "act=resume").await;
        let taken = mail.receive(5, Duration::ZERO).await.unwrap();
        assert_eq!(taken.len(), 2);
        let ends = taken.iter().map(|one| (one.lease, Settlement::Done)).collect();
        mail.settle(ends).await.unwrap();
        assert_eq!(press("move", "place=earliest").await, "/topic/orders?done=move&count=1");
        assert_eq!(
            mail.receive(5, Duration::ZERO).await.unwrap().len(),
            2,
            "it hears again of what it had heard"
        );
        press("move", "place=latest").await;
        assert!(mail.receive(5, Duration::ZERO).await.unwrap().is_empty());
        let (_, page) = world.get("/topic/orders").await;
        let token =
            page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let bad =
            post("/topic/orders/mail/move", "same-origin", OWN, format!("token={token}&place=yesterday"));
        assert_eq!(world.ask(bad).await.0, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn ob_b1_history_is_published_again_by_a_form_and_stands_in_the_audit() {
    let world = World::new();
    world.subscription("orders").await;
    let form = "topic=orders&since=1h&key=&type=&by=me&reason=mails+were+lost";
    assert_eq!(world.press("/outbox", "/outbox/replay", form).await, "/outbox?done=replay&count=2");
    let twin = world.twin("/api/outbox").await;
    assert_eq!(twin["events"].as_array().unwrap().len(), 4);
    assert_eq!((&twin["audit"][0]["by"], &twin["audit"][0]["sent"]), (&"me".into(), &2.into()), "{twin}");
    let (_, page) = world.get("/outbox").await;
    assert!(page.contains("mails were lost") && page.contains("nothing waits"), "{page}");
}

#[tokio::test]
async fn ps_d3_the_fan_out_of_an_event_shows_each_subscription_and_what_came_after() {
    let world = World::new();
    let journal = world.store.journal();
    let topic = "topic/orders".into();
    for reader in ["mail", "stock", "audit"] {
        journal.open(&topic, &reader.into(), Start::Earliest).await.unwrap();
    }
    journal.append(&topic, vec![message("m1")]).await.unwrap();
    let (claimed, _) = journal.claim(&topic, &"mail".into(), 1, Duration::from_secs(30)).await.unwrap();
    world.clock.advance(Duration::from_millis(12));
    journal.settle(&topic, &"mail".into(), vec![(claimed[0].place, Ended::Done)]).await.unwrap();
    let (claimed, _) = journal.claim(&topic, &"stock".into(), 1, Duration::from_secs(30)).await.unwrap();
    journal
        .settle(&topic, &"stock".into(), vec![(claimed[0].place, Ended::Parked("no shelf".into()))])
        .await
        .unwrap();
    let work = "queue/work".into();
    journal.open(&work, &"workers".into(), Start::Earliest).await.unwrap();
    journal.append(&work, vec![message("m2")]).await.unwrap();
    let twin = world.twin("/api/message/m1").await;
    let leaves: Vec<(&str, &Value)> = twin["tree"]["message"][0]["readers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|leaf| (leaf["reader"].as_str().unwrap(), &leaf["state"]))
        .collect();
    assert!(leaves.contains(&("mail", &"done".into())), "{leaves:?}");
    assert!(
        leaves.contains(&("stock", &"parked".into())) && leaves.contains(&("audit", &Value::Null)),
        "{leaves:?}"
    );
    let then = &twin["tree"]["then"][0];
    assert_eq!(
        (&then["id"], &then["stream"], &then["readers"][0]["reader"]),
        (&"m2".into(), &"queue/work".into(), &"workers".into())
    );
    let (_, page) = world.get("/message/m1").await;
    for text in ["Fan-out", "a dead letter", "no shelf", "after 12\u{a0}ms", "Then, of the same trace"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    // What was before it did not come from it.
    assert!(world.twin("/api/message/m2").await["tree"]["then"].as_array().unwrap().is_empty());
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

//! The HTTP face, over real sockets and by a client that knows nothing of dozen.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Ids, SystemClock};
use dozen_dataplane::{Limits, Server};
use dozen_harness::{Part, Reply, ask};
use dozen_messaging::{Keyring, TopicSettings};
use dozen_openapi::Face;
use dozen_pubsub::Topics;
use dozen_store::Store;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A face that listens, onto a store in memory with the topics `orders`, `orders.eu` and `stock`.
struct Served {
    address: String,
    closing: CancellationToken,
    part: Part,
}

impl Served {
    async fn new() -> Self {
        let store = Store::new(dozen_memory::Memory::new(), Arc::new(SystemClock));
        let topic = |name: &str| (name.to_owned(), TopicSettings::default());
        let topics = Topics::new(&store, [topic("orders"), topic("orders.eu"), topic("stock")].into());
        topics.declare().await.unwrap();
        let closing = CancellationToken::new();
        let face = Face::new(store, Ids::new(Arc::new(SystemClock), 7), None::<Keyring>, closing.clone());
        let server = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default()).unwrap();
        let address = server.local_addr().to_string();
        let router = dozen_pubsub::http::router(face, topics);
        Self { address, closing, part: Part::start(server.serving(router)) }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        let url = format!("http://{}/dozen/v1/topics{path}", self.address);
        ask(method, &url, &[("content-type", "application/json")], body.as_bytes()).await.unwrap()
    }

    async fn json(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.ask(method, path, &body).await;
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
    }

    async fn publish(&self, topic: &str, number: u32) {
        let path = format!("/{topic}/messages?type=order.placed");
        let (status, sent) = self.json("POST", &path, json!({ "order": number })).await;
        assert_eq!(status, 201, "{sent}");
    }

    async fn subscribe(&self, topic: &str, name: &str, options: Value) {
        let (status, told) = self.json("PUT", &format!("/{topic}/subscriptions/{name}"), options).await;
        assert_eq!(status, 201, "{told}");
    }

    /// The numbers of the messages that a subscription receives, all of them acknowledged.
    async fn drain(&self, topic: &str, name: &str) -> Vec<u64> {
        let base = format!("/{topic}/subscriptions/{name}");
        let (status, received) = self.json("POST", &format!("{base}/receive"), Value::Null).await;
        assert_eq!(status, 200, "{received}");
        let messages = received["messages"].as_array().unwrap();
        if messages.is_empty() {
            return Vec::new();
        }
        let leases: Vec<&Value> = messages.iter().map(|message| &message["lease"]).collect();
        let (_, settled) = self.json("POST", &format!("{base}/ack"), json!({ "leases": leases })).await;
        assert!(
            settled["results"].as_array().unwrap().iter().all(|result| result["ok"] == true),
            "{settled}"
        );
        messages.iter().map(|message| message["message"]["data"]["order"].as_u64().unwrap()).collect()
    }

    /// Follows a topic's events.
    fn follow(&self, query: &str, headers: &str) -> Events {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!("GET /dozen/v1/topics/orders/events{query} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let mut events = Events(BufReader::new(socket));
        assert!(events.line().contains("200"));
        while !events.line().is_empty() {}
        events
    }

    async fn stop(self) {
        self.closing.cancel();
        self.part.stop().await.unwrap();
    }
}

/// A stream of server-sent events, with the sizes of chunks passed over.
struct Events(BufReader<TcpStream>);

impl Events {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next event: its id or name, and its data.
    fn next(&mut self) -> (String, Value) {
        let mut name = String::new();
        loop {
            let line = self.line();
            if let Some(id) = line.strip_prefix("id: ").or(line.strip_prefix("event: ")) {
                id.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).unwrap());
            }
        }
    }
}

/// Blocks off the runtime's threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn each_subscription_gets_every_message_and_goes_its_own_way() {
    let served = Served::new().await;
    served.subscribe("orders", "mail", json!({})).await;
    served.subscribe("orders", "stock", Value::Null).await;
    for number in 1..=3 {
        served.publish("orders", number).await;
    }
    assert_eq!(served.drain("orders", "mail").await, [1, 2, 3]);
    let (_, status) = served.json("GET", "/orders/subscriptions/stock", Value::Null).await;
    assert_eq!(status["lag"], 3);
    assert_eq!(served.drain("orders", "stock").await, [1, 2, 3]);
    assert_eq!(served.drain("orders", "stock").await, [0; 0]);
    served.stop().await;
}

#[tokio::test]
async fn ps_m3_a_pattern_and_a_filter_choose_what_is_heard_over_http() {
    let served = Served::new().await;
    served.subscribe("orders.%3E", "deep", json!({ "start": "earliest" })).await;
    served.subscribe("orders", "large", json!({ "filter": "data.order > 5" })).await;
    for (topic, number) in [("orders", 1), ("orders", 9), ("orders.eu", 2), ("stock", 3)] {
        served.publish(topic, number).await;
    }
    assert_eq!(served.drain("orders.%3E", "deep").await, [2]);
    assert_eq!(served.drain("orders", "large").await, [9]);
    let (status, problem) =
        served.json("PUT", "/orders/subscriptions/wrong", json!({ "filter": "data.order >" })).await;
    assert_eq!((status, &problem["type"]), (400, &json!("urn:dozen:problem:invalid-message")), "{problem}");
    let (_, heard) = served.json("GET", "/orders.eu/subscriptions", Value::Null).await;
    assert_eq!(heard["subscriptions"][0]["topic"], "orders.>");
    served.stop().await;
}

#[tokio::test]
async fn ps_m2_a_late_subscriber_replays_from_a_moment_or_a_position_over_http() {
    let served = Served::new().await;
    for number in 1..=3 {
        served.publish("orders", number).await;
    }
    served.subscribe("orders", "late", json!({ "start": "earliest" })).await;
    let (_, received) = served.json("POST", "/orders/subscriptions/late/receive", Value::Null).await;
    let second = &received["messages"][1];
    let (moment, lease) = (second["stored"].clone(), second["lease"].clone());
    let (status, _) =
        served.json("POST", "/orders/subscriptions/late/seek", json!({ "start": moment })).await;
    assert_eq!(status, 200);
    assert_eq!(served.drain("orders", "late").await, [2, 3]);
    assert_eq!(served.json("POST", "/orders/subscriptions/late/ack", json!({ "lease": lease })).await.0, 409);
    served.json("POST", "/orders/subscriptions/late/seek", json!({ "start": 0 })).await;
    assert_eq!(served.drain("orders", "late").await, [1, 2, 3]);
    served.stop().await;
}

#[tokio::test]
async fn a_subscription_rests_goes_on_and_ends() {
    let served = Served::new().await;
    served.subscribe("orders", "mail", Value::Null).await;
    served.publish("orders", 1).await;
    let (_, status) = served.json("POST", "/orders/subscriptions/mail/pause", Value::Null).await;
    assert_eq!(status["paused"], true);
    assert_eq!(served.drain("orders", "mail").await, [0; 0]);
    served.json("POST", "/orders/subscriptions/mail/resume", Value::Null).await;
    assert_eq!(served.drain("orders", "mail").await, [1]);
    assert_eq!(served.ask("DELETE", "/orders/subscriptions/mail", "").await.status, 204);
    assert_eq!(served.ask("DELETE", "/orders/subscriptions/mail", "").await.status, 404);
    assert_eq!(served.ask("POST", "/orders/subscriptions/mail/receive", "").await.status, 404);
    served.stop().await;
}

#[tokio::test]
async fn a_filter_over_a_long_backlog_does_not_hold_up_one_who_asks_a_resting_subscription() {
    let served = Served::new().await;
    served.subscribe("orders", "last", json!({ "filter": "data.order > 1198" })).await;
    served.json("POST", "/orders/subscriptions/last/pause", Value::Null).await;
    for half in 0..2 {
        let event = |number: u32| json!({ "type": "t", "data": { "order": half * 600 + number } });
        let batch = Value::from((0..600).map(event).collect::<Vec<_>>()).to_string();
        let url = format!("http://{}/dozen/v1/topics/orders/messages", served.address);
        let kind = [("content-type", "application/cloudevents-batch+json")];
        let sent = ask("POST", &url, &kind, batch.as_bytes()).await.unwrap();
        assert_eq!(sent.status, 201, "{}", sent.text());
    }
    assert_eq!(served.drain("orders", "last").await, [0; 0]);
    served.json("POST", "/orders/subscriptions/last/resume", Value::Null).await;
    assert_eq!(served.drain("orders", "last").await, [1199]);
    served.stop().await;
}

#[tokio::test]
async fn a_refused_message_is_a_dead_letter_that_is_corrected_and_redriven() {
    let served = Served::new().await;
    served.subscribe("orders", "mail", Value::Null).await;
    served.subscribe("orders", "other", Value::Null).await;
    served.publish("orders", 1).await;
    let base = "/orders/subscriptions/mail";
    let (_, received) = served.json("POST", &format!("{base}/receive?lease=1m"), Value::Null).await;
    let lease = &received["messages"][0]["lease"];
    let elsewhere = served.json("POST", "/orders/subscriptions/other/ack", json!({ "lease": lease })).await;
    assert_eq!(elsewhere.0, 400, "{}", elsewhere.1);
    let refused = json!({ "lease": lease, "error": "no address", "permanent": true });
    assert_eq!(served.json("POST", &format!("{base}/nack"), refused).await.1["results"][0]["dead"], true);
    let (_, dead) = served.json("GET", &format!("{base}/dead"), Value::Null).await;
    let position = dead["dead"][0]["position"].as_u64().unwrap();
    let path = format!("{base}/dead/{position}");
    let headers = [("content-type", "application/json"), ("ce-type", "order.corrected")];
    let url = format!("http://{}/dozen/v1/topics{path}", served.address);
    let edited = ask("PUT", &url, &headers, br#"{"order":7}"#).await.unwrap();
    assert_eq!(edited.status, 200, "{}", edited.text());
    let (_, redriven) =
        served.json("POST", &format!("{base}/dead/redrive"), json!({ "error": "address" })).await;
    assert_eq!(redriven, json!({ "matched": 1, "done": 1 }));
    assert_eq!(served.drain("orders", "mail").await, [7]);
    assert_eq!(served.drain("orders", "other").await, [1], "the correction is this subscription's own");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_a_topic_go_on_after_the_last_one_seen() {
    let served = Served::new().await;
    served.publish("orders", 1).await;
    let mut latest = served.follow("", "");
    served.publish("orders", 2).await;
    let (id, event) = blocking(move || latest.next()).await;
    assert_eq!(event["data"]["order"], 2, "what was published before is not in the tail");
    served.publish("orders", 3).await;
    let mut resumed = served.follow("?after=0", &format!("Last-Event-ID: {id}\r\n"));
    assert_eq!(blocking(move || resumed.next()).await.1["data"]["order"], 3);
    let mut filtered = served.follow("?after=0&filter=data.order%3E2", "");
    assert_eq!(blocking(move || filtered.next()).await.1["data"]["order"], 3);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ps_m4_events_of_a_durable_subscription_are_done_when_they_are_written() {
    let served = Served::new().await;
    served.subscribe("orders", "page", Value::Null).await;
    served.publish("orders", 1).await;
    let mut events = served.follow("?subscription=page&ack=auto", "");
    let (mut events, first) = blocking(move || {
        let first = events.next();
        (events, first)
    })
    .await;
    assert_eq!(first.1["data"]["order"], 1);
    served.publish("orders", 2).await;
    // The second is asked for only after the first was settled.
    let (events, second) = blocking(move || {
        let second = events.next();
        (events, second)
    })
    .await;
    assert_eq!(second.1["data"]["order"], 2);
    drop(events);
    assert!(!served.drain("orders", "page").await.contains(&1));
    let (status, problem) = served.json("GET", "/orders/events?subscription=page", Value::Null).await;
    assert_eq!((status, &problem["at"]), (400, &json!("query ack")), "{problem}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_a_reason_when_the_process_stops() {
    let served = Served::new().await;
    let mut events = served.follow("", "");
    served.closing.cancel();
    let (name, data) = blocking(move || events.next()).await;
    assert_eq!((name.as_str(), data["reason"].as_str().unwrap().contains("stops")), ("cut", true));
    served.stop().await;
}

#[tokio::test]
async fn a_slip_in_a_name_is_told_with_the_nearest() {
    let served = Served::new().await;
    for (method, path, near) in [
        ("GET", "/ordres", "orders"),
        ("POST", "/ordres/messages?type=t", "orders"),
        ("PUT", "/stok/subscriptions/mail", "stock"),
        ("GET", "/ordres/events", "orders"),
        ("GET", "/ordres/subscriptions", "orders"),
    ] {
        let (status, problem) = served.json(method, path, json!({})).await;
        assert_eq!((status, &problem["near"][0]), (404, &json!(near)), "{method} {path}: {problem}");
    }
    served.subscribe("orders", "mail", Value::Null).await;
    let (status, problem) = served.json("POST", "/orders/subscriptions/mial/receive", Value::Null).await;
    assert_eq!((status, &problem["near"][0]), (404, &json!("mail")), "{problem}");
    served.stop().await;
}

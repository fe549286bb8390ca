//! PS · publish/subscribe.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Backoff, Message};
use dozen_messaging::{
    Broker, Error, Policy, Publisher, Settlement, Start, Subscriber, SubscriptionOptions, Verdict, Worker,
    WorkerOptions,
};
use dozen_mission::{DEADLINE, Place, Running, next, reporting};
use dozen_pubsub::{TopicOptions, Topics};
use dozen_store::Store;

fn topics(store: &Store) -> Topics {
    let names = ["orders", "payments"];
    Topics::new(store, names.into_iter().map(|name| (name.to_owned(), TopicOptions::default())).collect())
}

fn event(id: &str) -> Message {
    Message::new(id, "/orders", "order.placed").with_data(None, format!(r#"{{"id":"{id}"}}"#))
}

fn from(start: Start) -> SubscriptionOptions {
    SubscriptionOptions { start, ..SubscriptionOptions::default() }
}

async fn ids(subscriber: &dyn Subscriber, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let deliveries = subscriber.receive(count - ids.len(), DEADLINE).await.unwrap();
        assert!(!deliveries.is_empty(), "only {ids:?} came");
        for delivery in deliveries {
            assert_eq!(subscriber.settle(vec![(delivery.lease, Settlement::Done)]).await.unwrap(), [true]);
            ids.push(delivery.message.id);
        }
    }
    ids
}

#[tokio::test]
async fn ps_m1_a_publisher_knows_the_topic_and_no_subscriber() {
    let place = Place::new();
    let store = place.open().await;
    let publisher: Arc<dyn Publisher> = Arc::new(topics(&store));
    publisher.publish("orders", vec![event("before-anybody")]).await.unwrap();
    let subscriber = topics(&store).subscribe("orders", "stock", from(Start::Latest)).await.unwrap();
    publisher.publish("orders", vec![event("1")]).await.unwrap();
    assert_eq!(ids(&*subscriber, 1).await, ["1"]);
}

#[tokio::test]
async fn ps_m2_a_late_subscriber_replays_from_an_offset_or_a_time() {
    let place = Place::new();
    let store = place.open().await;
    let topics = topics(&store);
    topics.publish("orders", vec![event("1")]).await.unwrap();
    let token = topics.publish("orders", vec![event("2")]).await.unwrap();
    let moment = store.clock().now();
    topics.publish("orders", vec![event("3")]).await.unwrap();
    let all = topics.subscribe("orders", "all", from(Start::Earliest)).await.unwrap();
    assert_eq!(ids(&*all, 3).await, ["1", "2", "3"]);
    let later = topics.subscribe("orders", "later", from(Start::After(token.position))).await.unwrap();
    assert_eq!(ids(&*later, 1).await, ["3"]);
    let at = topics.subscribe("orders", "at", from(Start::At(moment))).await.unwrap();
    assert_eq!(ids(&*at, 1).await, ["3"]);
}

#[tokio::test]
async fn ps_m4_a_message_reaches_every_subscription_pushed_or_pulled() {
    let place = Place::new();
    let store = place.open().await;
    let topics = topics(&store);
    let (received, mut bodies) = tokio::sync::mpsc::unbounded_channel();
    let receive = move |headers: http::HeaderMap, body: axum::body::Bytes| {
        let received = received.clone();
        async move {
            let kind =
                headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("").to_owned();
            let _ = received.send((kind, body));
            http::StatusCode::NO_CONTENT
        }
    };
    let router: axum::Router = axum::Router::new().route("/on-order", axum::routing::post(receive));
    let address = "127.0.0.1:0".parse().unwrap();
    let server = dozen_dataplane::Server::bind(address, dozen_dataplane::Limits::default()).unwrap();
    let at = server.local_addr().to_string();
    let stop = dozen_lifecycle::Stop::new();
    let (ready, mut listening) = dozen_lifecycle::Ready::channel();
    let serving = tokio::spawn(server.serving(router).run(stop.clone(), ready));
    listening.wait_for(|ready| *ready).await.unwrap();
    let set = dozen_core::EndpointSet {
        service: "mail".into(),
        version: 1,
        endpoints: vec![dozen_core::Endpoint::at(at)],
    };
    let (_keep, endpoints) = tokio::sync::watch::channel(Arc::new(set));
    let client = dozen_dataplane::Client::new();
    let push = dozen_pubsub::Push::new("mail", "/on-order", endpoints, client, DEADLINE);
    let pushed = topics.subscribe("orders", "mail", from(Start::Latest)).await.unwrap();
    let worker =
        Running::start(Worker::new("mail", pushed, Arc::new(push), WorkerOptions::default(), place.ids()));
    let pulled = topics.subscribe("orders", "stock", from(Start::Latest)).await.unwrap();
    topics.publish("orders", vec![event("1")]).await.unwrap();
    let (kind, body) = tokio::time::timeout(DEADLINE, bodies.recv()).await.unwrap().unwrap();
    assert_eq!(kind, "application/cloudevents+json");
    assert_eq!(Message::from_json(&body).unwrap().id, "1");
    assert_eq!(ids(&*pulled, 1).await, ["1"]);
    worker.stop().await;
    stop.soft.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn ps_m5_a_failing_or_lagging_subscription_holds_no_other_back() {
    let place = Place::new();
    let store = place.open().await;
    let topics = topics(&store);
    let failing = topics.subscribe("orders", "failing", from(Start::Latest)).await.unwrap();
    let healthy = topics.subscribe("orders", "healthy", from(Start::Latest)).await.unwrap();
    topics.subscribe("orders", "away", from(Start::Latest)).await.unwrap();
    let (handler, mut failures) = reporting(|_| Verdict::Failed("broken".into()));
    let policy =
        Policy { attempts_max: 2, backoff: Backoff::new(Duration::from_millis(5), Duration::from_millis(5)) };
    let options = WorkerOptions { policy, ..WorkerOptions::default() };
    let worker = Running::start(Worker::new("failing", failing, handler, options, place.ids()));
    for number in 0..20 {
        topics.publish("orders", vec![event(&number.to_string())]).await.unwrap();
    }
    assert_eq!(ids(&*healthy, 20).await.len(), 20);
    for _ in 0..40 {
        next(&mut failures).await;
    }
    worker.stop().await;
    let lag: BTreeMap<String, (u64, u64)> = store
        .journal()
        .readers("topic/orders")
        .await
        .unwrap()
        .into_iter()
        .map(|status| (status.reader.clone(), (status.lag(), status.parked)))
        .collect();
    assert_eq!(lag["healthy"], (0, 0));
    assert_eq!(lag["away"], (20, 0));
    assert_eq!(lag["failing"].1, 20, "each became a dead letter of this subscription alone");
}

#[tokio::test]
async fn ps_d1_topics_and_positions_survive_a_crash() {
    let place = Place::new();
    let broker = topics(&place.open().await);
    let subscriber = broker.subscribe("orders", "stock", from(Start::Latest)).await.unwrap();
    broker.publish("orders", vec![event("1")]).await.unwrap();
    broker.publish("orders", vec![event("2")]).await.unwrap();
    assert_eq!(ids(&*subscriber, 1).await, ["1"]);
    std::mem::forget((broker, subscriber)); // nothing is closed in order
    let broker = topics(&place.open().await);
    let subscriber = broker.subscribe("orders", "stock", from(Start::Latest)).await.unwrap();
    assert_eq!(ids(&*subscriber, 1).await, ["2"]);
}

#[tokio::test]
async fn ps_d3_lag_is_seen_in_messages_and_seconds() {
    let place = Place::new();
    let store = place.open().await;
    let topics = topics(&store);
    let subscriber = topics.subscribe("orders", "stock", from(Start::Latest)).await.unwrap();
    let before = store.clock().now();
    for id in ["1", "2", "3"] {
        topics.publish("orders", vec![event(id)]).await.unwrap();
    }
    let status = async || store.journal().readers("topic/orders").await.unwrap().remove(0);
    let behind = status().await;
    assert_eq!(behind.lag(), 3);
    let oldest = behind.oldest.expect("something waits");
    assert!(oldest >= before && store.clock().now().since(oldest) < DEADLINE);
    ids(&*subscriber, 3).await;
    assert_eq!((status().await.lag(), status().await.oldest), (0, None));
}

#[tokio::test]
async fn an_unknown_topic_is_an_error_that_names_the_nearest() {
    let place = Place::new();
    let broker = topics(&place.open().await);
    let error = broker.publish("ordres", vec![event("1")]).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no topic `ordres`; did you mean `orders`?");
    assert!(matches!(broker.subscribe("x", "y", from(Start::Latest)).await, Err(Error::Unknown { .. })));
}

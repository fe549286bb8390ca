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
use dozen_store::{ClaimState, ClaimStatus, Store};

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
        let deliveries = subscriber.receive(count - ids.len(), DEADLINE).await.expect("receive");
        assert!(!deliveries.is_empty(), "only {ids:?} came");
        for delivery in deliveries {
            let settled = subscriber.settle(vec![(delivery.lease, Settlement::Done)]).await;
            assert_eq!(settled.expect("settle"), [true]);
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
async fn ps_m3_subscriptions_register_for_topics_patterns_and_types() {
    let place = Place::new();
    let store = place.open().await;
    let topics = Topics::open(&store);
    for name in ["orders.eu.placed", "orders.us.placed", "payments"] {
        topics.declare_topic(name, &TopicOptions::default()).await.unwrap();
    }
    let patterns = ["orders.*.placed", "orders.>", ">", "orders.*"];
    let mut heard = Vec::new();
    for pattern in patterns {
        heard.push(topics.subscribe(pattern, "of a pattern", from(Start::Latest)).await);
    }
    let refused = heard.split_off(1).into_iter().filter(Result::is_err).count();
    assert_eq!(refused, 2, "one name for patterns that share topics would share the messages");
    let mut heard = Vec::new();
    for pattern in patterns {
        heard.push(topics.subscribe(pattern, &format!("of {pattern}"), from(Start::Latest)).await.unwrap());
    }
    let by_type =
        SubscriptionOptions { filter: Some(r#"type == "order.lost""#.into()), ..from(Start::Latest) };
    let lost = topics.subscribe(">", "lost", by_type).await.unwrap();
    // Another process declares a topic while these are there.
    let there = Topics::open(&place.open().await);
    there.declare_topic("orders.lost", &TopicOptions::default()).await.unwrap();
    for (id, topic) in [("1", "orders.eu.placed"), ("2", "orders.us.placed"), ("3", "payments")] {
        there.publish(topic, vec![event(id)]).await.unwrap();
    }
    there.publish("orders.lost", vec![Message::new("4", "/orders", "order.lost")]).await.unwrap();
    for (subscriber, expected) in
        heard.iter().zip([&["1", "2"][..], &["1", "2", "4"], &["1", "2", "3", "4"], &["4"]])
    {
        let mut ids = ids(&**subscriber, expected.len()).await;
        ids.sort();
        assert_eq!(ids, expected);
        assert!(subscriber.receive(1, Duration::ZERO).await.unwrap().is_empty());
    }
    assert_eq!(ids(&*lost, 1).await, ["4"]);
}

#[tokio::test]
async fn ps_m8_a_filter_on_attributes_and_content_leaves_only_what_matches() {
    let place = Place::new();
    let store = place.open().await;
    let topics = topics(&store);
    topics.declare().await.unwrap();
    let wants = r#"type == "order.placed" && has(data.total) && data.total > 100"#;
    let options = || SubscriptionOptions { filter: Some(wants.into()), ..from(Start::Earliest) };
    let large = topics.subscribe("orders", "large", options()).await.unwrap();
    let with =
        |id: &str, kind: &str, data: &str| Message::new(id, "/orders", kind).with_data(None, data.to_owned());
    let mut messages = vec![
        with("small", "order.placed", r#"{"total": 50}"#),
        with("large", "order.placed", r#"{"total": 150}"#),
        with("other", "order.lost", r#"{"total": 150}"#),
        with("odd", "order.placed", "{}"),
    ];
    messages.extend((0..2_000).map(|number| with(&number.to_string(), "order.seen", "{}")));
    messages.push(with("last", "order.placed", r#"{"total": 101}"#));
    topics.publish("orders", messages).await.unwrap();
    assert_eq!(ids(&*large, 2).await, ["large", "last"]);
    let readers = store.journal().readers("topic/orders").await.unwrap();
    assert_eq!((readers[0].lag(), readers[0].parked), (0, 0), "what is not wanted is not before it");
    // Another process opens it by its name alone.
    let there = Topics::open(&place.open().await);
    topics.publish("orders", vec![with("more", "order.placed", r#"{"total": 7}"#)]).await.unwrap();
    let again = there.subscribe("orders", "large", SubscriptionOptions::default()).await.unwrap();
    assert!(again.receive(1, Duration::ZERO).await.unwrap().is_empty());
    let wrong = SubscriptionOptions { filter: Some("data.total >".into()), ..from(Start::Latest) };
    let Err(error) = topics.subscribe("orders", "wrong", wrong).await else {
        panic!("it cannot be compiled")
    };
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[tokio::test]
async fn ps_m2_what_is_kept_is_bounded_by_age_and_size_and_never_taken_from_a_subscription() {
    let place = Place::new();
    let store = place.open().await;
    let topics = Topics::open(&store);
    let small = TopicOptions { bytes_keep: Some(30), ..TopicOptions::default() };
    topics.declare_topic("orders", &small).await.unwrap();
    let slow = topics.subscribe("orders", "slow", from(Start::Earliest)).await.unwrap();
    for number in 0..10 {
        topics.publish("orders", vec![event(&number.to_string())]).await.unwrap(); // 10 bytes each
    }
    assert_eq!(topics.trim(100).await.unwrap(), 0, "all of them are before `slow`");
    ids(&*slow, 10).await;
    assert_eq!(topics.trim(100).await.unwrap(), 7);
    let late = topics.subscribe("orders", "late", from(Start::Earliest)).await.unwrap();
    assert_eq!(ids(&*late, 3).await, ["7", "8", "9"]);
}

#[tokio::test]
async fn ps_m7_a_subscription_is_paused_changed_and_moved_while_others_go_on() {
    let place = Place::new();
    let store = place.open().await;
    let (topics, there) = (topics(&store), Topics::open(&place.open().await));
    topics.declare().await.unwrap();
    let mail = topics.subscribe("orders", "mail", from(Start::Earliest)).await.unwrap();
    let stock = topics.subscribe("orders", "stock", from(Start::Earliest)).await.unwrap();
    topics.publish("orders", vec![event("1"), event("2")]).await.unwrap();
    assert_eq!(ids(&*mail, 2).await, ["1", "2"]);
    // From another process, as an operator does.
    there.pause("orders", "mail", true).await.unwrap();
    topics.publish("orders", vec![event("3")]).await.unwrap();
    assert!(mail.receive(1, Duration::ZERO).await.unwrap().is_empty());
    assert_eq!(ids(&*stock, 3).await, ["1", "2", "3"]);
    there.pause("orders", "mail", false).await.unwrap();
    assert_eq!(ids(&*mail, 1).await, ["3"]);
    there.seek("orders", "mail", Start::Earliest).await.unwrap();
    assert_eq!(ids(&*mail, 3).await, ["1", "2", "3"]);
    assert!(stock.receive(1, Duration::ZERO).await.unwrap().is_empty(), "a replay is for one alone");
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
    let resolve = Arc::new(move |name: &str| (name == "mail").then(|| endpoints.clone()));
    let caller = dozen_dataplane::Caller::plain(resolve, place.ids());
    let mail = dozen_dataplane::Place::service("mail", "/on-order");
    let push = dozen_pubsub::Push::new(mail, caller, DEADLINE);
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
async fn ps_m7_subscriptions_come_and_go_while_the_publisher_goes_on() {
    let place = Place::new();
    let store = place.open().await;
    let topics = topics(&store);
    topics.publish("orders", vec![event("1")]).await.unwrap();
    let guest = topics.subscribe("orders", "guest", from(Start::Latest)).await.unwrap();
    topics.publish("orders", vec![event("2")]).await.unwrap();
    assert_eq!(ids(&*guest, 1).await, ["2"]);
    assert!(topics.unsubscribe("orders", "guest").await.unwrap());
    topics.publish("orders", vec![event("3")]).await.unwrap();
    assert!(guest.receive(1, Duration::ZERO).await.is_err(), "it is gone");
    assert!(store.journal().readers("topic/orders").await.unwrap().is_empty());
    let again = topics.subscribe("orders", "guest", from(Start::Earliest)).await.unwrap();
    assert_eq!(ids(&*again, 3).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn ps_m6_one_event_reaches_a_thousand_subscriptions() {
    let place = Place::new();
    let store = place.open().await;
    let topics = topics(&store);
    let (handler, mut deliveries) = reporting(|_| Verdict::Done);
    let mut workers = Vec::new();
    for number in 0..1_000 {
        let name = format!("subscription-{number}");
        let subscriber = topics.subscribe("orders", &name, from(Start::Latest)).await.unwrap();
        let options = WorkerOptions { running_max: 1, ..WorkerOptions::default() };
        let worker = Worker::new(name, subscriber, handler.clone(), options, place.ids());
        workers.push(Running::start(worker));
    }
    let start = std::time::Instant::now();
    topics.publish("orders", vec![event("1")]).await.unwrap();
    for _ in 0..1_000 {
        assert_eq!(next(&mut deliveries).await.message.id, "1");
    }
    println!("one event to 1,000 subscriptions: {:?} to the last delivery", start.elapsed());
    for worker in workers {
        worker.stop().await;
    }
    // Stored once, however many subscribe.
    assert_eq!(store.journal().read(&Topics::stream("orders"), 0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn ps_d2_the_fan_out_of_one_event_is_seen_by_its_id() {
    let place = Place::new();
    let store = place.open().await;
    let topics = topics(&store);
    let done = topics.subscribe("orders", "done", from(Start::Latest)).await.unwrap();
    let failed = topics.subscribe("orders", "failed", from(Start::Latest)).await.unwrap();
    topics.subscribe("orders", "away", from(Start::Latest)).await.unwrap();
    topics.publish("orders", vec![event("1")]).await.unwrap();
    ids(&*done, 1).await;
    let delivery = failed.receive(1, DEADLINE).await.unwrap().remove(0);
    failed.settle(vec![(delivery.lease, Settlement::Park { error: "broken".into() })]).await.unwrap();
    let seen = store.journal().find("1").await.unwrap().remove(0);
    assert_eq!(seen.stream, "topic/orders");
    let branches: BTreeMap<String, Option<(ClaimState, Vec<String>)>> = seen
        .readers
        .into_iter()
        .map(|(name, claim)| {
            let errors =
                |claim: &ClaimStatus| claim.errors.iter().map(|failure| failure.error.clone()).collect();
            (name, claim.map(|claim| (claim.state, errors(&claim))))
        })
        .collect();
    assert_eq!(branches["done"], Some((ClaimState::Done, vec![])));
    assert_eq!(branches["failed"], Some((ClaimState::Parked, vec!["broken".into()])));
    assert_eq!(branches["away"], None, "not handed out yet");
}

#[tokio::test]
async fn ps_d4_order_by_key_is_kept_and_a_duplicate_has_no_second_effect() {
    let place = Place::new();
    let store = place.open().await;
    let topics = topics(&store);
    store.transaction(async |tx| tx.execute("create table effects (id text)", []).await).await.unwrap();
    let subscriber = topics.subscribe("orders", "stock", from(Start::Latest)).await.unwrap();
    let keyed = |id: &str, key: &str| event(id).with_key(key);
    topics.publish("orders", vec![keyed("a1", "a"), keyed("b1", "b"), keyed("a2", "a")]).await.unwrap();
    topics.publish("orders", vec![keyed("a1", "a")]).await.unwrap(); // published twice
    let inbox = dozen_outbox::Inbox::new(&store, "stock", DEADLINE);
    let mut handled = Vec::new();
    while handled.len() < 4 {
        let deliveries = subscriber.receive(10, DEADLINE).await.unwrap();
        let of_a = deliveries.iter().filter(|delivery| delivery.message.key() == Some("a"));
        assert!(of_a.count() <= 1, "two of one key at a time");
        for delivery in deliveries {
            let effect = store.transaction(async |tx| {
                if inbox.first(tx, &delivery.message).await? {
                    let id = dozen_store::Value::from(delivery.message.id.as_str());
                    tx.execute("insert into effects values (?1)", [id]).await?;
                }
                Ok::<_, dozen_store::Error>(())
            });
            effect.await.unwrap();
            subscriber.settle(vec![(delivery.lease, Settlement::Done)]).await.unwrap();
            handled.push(delivery.message.id);
        }
    }
    let of_a: Vec<_> = handled.iter().filter(|id| id.starts_with('a')).collect();
    assert_eq!(of_a, ["a1", "a2", "a1"]);
    let effects = store.select("select id from effects where id like 'a%' order by id", []).await.unwrap();
    let effects: Vec<_> = effects.iter().map(|row| row.text(0).unwrap()).collect();
    assert_eq!(effects, ["a1", "a2"]);
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
    let seen = topics.subscriptions().await.unwrap().remove(0);
    assert_eq!((seen.topic.as_str(), seen.name.as_str(), seen.lag), ("orders", "stock", 3));
    assert!(seen.behind.is_some_and(|behind| behind < DEADLINE));
    ids(&*subscriber, 3).await;
    assert_eq!((status().await.lag(), status().await.oldest), (0, None));
    assert_eq!(topics.subscriptions().await.unwrap()[0].behind, None);
}

#[tokio::test]
async fn an_unknown_topic_is_an_error_that_names_the_nearest() {
    let place = Place::new();
    let broker = topics(&place.open().await);
    let error = broker.publish("ordres", vec![event("1")]).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no topic `ordres`; did you mean `orders`?");
    assert!(matches!(broker.subscribe("x", "y", from(Start::Latest)).await, Err(Error::Unknown { .. })));
}

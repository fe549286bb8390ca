//! OB · outbox and inbox.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dozen_messaging::{
    Delivery, Effect, EffectError, Once, Start, Subscriber, SubscriptionOptions, Worker, WorkerOptions,
};
use dozen_mission::{DEADLINE, Place, Running, until};
use dozen_outbox::{Inbox, Outbox};
use dozen_pubsub::{TopicOptions, Topics};
use dozen_store::{Error, Store, Tx, params};

fn topics(store: &Store) -> Topics {
    Topics::new(store, BTreeMap::from([("orders".to_owned(), TopicOptions::default())]))
}

/// An outbox of a store whose topics are declared.
async fn outbox(place: &Place, store: &Store) -> Outbox {
    topics(store).declare().await.expect("declare");
    Outbox::new(store, "/orders", place.ids())
}

async fn order(store: &Store, outbox: &Outbox, id: i64, fails: bool) -> Result<(), dozen_messaging::Error> {
    let work = store.transaction(async |tx: &mut Tx| {
        tx.execute("create table if not exists orders (id integer primary key)", []).await?;
        tx.execute("insert into orders values (?1)", params![id]).await?;
        let event = outbox.event("order.placed", id.to_string()).with_key(id.to_string());
        outbox.publish(tx, "orders", event).await?;
        if fails { Err(dozen_messaging::Error::Invalid("the card was declined".into())) } else { Ok(()) }
    });
    work.await.map(drop)
}

async fn published(store: &Store) -> Vec<String> {
    let entries = store.journal().read(&Topics::stream("orders"), 0, 100).await.expect("read");
    entries.into_iter().map(|entry| String::from_utf8_lossy(&entry.record.data).into_owned()).collect()
}

#[tokio::test]
async fn ob_m1_the_event_is_inserted_in_the_transaction_of_the_change() {
    let place = Place::new();
    let store = place.open().await;
    let outbox = outbox(&place, &store).await;
    let mut tx = store.begin().await.unwrap();
    tx.execute("create table orders (id integer primary key)", []).await.unwrap();
    tx.execute("insert into orders values (1)", []).await.unwrap();
    outbox.publish(&mut tx, "orders", outbox.event("order.placed", "1")).await.unwrap();
    assert!(published(&store).await.is_empty(), "not before the commit");
    store.end(tx).await.unwrap();
    assert_eq!(published(&store).await, ["1"]);
    assert_eq!(store.select("select id from orders", []).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_slip_in_a_topics_name_fails_the_transaction_and_names_the_nearest() {
    let place = Place::new();
    let store = place.open().await;
    let outbox = outbox(&place, &store).await;
    let published = store.transaction(async |tx| {
        tx.execute("create table orders (id integer primary key)", []).await?;
        outbox.publish(tx, "ordres", outbox.event("order.placed", "1")).await
    });
    let error = published.await.map(drop).unwrap_err();
    assert_eq!(error.to_string(), "there is no topic `ordres`; did you mean `orders`?");
    assert!(store.select("select id from orders", []).await.is_err(), "nothing of it happened");
}

#[tokio::test]
async fn ob_m2_the_event_exists_if_and_only_if_the_change_committed() {
    let place = Place::new();
    let store = place.open().await;
    let outbox = outbox(&place, &store).await;
    for id in 0..20 {
        let _ = order(&store, &outbox, id, id % 3 == 0).await;
    }
    assert!(order(&store, &outbox, 1, false).await.is_err(), "the key is taken: no second event either");
    let orders = store.select("select id from orders order by id", []).await.unwrap();
    let orders: Vec<String> = orders.iter().map(|row| row.integer(0).unwrap().to_string()).collect();
    assert_eq!(published(&store).await, orders);
}

/// Counts how often it ran, and keeps what it saw in a table.
struct Count {
    ran: Arc<AtomicU32>,
    inbox: Inbox,
}

#[async_trait]
impl Effect for Count {
    async fn apply(&self, tx: &mut Tx, delivery: &Delivery) -> Result<(), EffectError> {
        self.ran.fetch_add(1, Ordering::SeqCst);
        if self.inbox.first(tx, &delivery.message).await? {
            tx.execute("insert into effects (id) values (?1)", params![delivery.message.id.as_str()]).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn ob_m8_at_least_once_to_the_topic_and_one_effect_with_the_inbox() {
    let place = Place::new();
    let store = place.open().await;
    store.transaction(async |tx| tx.execute("create table effects (id text)", []).await).await.unwrap();
    let topics = topics(&store);
    let outbox = outbox(&place, &store).await;
    let options = SubscriptionOptions { start: Start::Earliest, ..SubscriptionOptions::default() };
    let subscriber = topics.subscription("orders", "stock", options).await.unwrap();
    // The same event arrives three times, as it may when a sender tries again after an answer that got lost.
    let event = outbox.event("order.placed", "1");
    for _ in 0..3 {
        store.transaction(async |tx| outbox.publish(tx, "orders", event.clone()).await).await.unwrap();
    }
    let ran = Arc::new(AtomicU32::new(0));
    let inbox = Inbox::new(&store, "stock", Duration::from_secs(3600));
    let effect = Once::new(subscriber.clone(), Count { ran: ran.clone(), inbox });
    let worker = Running::start(Worker::new(
        "stock",
        Arc::new(subscriber),
        Arc::new(effect),
        WorkerOptions::default(),
        place.ids(),
    ));
    let lag = async || store.journal().readers("topic/orders").await.unwrap()[0].lag();
    until(&store, "topic/orders", async || lag().await == 0).await;
    worker.stop().await;
    assert_eq!(ran.load(Ordering::SeqCst), 3, "delivered each time");
    assert_eq!(store.select("select id from effects", []).await.unwrap().len(), 1, "one effect");
}

#[tokio::test]
async fn ob_m5_history_is_kept_for_as_long_as_the_user_says() {
    let place = Place::new();
    let store = place.open().await;
    let topics = topics(&store);
    let keep = async |keep| {
        let options = TopicOptions { keep, ..TopicOptions::default() };
        topics.declare_topic("orders", &options).await.unwrap()
    };
    let options = SubscriptionOptions { start: Start::Earliest, ..SubscriptionOptions::default() };
    let subscriber = topics.subscription("orders", "stock", options).await.unwrap();
    let outbox = outbox(&place, &store).await;
    order(&store, &outbox, 1, false).await.unwrap();
    order(&store, &outbox, 2, false).await.unwrap();
    // With its commit an event is published; the subscription's mark says that it was heard.
    let delivery = subscriber.receive(1, DEADLINE).await.unwrap().remove(0);
    subscriber.settle(vec![(delivery.lease, dozen_messaging::Settlement::Done)]).await.unwrap();
    keep(Duration::from_secs(3600)).await;
    assert_eq!(topics.trim(100).await.unwrap(), 0, "an hour has not passed");
    keep(Duration::ZERO).await;
    assert_eq!(topics.trim(100).await.unwrap(), 1, "the other has not been heard");
    assert_eq!(published(&store).await, ["2"]);
}

#[tokio::test]
async fn ob_d4_duplicates_are_dropped_in_the_consumers_own_transaction() {
    let place = Place::new();
    let store = place.open().await;
    let outbox = outbox(&place, &store).await;
    let event = outbox.event("order.placed", "1");
    let stock = Inbox::new(&store, "stock", Duration::from_secs(60));
    let mail = Inbox::new(&store, "mail", Duration::from_secs(60));
    let first = async |inbox: &Inbox, fails: bool| {
        let seen = store.transaction(async |tx| {
            let first = inbox.first(tx, &event).await?;
            if fails { Err(Error::Invalid("the effect failed".into())) } else { Ok(first) }
        });
        seen.await.map(|written| written.value)
    };
    assert!(first(&stock, true).await.is_err());
    assert!(first(&stock, false).await.unwrap(), "a failed effect leaves no mark");
    assert!(!first(&stock, false).await.unwrap());
    assert!(first(&mail, false).await.unwrap(), "another handler has an inbox of its own");
}

#[tokio::test]
async fn ob_d1_from_commit_to_delivery_takes_milliseconds() {
    let place = Place::new();
    let store = place.open().await;
    let options = SubscriptionOptions { start: Start::Latest, ..SubscriptionOptions::default() };
    // Another process's view of the same file receives.
    let there = place.open().await;
    let subscriber = topics(&there).subscription("orders", "stock", options).await.unwrap();
    let outbox = outbox(&place, &store).await;
    let mut waits = Vec::new();
    for number in 0..50 {
        let receiving = subscriber.receive(1, DEADLINE);
        let sending = async {
            order(&store, &outbox, number, false).await.unwrap();
            std::time::Instant::now()
        };
        let (deliveries, committed) = tokio::join!(
            async {
                let deliveries = receiving.await.unwrap();
                (deliveries, std::time::Instant::now())
            },
            sending
        );
        let (deliveries, received) = deliveries;
        assert_eq!(deliveries.len(), 1);
        waits.push(received.saturating_duration_since(committed));
        let settle = vec![(deliveries[0].lease, dozen_messaging::Settlement::Done)];
        subscriber.settle(settle).await.unwrap();
    }
    waits.sort();
    println!("commit to delivery in another process: p50 {:?}, max {:?}", waits[25], waits[49]);
    assert!(waits[25] < Duration::from_millis(10), "p50 {:?}", waits[25]);
    assert!(waits[49] < Duration::from_secs(1), "a hint was lost: {:?}", waits[49]);
}

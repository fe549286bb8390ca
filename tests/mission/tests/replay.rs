//! OB · history: asked for, sent again, and who wanted it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dozen_core::{Message, Timestamp};
use dozen_mission::Place;
use dozen_outbox::{Audit, Destination, Inbox, Outbox, Replay, Replayed, Step};
use dozen_pubsub::{TopicOptions, Topics};
use dozen_store::{Fault, Faulty, Store};

fn topics(store: &Store) -> Topics {
    let named = |name: &str| (name.to_owned(), TopicOptions::default());
    Topics::new(store, BTreeMap::from([named("orders"), named("again")]))
}

/// A store on whose topic `orders` ten events were published, of two keys and two types, in two halves.
async fn history(place: &Place) -> (Store, Outbox, Timestamp) {
    let store = place.open().await;
    topics(&store).declare().await.unwrap();
    let outbox = Outbox::new(&store, "/orders", place.ids());
    let mut between = Timestamp(0);
    for number in 0..10 {
        if number == 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            between = store.clock().now();
        }
        let kind = if number % 2 == 0 { "order.placed" } else { "order.paid" };
        let event = outbox.event(kind, number.to_string()).with_key(format!("k{}", number % 3));
        store.transaction(async |tx| outbox.publish(tx, "orders", event).await).await.unwrap();
    }
    (store, outbox, between)
}

async fn on(store: &Store, topic: &str) -> Vec<Message> {
    let entries = store.journal().read(&TopicOptions::stream(topic), 0, 1_000).await.unwrap();
    entries.into_iter().map(|entry| Message::try_from(entry.record).unwrap()).collect()
}

fn numbers(messages: &[Message]) -> String {
    messages.iter().map(|message| String::from_utf8_lossy(&message.data).into_owned()).collect()
}

fn replay() -> Replay {
    let to = Destination::Topic("again".into());
    Replay { to, ..Replay::new("orders", "ada@example.org", "the mailer lost its disk") }
}

#[tokio::test]
async fn ob_b1_history_is_sent_again_by_time_key_and_type_and_the_audit_says_who_and_why() {
    let place = Place::new();
    let (store, outbox, between) = history(&place).await;
    for (replay, expected) in [
        (Replay { since: Some(between), ..replay() }, "56789"),
        (Replay { until: Some(between), ..replay() }, "01234"),
        (Replay { key: Some("k1".into()), ..replay() }, "147"),
        (Replay { kind: Some("order.paid".into()), ..replay() }, "13579"),
        (Replay { since: Some(between), kind: Some("order.paid".into()), limit: 2, ..replay() }, "57"),
        (Replay { key: Some("nobody".into()), ..replay() }, ""),
    ] {
        let before = on(&store, "again").await.len();
        let counted = outbox.replay(&Replay { dry_run: true, ..replay.clone() }).await.unwrap();
        assert_eq!(counted.matched, expected.len() as u64);
        assert_eq!(on(&store, "again").await.len(), before, "a dry run sends nothing");
        let Replayed { replay: id, matched } = outbox.replay(&replay).await.unwrap();
        assert_eq!(matched, expected.len() as u64);
        let sent = on(&store, "again").await.split_off(before);
        assert_eq!(numbers(&sent), expected);
        assert!(sent.iter().all(|message| message.extension("dozenreplay") == Some(&id)));
        let audit: Vec<Audit> =
            outbox.audit(100).await.unwrap().into_iter().filter(|audit| audit.replay == id).collect();
        let (first, last) = (&audit[0], &audit[audit.len() - 1]);
        assert_eq!(
            (first.step, first.sent, last.step, last.sent),
            (Step::Started, 0, Step::Finished, matched)
        );
        assert_eq!((last.by.as_str(), last.reason.as_str()), ("ada@example.org", "the mailer lost its disk"));
        assert_eq!((last.topic.as_str(), last.to.as_str(), &last.key), ("orders", "again", &replay.key));
        assert!(last.at >= first.at && first.at > between);
    }
    let audits = outbox.audit(1_000).await.unwrap();
    assert_eq!(audits.iter().filter(|audit| audit.step == Step::Started).count(), 6, "and of no dry run");
    assert_eq!(numbers(&on(&store, "orders").await), "0123456789", "history itself stays as it was");
}

#[tokio::test]
async fn what_an_inbox_has_seen_it_drops_unless_ids_are_fresh() {
    let place = Place::new();
    let (store, outbox, _) = history(&place).await;
    let inbox = Inbox::new(&store, "stock", Duration::from_secs(3600));
    let effects = async || {
        let mut count = 0;
        for message in on(&store, "orders").await {
            let first = store.transaction(async |tx| inbox.first(tx, &message).await).await.unwrap();
            count += u32::from(first.value);
        }
        count
    };
    assert_eq!(effects().await, 10);
    // Back to where they come from: the replay ends where the topic ended when it began.
    let back = Replay { to: Destination::Topic("orders".into()), limit: 4, ..replay() };
    assert_eq!(outbox.replay(&back).await.unwrap().matched, 4);
    assert_eq!(effects().await, 0, "the same ids");
    outbox.replay(&Replay { fresh_ids: true, ..back }).await.unwrap();
    assert_eq!(effects().await, 4);
    let all = on(&store, "orders").await;
    let old = all[0].id.as_str();
    assert_eq!(all[14].extension("dozenreplayof"), Some(old));
}

#[tokio::test]
async fn another_broker_gets_it_at_the_rate_that_was_asked_for() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let (_store, outbox, _) = history(&place).await;
    let there = elsewhere.open().await;
    let to = Destination::Publisher(Arc::new(topics(&there)), "again".into());
    let begun = Instant::now();
    let per_second = NonZeroU32::new(10).unwrap();
    outbox.replay(&Replay { to, per_second, ..replay() }).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(850), "ten a second: {:?}", begun.elapsed());
    assert_eq!(numbers(&on(&there, "again").await), "0123456789");
}

#[tokio::test]
async fn a_replay_that_fails_says_so_and_one_without_a_reason_is_refused() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let (store, outbox, _) = history(&place).await;
    let there = elsewhere.open().await.wrapped(|engine| {
        Arc::new(Faulty::new(engine, |call| if call == "append" { Fault::Before } else { Fault::None }))
    });
    let to = Destination::Publisher(Arc::new(topics(&there)), "again".into());
    outbox.replay(&Replay { to, ..replay() }).await.unwrap_err();
    let last = outbox.audit(1).await.unwrap().remove(0);
    assert_eq!((last.step, last.sent), (Step::Failed, 0));
    assert!(last.error.unwrap().contains("fault before append"));
    let error = outbox.replay(&Replay { reason: " ".into(), ..replay() }).await.unwrap_err().to_string();
    assert!(error.contains("a `reason`") && error.contains("audit"), "{error}");
    let error = outbox.replay(&Replay::new("ordres", "a", "b")).await.unwrap_err().to_string();
    assert!(error.contains("did you mean `orders`"), "{error}");
    assert_eq!(on(&store, "again").await.len(), 0);
}

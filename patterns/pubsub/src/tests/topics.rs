//! Settings of topics.

use dozen_messaging::{Compatibility, Error, Keyring};
use serde_json::json;

use super::*;

fn order(required: &[&str]) -> TopicOptions {
    let schema = json!({
        "type": "object",
        "properties": {"total": {"type": "number"}, "sku": {"type": "string"}},
        "required": required,
    });
    TopicOptions { schema: Some(schema), ..TopicOptions::default() }
}

#[tokio::test]
async fn a_payload_that_breaks_the_schema_is_refused_with_its_topic_place_and_rule() {
    let store = store();
    let topics = Topics::open(&store);
    topics.declare_topic("orders", &order(&["total"])).await.unwrap();
    topics.publish("orders", vec![event("1", r#"{"total": 7}"#)]).await.unwrap();
    let error = topics.publish("orders", vec![event("2", r#"{"total": "seven"}"#)]).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Invalid(_)), "{text}");
    assert!(
        text.contains("topic `orders`") && text.contains("`/total`") && text.contains("number"),
        "{text}"
    );
    assert!(!text.contains("seven"), "no payload in a text that is logged: {text}");
    let no_json = event("3", "x").with_data(Some("text/plain"), "x");
    assert!(topics.publish("orders", vec![no_json]).await.is_err());
    assert_eq!(store.journal().read(&Topics::stream("orders"), 0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_schema_that_breaks_readers_is_refused_and_can_be_forced() {
    let store = store();
    let topics = Topics::open(&store);
    assert!(topics.declare_topic("orders", &order(&[])).await.unwrap());
    assert!(!topics.declare_topic("orders", &order(&[])).await.unwrap(), "nothing has changed");
    let text = topics.declare_topic("orders", &order(&["total", "sku"])).await.unwrap_err().to_string();
    assert!(text.contains("total") && text.contains("sku") && text.contains("compatibility: none"), "{text}");
    let forced = TopicOptions { compatibility: Compatibility::None, ..order(&["total", "sku"]) };
    assert!(topics.declare_topic("orders", &forced).await.unwrap());
    let wrong = TopicOptions { schema: Some(json!({"type": "wrong"})), ..TopicOptions::default() };
    assert!(topics.declare_topic("others", &wrong).await.is_err());
}

#[tokio::test]
async fn a_publisher_that_runs_takes_note_of_changed_settings() {
    let store = store();
    let (publisher, other) = (declared(&store, &["orders"]).await, Topics::open(&store));
    publish(&publisher, "orders", "1").await;
    let small = TopicOptions { bytes_max: 1, ..TopicOptions::default() };
    other.declare_topic("orders", &small).await.unwrap();
    let error = publisher.publish("orders", vec![event("2", "{}")]).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { bytes_max: 1, .. }), "{error}");
    other.delete_topic("orders").await.unwrap();
    let error = publisher.publish("orders", vec![event("3", "")]).await.unwrap_err();
    assert!(matches!(error, Error::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn a_sealed_topic_is_read_with_the_keys_only() {
    let store = store();
    let keys = Keyring::new([("k", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")]).unwrap();
    let topics = Topics::open(&store).with_keys(Some(keys));
    let sealed = TopicOptions { sealed: true, ..order(&["total"]) };
    topics.declare_topic("orders", &sealed).await.unwrap();
    let with = topics.subscription("orders", "with", filtered("data.total > 100")).await.unwrap();
    for (id, total) in [("1", 50), ("2", 150)] {
        topics.publish("orders", vec![event(id, &json!({"total": total}).to_string())]).await.unwrap();
    }
    let stored = store.journal().read(&Topics::stream("orders"), 0, 1).await.unwrap().remove(0);
    assert!(!stored.record.data.windows(5).any(|window| window == b"total"));
    assert_eq!(next(&with, 1).await, ["2"], "the filter sees what was sealed");
    let without = Topics::open(&store);
    let error = without.publish("orders", vec![event("3", r#"{"total": 1}"#)]).await.unwrap_err().to_string();
    assert!(error.contains("sealed") && error.contains("keys"), "{error}");
}

#[tokio::test]
async fn a_deleted_topic_is_gone_but_for_what_a_pattern_has_not_read() {
    let store = store();
    let topics = declared(&store, &["orders.paid"]).await;
    let own = topics.subscription("orders.paid", "own", earliest()).await.unwrap();
    let wide = topics.subscription("orders.*", "wide", earliest()).await.unwrap();
    publish(&topics, "orders.paid", "1").await;
    let error = topics.delete_topic("orders.paid").await.unwrap_err().to_string();
    assert!(error.contains("`own`") && !error.contains("wide"), "{error}");
    drop(own);
    assert!(topics.end("orders.paid", "own").await.unwrap());
    assert!(topics.delete_topic("orders.paid").await.unwrap());
    assert!(topics.names().await.unwrap().is_empty());
    assert_eq!(next(&wide, 1).await, ["1"]);
    topics.trim(100).await.unwrap();
    assert!(store.journal().read(&Topics::stream("orders.paid"), 0, 1).await.unwrap().is_empty());
    assert!(store.table(crate::catalog::DELETED).list("", 1).await.unwrap().is_empty());
    assert!(!topics.delete_topic("orders.paid").await.unwrap());
}

#[tokio::test]
async fn upkeep_keeps_what_fits_the_last_of_each_key_and_what_is_needed() {
    let store = store();
    let topics = Topics::open(&store);
    let small = TopicOptions { bytes_keep: Some(25), ..TopicOptions::default() };
    topics.declare_topic("small", &small).await.unwrap();
    let compact = TopicOptions { compact: true, ..TopicOptions::default() };
    topics.declare_topic("prices", &compact).await.unwrap();
    for number in 0..5 {
        let payload = json!(format!("{number:08}")).to_string(); // 10 bytes
        topics.publish("small", vec![event(&number.to_string(), &payload)]).await.unwrap();
        let key = if number % 2 == 0 { "a" } else { "b" };
        topics.publish("prices", vec![event(&number.to_string(), "{}").with_key(key)]).await.unwrap();
    }
    // Compaction judges by the clock; what was appended in this very microsecond stays.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let kept = async |topic: &str| {
        let entries = store.journal().read(&Topics::stream(topic), 0, 10).await.unwrap();
        entries.into_iter().map(|entry| entry.record.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(topics.trim(100).await.unwrap(), 6);
    assert_eq!(kept("small").await, ["3", "4"]);
    assert_eq!(kept("prices").await, ["3", "4"]);
    let reader = topics.subscription("small", "slow", earliest()).await.unwrap();
    for number in 5..8 {
        topics.publish("small", vec![event(&number.to_string(), r#""00000000""#)]).await.unwrap();
    }
    assert_eq!(topics.trim(100).await.unwrap(), 0, "a subscription needs them");
    next(&reader, 5).await;
    assert_eq!(topics.trim(2).await.unwrap(), 2, "bounded steps");
    assert_eq!(topics.trim(100).await.unwrap(), 1);
}

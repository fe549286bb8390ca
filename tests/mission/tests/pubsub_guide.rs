//! What docs/pubsub.md shows, as it stands there.

use std::time::Duration;

use dozen_core::Message;
use dozen_messaging::{Publisher as _, Settlement, Start, Subscriber as _, SubscriptionOptions};
use dozen_mission::{DEADLINE, Place};
use dozen_pubsub::{Secrets, TopicOptions, Topics};
use dozen_store::Store;

fn order(id: &str, total: u32) -> Message {
    let data = format!(r#"{{"order": "{id}", "total": {total}}}"#);
    Message::new(id, "/orders", "order.placed").with_data(Some("application/json"), data)
}

async fn declare(store: &Store) -> Result<Topics, Box<dyn std::error::Error>> {
    let topics = Topics::open(store);
    let settings = TopicOptions {
        key: Some("order".into()),
        schema: Some(serde_json::json!({
            "type": "object",
            "properties": {"order": {"type": "string"}, "total": {"type": "number"}},
            "required": ["order", "total"],
        })),
        ..TopicOptions::default()
    };
    topics.declare_topic("orders.eu", &settings).await?;
    Ok(topics)
}

#[tokio::test]
async fn the_guide_to_topics_works_as_it_stands() -> Result<(), Box<dyn std::error::Error>> {
    let place = Place::new();
    let store = place.open().await;
    let topics = declare(&store).await?;

    let options = SubscriptionOptions {
        start: Start::Earliest,
        filter: Some(r#"type == "order.placed" && data.total > 100"#.into()),
        ..SubscriptionOptions::default()
    };
    let large = topics.subscription("orders.*", "large", options).await?;

    topics.publish("orders.eu", vec![order("A-1", 50), order("A-2", 150)]).await?;

    for delivery in large.receive(10, Duration::from_secs(20)).await? {
        assert_eq!(delivery.message.id, "A-2");
        large.settle(vec![(delivery.lease, Settlement::Done)]).await?;
    }

    let wrong = order("A-3", 0).with_data(Some("application/json"), r#"{"order": "A-3"}"#);
    let error = topics.publish("orders.eu", vec![wrong]).await.unwrap_err();
    assert!(error.to_string().starts_with("message `A-3` breaks the schema of topic `orders.eu`"));

    topics.pause("orders.*", "large", true).await?;
    topics.pause("orders.*", "large", false).await?;
    topics.seek("orders.*", "large", Start::Earliest).await?;
    for status in topics.subscriptions().await? {
        println!("{} of {}: {} before it, {} dead", status.name, status.topic, status.lag, status.dead);
    }
    assert_eq!(large.receive(1, DEADLINE).await?[0].message.id, "A-2");
    Ok(())
}

/// What a receiver does with a delivery that is signed, in full.
fn is_genuine(secrets: &Secrets, id: &str, timestamp: i64, signatures: &str, body: &[u8], now: i64) -> bool {
    let expected = secrets.sign(id, timestamp, body);
    (now - timestamp).abs() < 300 && signatures.split(' ').any(|signature| signature == expected)
}

#[test]
fn the_guides_check_of_a_signature_tells_a_genuine_delivery() {
    let secrets = Secrets::new(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
    let signature = secrets.sign("1", 1_000, b"body");
    assert!(is_genuine(&secrets, "1", 1_000, &signature, b"body", 1_100));
    assert!(!is_genuine(&secrets, "1", 1_000, &signature, b"other", 1_100));
    assert!(!is_genuine(&secrets, "1", 1_000, &signature, b"body", 9_000), "an old delivery, sent again");
}

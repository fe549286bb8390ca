//! What subscriptions hear of.

use dozen_messaging::Error;
use dozen_store::ClaimState;

use super::*;

#[tokio::test]
async fn a_pattern_hears_of_topics_that_are_declared_later_while_it_receives() {
    let store = store();
    let topics = declared(&store, &["orders.paid", "returns"]).await;
    let wide = topics.subscription("orders.>", "audit", SubscriptionOptions::default()).await.unwrap();
    publish(&topics, "returns", "no").await;
    publish(&topics, "orders.paid", "1").await;
    assert_eq!(next(&wide, 1).await, ["1"]);
    let receiving = tokio::spawn(async move { next(&wide, 2).await });
    let other = declared(&store, &["orders.eu.lost"]).await;
    publish(&other, "orders.eu.lost", "2").await;
    publish(&topics, "orders.paid", "3").await;
    let mut heard = receiving.await.unwrap();
    heard.sort();
    assert_eq!(heard, ["2", "3"]);
}

#[tokio::test]
async fn a_pattern_misses_nothing_of_a_topic_that_is_declared_while_nobody_receives() {
    let store = store();
    let topics = Topics::open(&store);
    drop(topics.subscription("orders.*", "audit", SubscriptionOptions::default()).await.unwrap());
    let topics = declared(&store, &["orders.paid"]).await;
    publish(&topics, "orders.paid", "1").await;
    let again = topics.subscription("orders.*", "audit", SubscriptionOptions::default()).await.unwrap();
    assert_eq!(next(&again, 1).await, ["1"]);
    assert!(topics.end("orders.*", "audit").await.unwrap());
    declared(&store, &["orders.lost"]).await;
    assert!(
        store.journal().readers("topic/").await.unwrap().is_empty(),
        "nothing is opened for one that ended"
    );
    let error = again.receive(1, DEADLINE).await.unwrap_err();
    assert!(matches!(error, Error::Unknown { kind: "subscription", .. }), "{error}");
}

#[tokio::test]
async fn a_filter_decides_before_anything_is_stored_for_the_reader() {
    let store = store();
    let topics = declared(&store, &["orders"]).await;
    let large = topics.subscription("orders", "large", filtered("data.total > 100")).await.unwrap();
    let mut events: Vec<Message> =
        (0..2_500).map(|number| event(&format!("s{number}"), r#"{"total": 1}"#)).collect();
    events.push(event("large", r#"{"total": 150}"#));
    events.push(event("odd", "{}"));
    topics.publish("orders", events).await.unwrap();
    assert_eq!(next(&large, 1).await, ["large"]);
    assert!(nothing(&large).await);
    assert!(large.undecided() > 0, "`odd` has no total");
    let (stream, reader) = (Topics::stream("orders"), Arc::from("large"));
    for state in ClaimState::ALL {
        let claims = store.journal().claims(&stream, &reader, state, 0, 10).await.unwrap();
        assert_eq!(claims.len(), usize::from(state == ClaimState::Done), "{state:?}");
    }
    assert_eq!(topics.subscriptions().await.unwrap()[0].lag, 0);
}

#[tokio::test]
async fn a_filter_that_cannot_be_compiled_is_refused_with_its_place() {
    let store = store();
    let topics = declared(&store, &["orders"]).await;
    let error = topics.subscription("orders", "x", filtered("data.total >")).await.map(|_| ()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`x`") && text.contains("line 1"), "{text}");
    assert!(store.journal().readers("topic/").await.unwrap().is_empty(), "nothing was made");
}

#[tokio::test]
async fn every_process_opens_a_subscription_in_the_same_way() {
    let store = store();
    let topics = declared(&store, &["orders"]).await;
    let lease = Some(Duration::from_secs(7));
    let options = SubscriptionOptions { lease, per_key: Some(3), ..filtered(r#"id != "1""#) };
    drop(topics.subscription("orders", "mail", options).await.unwrap());
    for id in ["1", "2"] {
        publish(&topics, "orders", id).await;
    }
    let elsewhere = Topics::open(&store);
    let again = elsewhere.subscription("orders", "mail", SubscriptionOptions::default()).await.unwrap();
    assert_eq!(again.lease(), Duration::from_secs(7));
    assert_eq!(next(&again, 1).await, ["2"]);
}

#[tokio::test]
async fn a_name_that_another_pattern_has_for_the_same_topics_is_refused() {
    let store = store();
    let topics = declared(&store, &["orders.paid"]).await;
    drop(topics.subscription("orders.*", "audit", earliest()).await.unwrap());
    for pattern in ["orders.paid", ">", "*.paid"] {
        let error =
            topics.subscription(pattern, "audit", earliest()).await.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("`orders.*`"), "{error}");
        drop(topics.subscription(pattern, &format!("other {pattern}"), earliest()).await.unwrap());
    }
    drop(topics.subscription("returns.*", "audit", earliest()).await.unwrap());
}

#[tokio::test]
async fn poison_in_one_key_delays_no_other_key() {
    let store = store();
    let topics = declared(&store, &["orders"]).await;
    let mail = topics.subscription("orders", "mail", earliest()).await.unwrap();
    let keyed = |id: &str, key: &str| event(id, "{}").with_key(key);
    topics.publish("orders", vec![keyed("a1", "a"), keyed("a2", "a"), keyed("b1", "b")]).await.unwrap();
    let poison = mail.receive(1, DEADLINE).await.unwrap().remove(0);
    let park = Settlement::Park { error: "broken".into() };
    mail.settle(vec![(poison.lease, park)]).await.unwrap();
    topics.publish("orders", vec![keyed("b2", "b"), keyed("c1", "c")]).await.unwrap();
    let mut flowed = next(&mail, 3).await;
    flowed.sort();
    assert_eq!(flowed, ["b1", "b2", "c1"]);
    assert!(nothing(&mail).await, "what follows the poison waits");
    let status = topics.subscriptions().await.unwrap().remove(0);
    assert_eq!((status.dead, status.parked_keys, status.held), (1, 1, 1));
}

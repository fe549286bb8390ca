//! Subscriptions change while they run.

use dozen_messaging::{Error, Selection};

use super::*;

#[tokio::test]
async fn a_changed_filter_is_taken_up_while_it_receives() {
    let store = store();
    let topics = declared(&store, &["orders"]).await;
    let mail = topics.subscription("orders", "mail", filtered("false")).await.unwrap();
    publish(&topics, "orders", "1").await;
    let receiving = tokio::spawn(async move { next(&mail, 1).await });
    tokio::task::yield_now().await;
    let all = SubscriptionOptions { filter: Some(String::new()), ..SubscriptionOptions::default() };
    Topics::open(&store).change("orders", "mail", all).await.unwrap();
    // What the old filter has looked at is passed; what follows is judged by the new one.
    let publishing = async {
        for id in 2.. {
            publish(&topics, "orders", &id.to_string()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        heard = receiving => assert_eq!(heard.unwrap().len(), 1),
        () = publishing => {}
    }
    let error = topics.change("orders", "mial", earliest()).await.unwrap_err().to_string();
    assert_eq!(error, "there is no subscription `mial`; did you mean `mail`?");
}

#[tokio::test]
async fn a_paused_subscription_rests_everywhere_and_misses_nothing() {
    let store = store();
    let topics = declared(&store, &["orders.paid"]).await;
    let wide = topics.subscription("orders.*", "audit", earliest()).await.unwrap();
    Topics::open(&store).pause("orders.*", "audit", true).await.unwrap();
    publish(&topics, "orders.paid", "1").await;
    declared(&store, &["orders.lost"]).await;
    publish(&topics, "orders.lost", "2").await;
    let again = topics.subscription("orders.*", "audit", earliest()).await.unwrap();
    assert!(nothing(&wide).await && nothing(&again).await);
    let status = topics.subscriptions().await.unwrap().remove(0);
    assert!(status.paused && status.lag == 2, "{status:?}");
    topics.pause("orders.*", "audit", false).await.unwrap();
    let mut heard = next(&again, 2).await;
    heard.sort();
    assert_eq!(heard, ["1", "2"]);
    assert!(!topics.subscriptions().await.unwrap()[0].paused);
}

#[tokio::test]
async fn a_replay_to_one_subscription_disturbs_no_other() {
    let store = store();
    let topics = declared(&store, &["orders"]).await;
    let mail = topics.subscription("orders", "mail", earliest()).await.unwrap();
    let stock = topics.subscription("orders", "stock", earliest()).await.unwrap();
    for id in ["1", "2", "3"] {
        publish(&topics, "orders", id).await;
    }
    next(&mail, 3).await;
    next(&stock, 2).await;
    let before = store.journal().standing(&Topics::stream("orders"), &"stock".into()).await.unwrap();
    topics.seek("orders", "mail", Start::Earliest).await.unwrap();
    assert_eq!(next(&mail, 3).await, ["1", "2", "3"]);
    assert_eq!(store.journal().standing(&Topics::stream("orders"), &"stock".into()).await.unwrap(), before);
    assert_eq!(next(&stock, 1).await, ["3"]);
    assert!(nothing(&stock).await);
    let error = topics.seek("orders", "nobody", Start::Earliest).await.unwrap_err();
    assert!(matches!(error, Error::Unknown { kind: "subscription", .. }), "{error}");
}

#[tokio::test]
async fn a_subscriber_that_was_away_catches_up_and_slows_nobody() {
    let store = store();
    let topics = declared(&store, &["orders"]).await;
    let away = topics.subscription("orders", "away", earliest()).await.unwrap();
    let here = topics.subscription("orders", "here", earliest()).await.unwrap();
    for batch in 0..20 {
        let events = (0..50).map(|number| event(&(batch * 50 + number).to_string(), "{}"));
        topics.publish("orders", events.collect()).await.unwrap();
        assert_eq!(next(&here, 50).await.len(), 50);
    }
    let status = topics.subscriptions().await.unwrap();
    assert_eq!(status.iter().map(|status| status.lag).collect::<Vec<_>>(), [1_000, 0]);
    assert!(status[0].behind.is_some() && status[1].behind.is_none());
    let caught_up = next(&away, 1_000).await;
    assert_eq!((caught_up[0].as_str(), caught_up[999].as_str()), ("0", "999"));
}

#[tokio::test]
async fn dead_letters_are_chosen_corrected_and_handed_out_again() {
    let store = store();
    let topics = Topics::open(&store);
    let schema = serde_json::json!({"type": "object", "required": ["total"]});
    for topic in ["orders.eu", "orders.us"] {
        let options = TopicOptions { schema: Some(schema.clone()), ..TopicOptions::default() };
        topics.declare_topic(topic, &options).await.unwrap();
    }
    let mail = topics.subscription("orders.*", "mail", earliest()).await.unwrap();
    for (topic, id) in [("orders.eu", "1"), ("orders.us", "2"), ("orders.us", "3")] {
        topics.publish(topic, vec![event(id, r#"{"total": 0}"#)]).await.unwrap();
    }
    let mut parked = 0;
    while parked < 3 {
        for delivery in mail.receive(3, DEADLINE).await.unwrap() {
            let error = format!("no price for {}", delivery.message.id);
            mail.settle(vec![(delivery.lease, Settlement::Park { error })]).await.unwrap();
            parked += 1;
        }
    }
    let (pattern, name) = ("orders.*", "mail");
    assert_eq!(topics.dead_letters(pattern, name, &Selection::default()).await.unwrap().len(), 3);
    let second = Selection { error: Some("for 2".into()), ..Selection::default() };
    let letter = topics.dead_letters(pattern, name, &second).await.unwrap().remove(0);
    assert_eq!(&*letter.stream, "topic/orders.us");
    assert!(topics.edit(pattern, name, letter.position, event("2", "{}")).await.is_err(), "the schema holds");
    assert!(topics.edit(pattern, name, letter.position, event("x", r#"{"total": 9}"#)).await.unwrap());
    assert_eq!(topics.dry_run(pattern, name, &second).await.unwrap().matched, 1);
    assert_eq!(topics.redrive(pattern, name, &second, None).await.unwrap().done, 1);
    let again = mail.receive(3, DEADLINE).await.unwrap();
    assert_eq!(
        (again.len(), again[0].message.id.as_str(), &again[0].message.data[..]),
        (1, "2", &br#"{"total": 9}"#[..])
    );
    assert_eq!(topics.discard(pattern, name, &Selection::default()).await.unwrap().done, 2);
    assert_eq!(topics.subscriptions().await.unwrap()[0].dead, 0);
}

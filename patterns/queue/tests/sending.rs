//! What a sender can ask for: priorities, unique names, moments, secrecy, an answer.

mod common;

use std::time::Duration;

use common::{Bench, HOUR};
use dozen_messaging::{Error, Keyring, Settlement, Subscriber};
use dozen_queue::{Options, Sending, Sent, Step};

#[tokio::test]
async fn a_higher_priority_goes_before_all_lower_ones_and_one_beyond_them_is_refused() {
    let bench = Bench::with(Options { priorities: 3, ..Options::default() }).await;
    for (text, priority) in [("low", 0), ("high", 2), ("middle", 1), ("high too", 2)] {
        let sending = Sending { priority, ..Sending::default() };
        bench.queue.send_with(vec![bench.message(text)], sending).await.unwrap();
    }
    let held = bench.receive(10).await;
    assert_eq!(common::texts(&held), ["high", "high too", "middle", "low"]);
    // Each is settled in the stream that it came from.
    let ends = held.iter().map(|delivery| (delivery.lease, Settlement::Done)).collect();
    assert_eq!(bench.queue.subscriber().settle(ends).await.unwrap(), [true; 4]);
    assert_eq!(bench.queue.depth().await.unwrap(), 0);
    let sending = Sending { priority: 3, ..Sending::default() };
    let error = bench.queue.send_with(vec![bench.message("x")], sending).await.unwrap_err().to_string();
    assert!(error.contains("priority 3") && error.contains("3 of queue `work`"), "{error}");
}

#[tokio::test]
async fn a_unique_name_is_taken_once_until_its_time_is_over() {
    let bench = Bench::new().await;
    let unique = || Sending { unique: Some(("report".into(), HOUR)), ..Sending::default() };
    let first = bench.message("1");
    let id = first.id.clone();
    assert!(matches!(bench.queue.send_with(vec![first], unique()).await.unwrap(), Sent::New(_)));
    let again = bench.queue.send_with(vec![bench.message("2")], unique()).await.unwrap();
    assert_eq!(again, Sent::Duplicate { of: id });
    assert_eq!(bench.queue.depth().await.unwrap(), 1);
    bench.clock.advance(HOUR);
    assert!(matches!(bench.queue.send_with(vec![bench.message("3")], unique()).await.unwrap(), Sent::New(_)));
    // Within a transaction it is the transaction that does not happen.
    let undone = bench
        .store
        .transaction(async |tx| bench.queue.send_in_with(tx, vec![bench.message("4")], &unique()))
        .await;
    assert!(undone.unwrap_err().to_string().contains("cannot complete the transaction"));
    assert_eq!(bench.queue.depth().await.unwrap(), 2);
}

#[tokio::test]
async fn a_message_waits_for_its_moment_and_not_beyond_its_time() {
    let bench = Bench::with(Options { expire: Some(HOUR), ..Options::default() }).await;
    let later = bench.now().after(HOUR / 2);
    bench.queue.send_all(vec![bench.message("later")], Some(later)).await.unwrap();
    let short = Sending { expires: Some(bench.now().after(HOUR / 4)), ..Sending::default() };
    bench.queue.send_with(vec![bench.message("short")], short).await.unwrap();
    let id = bench.send("usual").await;
    bench.clock.advance(HOUR / 2);
    assert_eq!(common::texts(&bench.receive(10).await), ["later", "usual"], "what expired is not handed out");
    // A lease that ends after the message's own time brings it back to nobody.
    bench.clock.advance(HOUR);
    assert!(bench.receive(10).await.is_empty());
    let status = bench.queue.status(&id).await.unwrap().unwrap();
    assert_eq!(status.step, Step::Dropped);
    assert!(status.errors.last().unwrap().error.starts_with("it expired at "), "{status:?}");
}

#[tokio::test]
async fn a_sealed_payload_is_readable_by_those_with_the_key_alone() {
    let keys = |name| Keyring::new([(name, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")]).unwrap();
    let bench = Bench::with(Options { sealed: true, ..Options::default() }).await;
    let error = bench.queue.send(bench.message("secret")).await.unwrap_err().to_string();
    assert!(error.contains("has no key"), "{error}");
    let sealed = bench.queue.clone().with_keys(Some(keys("2026")));
    sealed.send(bench.message("secret")).await.unwrap();
    let stored = bench.store.journal().read(&dozen_queue::Queue::stream("work"), 0, 10).await.unwrap();
    assert!(!stored[0].record.data.windows(6).any(|window| window == b"secret"), "it lies open in the store");
    let held = sealed.subscriber().receive(1, Duration::ZERO).await.unwrap();
    assert_eq!(held[0].message.data, "secret");
    sealed.subscriber().settle(vec![(held[0].lease, Settlement::Park { error: "no".into() })]).await.unwrap();
    assert_eq!(sealed.dead_letters(1).await.unwrap()[0].message.as_ref().unwrap().data, "secret");
    // With another key it becomes a dead letter that names the one that is missing.
    sealed.send(bench.message("secret")).await.unwrap();
    let stranger = bench.queue.clone().with_keys(Some(keys("2027")));
    assert!(stranger.subscriber().receive(1, Duration::ZERO).await.unwrap().is_empty());
    let dead = bench.queue.dead_letters(10).await.unwrap();
    assert!(dead[1].errors[0].error.contains("`2026`"), "{:?}", dead[1].errors);
}

#[tokio::test]
async fn a_payload_of_ten_mebibytes_is_refused_with_its_size() {
    let bench = Bench::new().await;
    let error = bench.queue.send(bench.message(&"x".repeat(10 << 20))).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { bytes: 10_485_760, bytes_max: 1_048_576, .. }), "{error}");
    assert_eq!(bench.queue.depth().await.unwrap(), 0);
}

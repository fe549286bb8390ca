//! Order by key.

use std::time::Duration;

use dozen_store::{Claim, Ended, LOOK_MAX, Revision};

use super::bench::{Bench, Harness, ids, message};

/// Of one key, one message at a time is handed out, in the order of their positions.
pub async fn per_key_order_is_strict(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for (key, id) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")] {
        bench.append(Some(key), id).await;
    }
    bench.append(None, "free").await;
    let first = bench.claim(10).await;
    assert_eq!(ids(&first), ["a1", "b1", "free"]);
    assert!(bench.claim(10).await.is_empty());
    // A retry keeps its place before what follows it.
    let at = bench.now().after(Duration::from_secs(5));
    assert!(bench.end(&first[0], Ended::Retry { at, error: "no".into() }).await);
    assert!(bench.end(&first[1], Ended::Done).await);
    assert_eq!(ids(&bench.claim(10).await), ["b2"]);
    bench.clock.advance(Duration::from_secs(5));
    let retried = bench.claim(10).await;
    assert_eq!(ids(&retried), ["a1"]);
    assert_eq!(retried[0].attempts, 2);
    assert!(bench.end(&retried[0], Ended::Done).await);
    let second = bench.claim(10).await;
    assert_eq!(ids(&second), ["a2"]);
    assert!(bench.end(&second[0], Ended::Dropped("expired".into())).await);
    assert_eq!(ids(&bench.claim(10).await), ["a3"]);
}

/// Of one key, as many are out as the reader says, in order and no more; other keys do not count.
pub async fn a_key_has_as_many_out_as_it_may(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for id in ["a1", "a2", "a3", "b1", "a4", "a5"] {
        bench.append(Some(&id[..1]), id).await;
    }
    let claims = bench.claim_as(2, None).await;
    assert_eq!(ids(&claims), ["a1", "a2", "b1"]);
    assert!(bench.claim_as(2, None).await.is_empty());
    bench.check_counts([3, 0, 3, 0]).await;
    // One that waits for its retry counts as out.
    let at = bench.now().after(Duration::from_secs(5));
    bench.check_end(&claims[0], Ended::Retry { at, error: "once".into() }).await;
    assert!(bench.claim_as(2, None).await.is_empty());
    // One that ends lets one go, the first.
    bench.check_end(&claims[1], Ended::Done).await;
    let next = bench.claim_as(2, None).await;
    assert_eq!(ids(&next), ["a3"]);
    bench.check_end(&next[0], Ended::Dropped("not wanted".into())).await;
    bench.append(Some("a"), "a6").await;
    assert_eq!(ids(&bench.claim_as(2, None).await), ["a4"]);
    bench.clock.advance(Duration::from_secs(5));
    let again = bench.claim_as(2, None).await;
    assert_eq!(ids(&again), ["a1"]);
    bench.check_end(&again[0], Ended::Done).await;
    assert_eq!(ids(&bench.claim_as(2, None).await), ["a5"]);
    bench.check_counts([3, 0, 1, 0]).await;
}

/// While a dead letter of a key remains nothing of the key that is held goes on, though others of it end.
pub async fn a_dead_letter_stops_a_key_with_several_out(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for id in ["a1", "a2", "a3", "a4", "a5"] {
        bench.append(Some("a"), id).await;
    }
    let claims = bench.claim_as(3, None).await;
    assert_eq!(ids(&claims), ["a1", "a2", "a3"]);
    bench.check_end(&claims[0], Ended::Parked("poison".into())).await;
    bench.check_end(&claims[1], Ended::Parked("poison".into())).await;
    bench.check_end(&claims[2], Ended::Done).await;
    assert!(bench.claim_as(3, None).await.is_empty());
    bench.append(Some("a"), "a6").await;
    assert!(bench.claim_as(3, None).await.is_empty(), "a6 went past what is held");
    let status = bench.status().await;
    assert_eq!((status.parked, status.parked_keys, status.held), (2, 1, 3));
    assert_eq!(bench.revise(vec![claims[0].place.position], Revision::Discard).await, 1);
    assert!(bench.claim_as(3, None).await.is_empty(), "a2 is still there");
    assert_eq!(bench.revise(Vec::new(), Revision::Discard).await, 1);
    assert_eq!(ids(&bench.claim_as(3, None).await), ["a4"]);
}

/// What is held behind its key is passed, however much it is, and what lies beyond is found.
pub async fn a_long_run_of_held_messages_is_passed(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    bench.append(Some("stuck"), "first").await;
    let first = bench.check_claims(&["first"]).await;
    let behind = (0..Claim::SCAN_MAX * 2).map(|number| message(Some("stuck"), &number.to_string()));
    bench.journal().append(&bench.stream, behind.collect()).await.expect("append");
    bench.append(None, "free").await;
    let mut again = bench.journal().changes_of(&bench.stream, &bench.reader);
    let mut got = Vec::new();
    for _ in 0..4 {
        again.mark_unchanged();
        let (claims, next_due) = bench.claim_next(10).await;
        got.extend(claims);
        if !got.is_empty() {
            break;
        }
        if next_due != Some(bench.now()) {
            tokio::time::timeout(LOOK_MAX, again.changed()).await.expect("a hint to go on").expect("open");
        }
    }
    assert_eq!(ids(&got), ["free"]);
    assert_eq!(bench.status().await.held, 2 * Claim::SCAN_MAX as u64);
    bench.check_end(&first[0], Ended::Done).await;
    bench.check_claims(&["0"]).await;
}

//! Moments: delays, and a wall clock that does not keep its word.

use std::time::Duration;

use dozen_core::{Clock, Timestamp};
use dozen_store::Ended;

use super::bench::{Bench, Harness, LEASE, ids};

/// After the clock was set back an hour, work goes on, and nothing is handed out to two at a time.
pub async fn a_clock_that_is_set_back_holds_nothing_up(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    let tomorrow = bench.clock.now().after(Duration::from_secs(24 * 3600));
    bench.append_due("delayed", None, Some(tomorrow)).await;
    for id in ["held", "lost", "fails"] {
        bench.append(None, id).await;
    }
    for id in ["first", "second"] {
        bench.append(Some("key"), id).await;
    }
    let claims = bench.check_claims(&["held", "lost", "fails", "first"]).await;
    let retry = Ended::Retry { at: bench.clock.now().after(Duration::from_secs(5)), error: "once".into() };
    bench.check_end(&claims[2], retry).await;
    bench.check_end(&claims[3], Ended::Done).await; // which releases `second`

    bench.clock.set(Timestamp(bench.clock.now().0 - 3_600_000_000));
    bench.append(None, "new").await;
    // What is new and what is free goes on; what somebody holds stays with them.
    let second = bench.check_claims(&["second", "new"]).await;
    bench.check_end(&second[0], Ended::Done).await;
    bench.check_end(&second[1], Ended::Done).await;
    bench.check_end(&claims[0], Ended::Done).await;
    bench.check_claims(&[]).await;
    // The retry comes after its wait, not after an hour and its wait.
    bench.clock.advance(Duration::from_secs(5));
    let again = bench.check_claims(&["fails"]).await;
    assert_eq!(again[0].attempts, 2);
    bench.check_end(&again[0], Ended::Done).await;
    bench.check_claims(&[]).await;
    // And so does what a worker held that is gone.
    bench.clock.advance(LEASE - Duration::from_secs(6));
    bench.check_claims(&[]).await;
    bench.clock.advance(Duration::from_secs(1));
    let lost = bench.check_claims(&["lost"]).await;
    assert_eq!(lost[0].attempts, 2);
    bench.check_end(&lost[0], Ended::Done).await;
    // What was to come at a moment comes at that moment.
    bench.clock.set(Timestamp(tomorrow.0 - 1));
    bench.check_claims(&[]).await;
    bench.clock.set(tomorrow);
    bench.check_claims(&["delayed"]).await;
}

/// A message behind another of its key, with a moment of its own: both must have come.
pub async fn a_released_message_keeps_its_own_delay(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    let later = bench.clock.now().after(Duration::from_secs(60));
    bench.append(Some("key"), "first").await;
    bench.append_due("later", Some("key"), Some(later)).await;
    let first = bench.check_claims(&["first"]).await;
    bench.check_claims(&[]).await;
    bench.check_end(&first[0], Ended::Done).await;
    bench.check_claims(&[]).await;
    bench.clock.set(later);
    bench.check_claims(&["later"]).await;
}

/// A delayed message waits for its moment; what follows it does not wait for it.
pub async fn a_delay_holds_one_message(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    let due = bench.now().after(LEASE);
    bench.append_due("late", None, Some(due)).await;
    bench.append(None, "now").await;
    assert_eq!(ids(&bench.claim(10).await), ["now"]);
    bench.clock.advance(LEASE);
    let claims = bench.claim(10).await;
    assert_eq!(ids(&claims), ["late", "now"], "the delayed one, and the one whose lease has ended");
    assert_eq!(claims[0].attempts, 1);
}

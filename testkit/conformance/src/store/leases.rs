//! Leases of messages.

use dozen_store::{ClaimState, Claimed, Ended, Error, Place, Start};

use super::bench::{Bench, Harness, LEASE};

/// After a lease has passed on, its old holder settles and extends nothing.
pub async fn a_claim_is_fenced(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    bench.append(None, "1").await;
    let old = bench.claim(1).await.remove(0);
    bench.clock.advance(LEASE);
    let new = bench.claim(1).await.remove(0);
    assert_eq!(new.place.position, old.place.position);
    assert!(!bench.end(&old, Ended::Done).await, "the old holder settled");
    let journal = bench.journal();
    let extended = journal.extend(&bench.stream, &bench.reader, vec![old.place, new.place], LEASE);
    assert_eq!(extended.await.expect("extend"), [false, true]);
    assert!(bench.end(&new, Ended::Done).await);
    assert!(!bench.end(&new, Ended::Done).await, "settled twice");
    let found = bench.journal().find("1").await.expect("find");
    let claim = found[0].readers[0].1.as_ref().expect("a claim");
    assert_eq!((claim.state, claim.attempts), (ClaimState::Done, 2));
}

/// A reader that holds nothing names no moment: it waits for hints alone, and an idle one asks nothing.
pub async fn a_reader_with_nothing_in_hand_has_no_moment_to_wait_for(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    let journal = bench.journal();
    let next_due = async || {
        let claimed = journal.claim(&bench.stream, &bench.reader, 1, LEASE).await.expect("claim");
        assert!(claimed.0.is_empty());
        claimed.1
    };
    assert_eq!(next_due().await, None, "before the first message");
    for key in [None, Some("k")] {
        bench.append(key, "1").await;
        let claimed = bench.claim(1).await.remove(0);
        assert!(bench.end(&claimed, Ended::Done).await);
        assert_eq!(next_due().await, None, "after it is done");
        bench.clock.advance(LEASE * 2);
        assert_eq!(next_due().await, None, "after its lease would have ended");
    }
}

/// A lease that ends is handed out again, with one attempt more; one that is extended is not.
pub async fn a_lease_that_ends_is_handed_out_again(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    bench.append(None, "1").await;
    let claimed = bench.claim(1).await.remove(0);
    assert_eq!(claimed.attempts, 1);
    bench.clock.advance(LEASE / 2);
    let journal = bench.journal();
    journal.extend(&bench.stream, &bench.reader, vec![claimed.place], LEASE).await.expect("extend");
    bench.clock.advance(LEASE / 2);
    let (none, next_due) = journal.claim(&bench.stream, &bench.reader, 1, LEASE).await.expect("claim");
    assert!(none.is_empty());
    assert_eq!(next_due, Some(bench.now().after(LEASE / 2)), "when to look again");
    bench.clock.advance(LEASE / 2);
    assert_eq!(bench.claim(1).await[0].attempts, 2);
}

/// A batch is leased together, and each message of it ends on its own, in whatever way.
pub async fn what_is_taken_together_ends_one_by_one(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    let all = ["done", "retry", "parked", "dropped", "extended", "forgotten"];
    for id in all {
        bench.append(None, id).await;
    }
    let start = bench.now();
    let claims = bench.check_claims(&all).await;
    bench.check_counts([6, 0, 0, 0]).await;
    for claim in &claims {
        let own = bench.claim_of(&claim.record.id).await.expect("a claim");
        assert_eq!((own.state, own.attempts, own.claimed), (ClaimState::Leased, 1, Some(start)));
        assert_eq!(own.due, Some(claim.until));
    }
    bench.clock.advance(LEASE / 3);
    let ends = vec![
        (claims[0].place, Ended::Done),
        (claims[1].place, Ended::Retry { at: bench.now().after(LEASE), error: "later".into() }),
        (claims[0].place, Ended::Done),
        (claims[2].place, Ended::Parked("poison".into())),
        (Place { fence: claims[3].place.fence + 1_000, ..claims[3].place }, Ended::Done),
        (claims[3].place, Ended::Dropped("expired".into())),
    ];
    let settled = bench.journal().settle(&bench.stream, &bench.reader, ends).await.expect("settle");
    assert_eq!(settled, [true, true, false, true, false, true], "twice, and under a fence that nobody gave");
    bench.check_counts([2, 1, 0, 1]).await;
    let places = vec![claims[4].place, claims[0].place];
    let extended = bench.journal().extend(&bench.stream, &bench.reader, places, LEASE).await.expect("extend");
    assert_eq!(extended, [true, false]);
    bench.check_counts([2, 1, 0, 1]).await;
    for (id, state) in [
        ("done", ClaimState::Done),
        ("retry", ClaimState::Waiting),
        ("parked", ClaimState::Parked),
        ("dropped", ClaimState::Dropped),
        ("extended", ClaimState::Leased),
        ("forgotten", ClaimState::Leased),
    ] {
        let own = bench.claim_of(id).await.expect("a claim");
        assert_eq!((own.state, own.attempts, own.claimed), (state, 1, Some(start)), "{id}");
        let over = !matches!(state, ClaimState::Leased | ClaimState::Waiting);
        assert_eq!(own.ended, over.then_some(bench.now()), "{id}");
        let [told] = &bench.in_state(state).await[..] else {
            assert_eq!(state, ClaimState::Leased);
            continue;
        };
        assert_eq!(told.0, own);
    }
    assert_eq!(bench.status().await.oldest, Some(start));
    bench.clock.advance(LEASE - LEASE / 3);
    let again = bench.check_claims(&["forgotten"]).await;
    bench.check_end(&again[0], Ended::Done).await;
    assert!(!bench.end(&claims[5], Ended::Done).await, "the old holder settled");
    bench.check_end(&claims[4], Ended::Done).await;
    bench.check_counts([0, 1, 0, 1]).await;
    bench.clock.advance(LEASE / 3);
    let again = bench.check_claims(&["retry"]).await;
    assert_eq!(again[0].attempts, 2);
    bench.check_end(&again[0], Ended::Done).await;
    bench.check_claims(&[]).await;
}

/// What was taken together and is not ended in time is handed out again, all of it, and its history says why.
pub async fn a_batch_whose_lease_ends_is_handed_out_again(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for number in 0..20 {
        bench.append((number % 5 == 0).then_some("key"), &number.to_string()).await;
    }
    let first = bench.claim(20).await;
    assert_eq!(first.len(), 17, "but three that are held");
    bench.check_end(&first[3], Ended::Done).await;
    bench.clock.advance(LEASE);
    // In parts, to whoever asks: no part is lost, and none is given twice.
    let mut again = Vec::new();
    for limit in [3, 1, 20] {
        again.extend(bench.claim(limit).await);
    }
    let positions = |claims: &[Claimed]| {
        let mut positions: Vec<u64> = claims.iter().map(|claim| claim.place.position).collect();
        positions.sort_unstable();
        positions
    };
    let mut unfinished = positions(&first);
    unfinished.remove(3);
    assert_eq!(positions(&again), unfinished);
    assert!(again.iter().all(|claim| claim.attempts == 2));
    for old in &first {
        assert!(!bench.end(old, Ended::Done).await, "the old holder settled {}", old.record.id);
    }
    bench.check_counts([16, 0, 3, 0]).await;
    for claim in &again {
        let own = bench.claim_of(&claim.record.id).await.expect("a claim");
        assert_eq!(own.errors.len(), 1);
        assert_eq!(own.errors[0].error, "its lease ended before it was settled");
        bench.check_end(claim, Ended::Done).await;
    }
    bench.check_counts([0, 1, 2, 0]).await;
}

/// Moved or made anew, a reader knows nothing of what it leased before.
pub async fn a_reader_that_is_moved_forgets_what_it_leased(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for id in ["1", "2", "3"] {
        bench.append(None, id).await;
    }
    let old = bench.check_claims(&["1", "2", "3"]).await;
    bench.check_end(&old[0], Ended::Done).await;
    bench.journal().seek(&bench.stream, &bench.reader, Start::Earliest).await.expect("seek");
    bench.check_counts([0, 0, 0, 0]).await;
    assert!(!bench.end(&old[1], Ended::Done).await, "settled what the reader has forgotten");
    let new = bench.check_claims(&["1", "2", "3"]).await;
    assert!(!bench.end(&old[2], Ended::Done).await, "settled what was leased anew");
    bench.check_end(&new[1], Ended::Done).await;
    bench.check_counts([2, 0, 0, 0]).await;
    assert!(bench.journal().close(&bench.stream, &bench.reader).await.expect("close"));
    let ends = vec![(new[0].place, Ended::Done)];
    let settled = bench.journal().settle(&bench.stream, &bench.reader, ends).await;
    assert!(matches!(settled, Err(Error::NoReader { .. })), "{settled:?}");
    bench.open_reader().await;
    assert!(!bench.end(&new[0], Ended::Done).await, "settled what another reader of this name leased");
    bench.check_claims(&["1", "2", "3"]).await;
}

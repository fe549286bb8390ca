//! Readers: where they begin, and what of a stream they want.

use std::sync::Arc;

use dozen_store::{ClaimState, Ended, Error, LOOK_MAX, Sifted, Start};

use super::bench::{Bench, Harness, LEASE, ids};

/// Readers of one stream progress each on its own, and start where they are told.
pub async fn readers_progress_alone(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    let journal = bench.journal();
    bench.append(None, "1").await;
    bench.clock.advance(LEASE);
    let moment = bench.now();
    bench.append(None, "2").await;
    let second = journal.tail(&bench.stream, 1).await.expect("tail")[0].position;
    bench.append(None, "3").await;
    for (reader, start, expected) in [
        ("earliest", Start::Earliest, vec!["1", "2", "3"]),
        ("at", Start::At(moment), vec!["2", "3"]),
        ("after", Start::After(second), vec!["3"]),
        ("latest", Start::Latest, vec![]),
    ] {
        let reader: Arc<str> = reader.into();
        assert!(journal.open(&bench.stream, &reader, start).await.expect("open"));
        assert!(!journal.open(&bench.stream, &reader, Start::Earliest).await.expect("open again"));
        let statuses = journal.readers(&bench.stream).await.expect("readers");
        let status = statuses.iter().find(|status| *status.reader == *reader).expect("status");
        assert_eq!(status.fresh, expected.len() as u64, "{reader}");
        let (claims, _) = journal.claim(&bench.stream, &reader, 10, LEASE).await.expect("claim");
        assert_eq!(ids(&claims), expected, "{reader}");
    }
    let earliest: Arc<str> = "earliest".into();
    journal.seek(&bench.stream, &earliest, Start::After(second)).await.expect("seek");
    let (claims, _) = journal.claim(&bench.stream, &earliest, 10, LEASE).await.expect("claim");
    assert_eq!(ids(&claims), ["3"], "after a seek");
    // Closed, a reader is gone with what it had in hand; opened again it is a new one.
    assert!(journal.close(&bench.stream, &earliest).await.expect("close"));
    assert!(!journal.close(&bench.stream, &earliest).await.expect("close again"));
    assert!(journal.open(&bench.stream, &earliest, Start::Earliest).await.expect("open anew"));
    let (claims, _) = journal.claim(&bench.stream, &earliest, 10, LEASE).await.expect("claim");
    assert_eq!(ids(&claims), ["1", "2", "3"], "after it was closed");
    let nobody = journal.claim(&bench.stream, &"nobody".into(), 1, LEASE).await;
    assert!(matches!(nobody, Err(Error::NoReader { .. })), "{nobody:?}");
}

/// What the caller has looked at in the stream: everything after `after`, of which it wants these.
async fn sift(bench: &Bench, after: u64, wanted: &[&str]) -> Sifted {
    let entries = bench.journal().read(&bench.stream, after, 100).await.expect("read");
    let sifted = entries.iter().map(|entry| (entry.position, wanted.contains(&&*entry.record.id)));
    Sifted { after, entries: sifted.collect() }
}

/// What is not wanted is passed over: no claim, no history, nothing that waits.
pub async fn what_is_sifted_out_leaves_no_trace(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for id in ["1", "2", "3", "4", "5"] {
        bench.append(Some("key"), id).await;
    }
    let sifted = sift(&bench, 0, &["2", "4"]).await;
    let claims = bench.claim_as(1, Some(sifted.clone())).await;
    assert_eq!(ids(&claims), ["2"], "4 is behind 2 of its key; 1 and 3 hold nothing up");
    bench.check_counts([1, 0, 1, 0]).await;
    let status = bench.status().await;
    assert_eq!((status.fresh, status.position), (0, sifted.entries[4].0), "it has looked at all");
    assert_eq!(
        bench.journal().standing(&bench.stream, &bench.reader).await.expect("standing"),
        Some(status.position)
    );
    assert_eq!(bench.journal().standing(&bench.stream, &"nobody".into()).await.expect("standing"), None);
    for id in ["1", "3", "5"] {
        assert_eq!(bench.claim_of(id).await, None, "{id} left a trace");
    }
    bench.check_end(&claims[0], Ended::Done).await;
    // What it has passed meanwhile is ignored, and what was there before comes also when nothing new is wanted.
    let claims = bench.claim_as(1, Some(sifted)).await;
    assert_eq!(ids(&claims), ["4"]);
    bench.check_end(&claims[0], Ended::Done).await;
    bench.check_counts([0, 0, 0, 0]).await;
    // Nobody needs what was passed over.
    bench.clock.advance(LEASE);
    let trimmed = bench.journal().trim(&bench.stream, bench.now(), None, 100).await.expect("trim");
    assert_eq!(trimmed, 5);
    assert_eq!(bench.status().await.fresh, 0);
}

/// A reader passes over nothing that its caller has not looked at: what came later, and what it was moved back to.
pub async fn nothing_is_sifted_that_was_not_looked_at(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for id in ["1", "2", "3"] {
        bench.append(None, id).await;
    }
    let sifted = sift(&bench, 0, &[]).await;
    bench.append(None, "4").await;
    assert!(bench.claim_as(1, Some(sifted.clone())).await.is_empty());
    assert_eq!(bench.status().await.fresh, 1, "4 was passed over");
    let later = sift(&bench, sifted.entries[2].0, &["4"]).await;
    bench
        .journal()
        .seek(&bench.stream, &bench.reader, Start::After(sifted.entries[0].0))
        .await
        .expect("seek");
    assert!(bench.claim_as(1, Some(later)).await.is_empty());
    assert_eq!(bench.status().await.fresh, 3, "2 and 3 were passed over");
    let (position, _) = sifted.entries[0];
    let all = sift(&bench, position, &["2", "3", "4"]).await;
    assert_eq!(ids(&bench.claim_as(1, Some(all)).await), ["2", "3", "4"]);
}

/// A reader that rests gets nothing, may end what it has, and gets all of it afterwards.
pub async fn a_paused_reader_gets_nothing(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for id in ["1", "2", "3"] {
        bench.append(None, id).await;
    }
    let claims = bench.claim(3).await;
    let pause = async |paused| {
        bench.journal().pause(&bench.stream, &bench.reader, paused).await.expect("pause");
        assert_eq!(bench.status().await.paused, paused);
    };
    pause(true).await;
    bench.check_end(&claims[0], Ended::Done).await;
    let retry = Ended::Retry { at: bench.now(), error: "not now".into() };
    bench.check_end(&claims[1], retry).await;
    let places = vec![claims[2].place];
    let extended = bench.journal().extend(&bench.stream, &bench.reader, places, 2 * LEASE).await;
    assert_eq!(extended.expect("extend"), [true]);
    bench.append(None, "4").await;
    bench.clock.advance(LEASE);
    assert_eq!(bench.claim_next(10).await.1, None, "there is no moment at which it would get something");
    bench.check_claims(&[]).await;
    pause(true).await;
    let mut again = bench.journal().changes_of(&bench.stream, &bench.reader);
    again.mark_unchanged();
    pause(false).await;
    tokio::time::timeout(LOOK_MAX, again.changed()).await.expect("a hint").expect("open");
    bench.check_claims(&["2", "4"]).await;
    bench.clock.advance(LEASE);
    let rest = bench.claim(10).await;
    assert!(ids(&rest).contains(&"3"));
    let nobody = bench.journal().pause(&bench.stream, &"nobody".into(), true).await;
    assert!(matches!(nobody, Err(Error::NoReader { .. })), "{nobody:?}");
}

/// Claims in any state are told page by page, each once and in order.
pub async fn claims_are_told_in_pages(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for number in 0..8 {
        bench
            .append((number % 2 == 0).then_some(["a", "b", "c", "d"][number / 2]), &number.to_string())
            .await;
    }
    // Leased in three batches and alone.
    for (limit, expected) in [(3, 3), (1, 1), (3, 3), (9, 1)] {
        assert_eq!(bench.claim(limit).await.len(), expected);
    }
    let pages = async |state| {
        let (mut told, mut after) = (Vec::new(), 0);
        loop {
            let page =
                bench.journal().claims(&bench.stream, &bench.reader, state, after, 3).await.expect("claims");
            let Some((last, _)) = page.last() else { return told };
            assert!(page.len() <= 3);
            after = last.position;
            for (claim, entry) in page {
                assert_eq!(claim.state, state);
                told.push(entry.expect("an entry").record.id);
            }
        }
    };
    let all = ["0", "1", "2", "3", "4", "5", "6", "7"];
    assert_eq!(pages(ClaimState::Leased).await, all);
    let leased = bench.in_state(ClaimState::Leased).await;
    assert!(leased.iter().all(|(claim, _)| claim.attempts == 1 && claim.claimed == Some(bench.now())));
    assert!(leased.iter().all(|(claim, _)| claim.due == Some(bench.now().after(LEASE))));
    bench.clock.advance(LEASE);
    let again = bench.claim(10).await;
    for claimed in &again {
        bench.check_end(claimed, Ended::Parked("poison".into())).await;
    }
    assert_eq!(pages(ClaimState::Leased).await, [""; 0]);
    assert_eq!(pages(ClaimState::Parked).await, all);
    assert_eq!(bench.status().await.parked_keys, 4);
}

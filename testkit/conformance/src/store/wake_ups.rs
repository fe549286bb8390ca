//! Hints: never needed, and there in time.

use std::time::Duration;

use dozen_store::{Ended, LOOK_MAX, Revision, Start};

use super::bench::{Bench, Harness, ids, message};

/// A reader that misses all hints still sees every entry by asking; and a hint does come.
pub async fn a_wake_up_is_a_hint(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    let mut changes = bench.journal().changes(&bench.stream);
    changes.mark_unchanged();
    bench.append(None, "1").await;
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.expect("a hint").expect("open");
    bench.append(None, "2").await;
    drop(changes);
    bench.append(None, "3").await;
    assert_eq!(ids(&bench.claim(10).await), ["1", "2", "3"]);
}

/// A commit through one handle wakes readers of another.
pub async fn other_processes_are_woken(harness: &dyn Harness) {
    let engine = harness.open().await;
    if !engine.capabilities().shared {
        println!("skipped: the {} engine is not shared between processes", engine.capabilities().engine);
        return;
    }
    let (here, there) = (Bench::on(engine), Bench::on(harness.open().await));
    here.append(None, "first").await;
    let mut changes = there.journal().changes(&there.stream);
    for number in 0..20 {
        changes.mark_unchanged();
        here.append(None, &number.to_string()).await;
        tokio::time::timeout(Duration::from_millis(900), changes.changed())
            .await
            .expect("a hint")
            .expect("open");
    }
    assert_eq!(there.ids().await.len(), 21);
    // Also when the one that is to be woken commits at the same time: its own commits must not stand in for the other's.
    let mut position = 0;
    for number in 0..200 {
        there.append(None, &format!("own-{number}")).await;
        changes.mark_unchanged();
        let token =
            here.journal().append(&here.stream, vec![message(None, &format!("their-{number}"))]).await;
        let wanted = token.expect("append").position;
        while position < wanted {
            let seen = there.journal().tail(&there.stream, 1).await.expect("tail");
            position = seen.last().map_or(0, |entry| entry.position);
            if position < wanted {
                let hint = tokio::time::timeout(Duration::from_millis(900), changes.changed()).await;
                hint.expect("a hint").expect("open");
            }
        }
    }
    // And from the first moment of a handle on.
    for number in 0..30 {
        let newcomer = Bench::on(harness.open().await);
        let mut changes = newcomer.journal().changes(&newcomer.stream);
        let id = format!("first-{number}");
        here.append(None, &id).await;
        while newcomer.journal().tail(&newcomer.stream, 1).await.expect("tail")[0].record.id != id {
            let hint = tokio::time::timeout(Duration::from_millis(900), changes.changed()).await;
            hint.expect("a hint").expect("open");
        }
    }
    // Both write: positions are given by one of them at a time.
    let both = futures::future::join_all((0..50).map(|number| {
        let bench = if number % 2 == 0 { &here } else { &there };
        async move { bench.append(None, &format!("both-{number}")).await }
    }));
    both.await;
    assert_eq!(there.journal().streams("test/").await.expect("streams")[0].appended, 501);
    assert_eq!(here.ids().await, there.ids().await);
}

/// A retry, a key that is free again, a dead letter that is redriven and a reader that was moved are hinted under the
/// reader's own name, and the stream's is left alone.
pub async fn what_comes_again_is_hinted(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for id in ["1", "2"] {
        bench.append(Some("key"), id).await;
    }
    let mut again = bench.journal().changes_of(&bench.stream, &bench.reader);
    let mut hinted = async |what: &str| {
        let hint = tokio::time::timeout(LOOK_MAX, again.changed()).await;
        hint.unwrap_or_else(|_| panic!("no hint after {what}")).expect("open");
    };
    let claims = bench.check_claims(&["1"]).await;
    let retry = Ended::Retry { at: bench.now(), error: "once".into() };
    bench.check_end(&claims[0], retry).await;
    hinted("a retry").await;
    let claims = bench.check_claims(&["1"]).await;
    bench.check_end(&claims[0], Ended::Done).await;
    hinted("an end that lets its key go").await;
    let claims = bench.check_claims(&["2"]).await;
    bench.check_end(&claims[0], Ended::Parked("poison".into())).await;
    assert_eq!(bench.revise(Vec::new(), Revision::Redrive).await, 1);
    hinted("a redrive").await;
    bench.journal().seek(&bench.stream, &bench.reader, Start::Earliest).await.expect("seek");
    hinted("a seek").await;
}

/// Who waits for the outcome of a message is woken when it is done, dropped or given up, and when it is discarded.
pub async fn an_end_is_hinted(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for id in ["1", "2", "3"] {
        bench.append(None, id).await;
    }
    let claims = bench.claim(10).await;
    let mut ends = bench.journal().ends_of(&bench.stream, &bench.reader);
    let mut hinted = async |what: &str| {
        let hint = tokio::time::timeout(LOOK_MAX, ends.changed()).await;
        hint.unwrap_or_else(|_| panic!("no hint after {what}")).expect("open");
    };
    bench.check_end(&claims[0], Ended::Done).await;
    hinted("done").await;
    bench.check_end(&claims[1], Ended::Dropped("expired".into())).await;
    hinted("dropped").await;
    bench.check_end(&claims[2], Ended::Parked("poison".into())).await;
    hinted("parked").await;
    assert_eq!(bench.revise(Vec::new(), Revision::Discard).await, 1);
    hinted("discarded").await;
}

/// Whatever happens to the way that wake-ups take, the hint comes in time: for what is new, for what comes again and for
/// what has ended. Nobody has to look in vain.
pub async fn a_lost_wake_up_is_made_up_for(harness: &dyn Harness) {
    let here = Bench::on(harness.open().await);
    let shared = here.store.capabilities().shared;
    let there = if shared { Bench::on(harness.open().await) } else { here.clone() };
    here.open_reader().await;
    let journal = there.journal();
    let mut new = journal.changes(&there.stream);
    let mut again = journal.changes_of(&there.stream, &there.reader);
    let mut ends = journal.ends_of(&there.stream, &there.reader);
    let patience = LOOK_MAX + LOOK_MAX / 2;
    for round in 0..3 {
        // First all is well; then what listens is cut off before the commit, and then right after it.
        if round == 1 {
            harness.lose_wake_ups().await;
        }
        for hint in [&mut new, &mut again, &mut ends] {
            hint.mark_unchanged();
        }
        here.append(Some("key"), &format!("{round}/first")).await;
        here.append(Some("key"), &format!("{round}/second")).await;
        let claims = here.claim(1).await;
        here.check_end(&claims[0], Ended::Done).await;
        if round == 2 {
            harness.lose_wake_ups().await;
        }
        for (hint, what) in [(&mut new, "new"), (&mut ends, "over")] {
            let came = tokio::time::timeout(patience, hint.changed()).await;
            came.unwrap_or_else(|_| panic!("round {round}: no hint of what is {what}")).expect("open");
        }
        let claims = here.claim(1).await;
        let retry = Ended::Retry { at: here.now(), error: "once".into() };
        again.mark_unchanged();
        here.check_end(&claims[0], retry).await;
        if round == 2 {
            harness.lose_wake_ups().await;
        }
        let came = tokio::time::timeout(patience, again.changed()).await;
        came.unwrap_or_else(|_| panic!("round {round}: no hint of what comes again")).expect("open");
        let claims = here.claim(1).await;
        here.check_end(&claims[0], Ended::Done).await;
    }
}

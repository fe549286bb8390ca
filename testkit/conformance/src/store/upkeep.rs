//! What is forgotten, and what is not.

use dozen_core::{Message, Timestamp};
use dozen_store::{Ended, Revision};

use super::bench::{Bench, Harness, LEASE, ids};

/// What is old and finished goes; what a reader still needs stays.
pub async fn a_trim_spares_what_is_needed(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for id in ["1", "2", "3", "4"] {
        bench.append(None, id).await;
    }
    let claims = bench.claim(3).await;
    assert!(bench.end(&claims[0], Ended::Done).await);
    assert!(bench.end(&claims[1], Ended::Parked("poison".into())).await);
    assert!(bench.end(&claims[2], Ended::Done).await);
    bench.clock.advance(LEASE);
    let journal = bench.journal();
    let before = bench.now();
    assert_eq!(journal.trim(&bench.stream, before, None, 100).await.expect("trim"), 1);
    assert_eq!(bench.ids().await, ["2", "3", "4"]);
    journal.revise(&bench.stream, &bench.reader, vec![], 10, Revision::Discard).await.expect("revise");
    assert_eq!(journal.trim(&bench.stream, before, None, 1).await.expect("trim"), 1);
    assert_eq!(journal.trim(&bench.stream, before, None, 100).await.expect("trim"), 1);
    assert_eq!(ids(&bench.claim(10).await), ["4"]);
}

async fn append_bytes(bench: &Bench, id: &str, bytes: usize) {
    let message = Message::new(id, "/test", "test").with_data(None, vec![0; bytes]);
    bench.journal().append(&bench.stream, vec![message]).await.expect("append");
}

async fn bytes(bench: &Bench) -> u64 {
    bench.journal().streams(&bench.stream).await.expect("streams")[0].bytes
}

/// What is beyond the newest bytes goes, however young; what a reader still needs stays.
pub async fn a_trim_by_size_spares_what_is_needed(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for (id, size) in [("1", 100), ("2", 200), ("3", 300), ("4", 400), ("5", 500)] {
        append_bytes(&bench, id, size).await;
    }
    assert_eq!(bytes(&bench).await, 1_500);
    let journal = bench.journal();
    let before = Timestamp(0);
    let trim = async |bytes_max, limit| {
        journal.trim(&bench.stream, before, Some(bytes_max), limit).await.expect("trim")
    };
    assert_eq!(trim(0, 100).await, 0, "nobody has looked at them");
    let claims = bench.claim(4).await;
    assert_eq!(trim(0, 100).await, 0, "they are in somebody's hands");
    for claim in [&claims[0], &claims[1], &claims[3]] {
        bench.check_end(claim, Ended::Done).await;
    }
    assert_eq!(trim(1_500, 100).await, 0, "there is room");
    assert_eq!(journal.trim(&bench.stream, before, None, 100).await.expect("trim"), 0, "size does not count");
    assert_eq!(trim(1_499, 100).await, 1, "one has to go for a byte");
    assert_eq!(bench.ids().await, ["2", "3", "4", "5"]);
    assert_eq!(bytes(&bench).await, 1_400);
    assert_eq!(trim(0, 100).await, 1, "3 is needed");
    assert_eq!(bench.ids().await, ["3", "4", "5"]);
    bench.check_end(&claims[2], Ended::Done).await;
    assert_eq!(trim(0, 1).await, 1, "one at a time");
    assert_eq!(trim(0, 100).await, 1);
    assert_eq!(bench.ids().await, ["5"], "nobody has looked at it");
    assert_eq!((bytes(&bench).await, bench.status().await.fresh), (500, 1));
    bench.check_claims(&["5"]).await;
}

/// Of each key the last entry stays, and everything without a key.
pub async fn compaction_keeps_the_last_of_a_key(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    let journal = bench.journal();
    for (key, id) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("c", "c1"), ("b", "b2")] {
        bench.append(Some(key), id).await;
    }
    bench.append(None, "free").await;
    bench.clock.advance(LEASE);
    let before = bench.now();
    bench.append(Some("a"), "a3").await;
    bench.append(Some("a"), "a4").await;
    let compact = async |before, limit| journal.compact(&bench.stream, before, limit).await.expect("compact");
    assert_eq!(compact(Timestamp(0), 100).await, 0, "all are young");
    assert_eq!(compact(before, 100).await, 3);
    assert_eq!(bench.ids().await, ["c1", "b2", "free", "a3", "a4"], "a3 is young");
    assert_eq!(bytes(&bench).await, 5 * 7, "what is gone is not counted");
    assert_eq!(compact(before, 100).await, 0);
    bench.append(Some("c"), "c2").await;
    bench.clock.advance(LEASE);
    // A few at a time, it comes around to all of them.
    let mut gone = 0;
    for _ in 0..20 {
        gone += compact(bench.now(), 2).await;
    }
    assert_eq!(gone, 2);
    assert_eq!(bench.ids().await, ["b2", "free", "a4", "c2"]);
    // Readers of what is left count what is left.
    bench.open_reader().await;
    assert_eq!(bench.status().await.fresh, 4);
    bench.check_claims(&["b2", "free", "a4", "c2"]).await;
    assert_eq!(journal.compact(&"test/none".into(), before, 10).await.expect("no such stream"), 0);
}

/// Compaction takes nothing that a reader has not looked at or has not ended.
pub async fn compaction_spares_what_is_needed(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for id in ["a1", "b1", "a2", "b2", "a3"] {
        bench.append(Some(&id[..1]), id).await;
    }
    bench.clock.advance(LEASE);
    let journal = bench.journal();
    let compact = async || {
        let mut gone = 0;
        for _ in 0..3 {
            gone += journal.compact(&bench.stream, bench.now(), 100).await.expect("compact");
        }
        gone
    };
    assert_eq!(compact().await, 0, "nobody has looked at them");
    let claims = bench.claim(2).await;
    assert_eq!(ids(&claims), ["a1", "b1"]);
    assert_eq!(compact().await, 0, "they are in somebody's hands");
    bench.check_end(&claims[0], Ended::Parked("poison".into())).await;
    bench.check_end(&claims[1], Ended::Done).await;
    assert_eq!(compact().await, 1, "b1 alone: a1 is a dead letter");
    bench.check_claims(&["b2"]).await;
    assert_eq!(bench.ids().await, ["a1", "a2", "b2", "a3"]);
    bench.revise(Vec::new(), Revision::Discard).await;
    assert_eq!(compact().await, 1, "a1; a2 has yet to be handled");
    let claims = bench.check_claims(&["a2"]).await;
    bench.check_end(&claims[0], Ended::Done).await;
    assert_eq!(compact().await, 1);
    assert_eq!(bench.ids().await, ["b2", "a3"]);
    assert_eq!(bench.status().await.fresh, 0);
}

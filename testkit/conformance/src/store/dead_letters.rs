//! Dead letters: what they hold back, and what is done with them.

use dozen_store::{ClaimState, Ended, Record, Revision};

use super::bench::{Bench, Harness, ids};

/// What follows a dead letter under its key waits; other keys flow. Redriven it comes first, discarded it lets go.
pub async fn a_parked_key_holds_what_follows(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    bench.open_reader().await;
    for (key, id) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
        bench.append(Some(key), id).await;
    }
    let claims = bench.claim(10).await;
    assert_eq!(ids(&claims), ["a1", "b1"]);
    assert!(bench.end(&claims[0], Ended::Parked("poison".into())).await);
    bench.append(Some("a"), "a3").await;
    bench.append(Some("c"), "c1").await;
    assert_eq!(ids(&bench.claim(10).await), ["c1"]);
    let status = &bench.journal().readers("test/").await.expect("readers")[0];
    assert_eq!((status.parked, status.held, status.leased, status.fresh), (1, 2, 2, 0));
    assert_eq!(status.lag(), 4);
    let parked = bench
        .journal()
        .claims(&bench.stream, &bench.reader, ClaimState::Parked, 0, 10)
        .await
        .expect("claims");
    assert_eq!(parked.len(), 1);
    let failure = &parked[0].0.errors[0];
    assert_eq!((failure.error.as_str(), failure.at), ("poison", bench.now()));
    assert!(failure.claimed.is_some());
    assert_eq!(parked[0].1.as_ref().map(|entry| entry.record.id.as_str()), Some("a1"));
    let revise = async |revision| {
        let journal = bench.journal();
        journal.revise(&bench.stream, &bench.reader, Vec::new(), 10, revision).await.expect("revise")
    };
    assert_eq!(revise(Revision::Redrive).await, 1);
    let again = bench.claim(10).await;
    assert_eq!(ids(&again), ["a1"]);
    assert_eq!(again[0].attempts, 1, "a redriven message starts anew");
    assert!(bench.end(&again[0], Ended::Parked("still".into())).await);
    assert_eq!(revise(Revision::Discard).await, 1);
    assert_eq!(ids(&bench.claim(10).await), ["a2"]);
}

/// An edited dead letter has another content for this reader alone: the entry, its id and key, and what others get, stay.
pub async fn an_edit_is_the_readers_own(harness: &dyn Harness) {
    let bench = Bench::on(harness.open().await);
    let other = bench.as_reader("other");
    bench.open_reader().await;
    other.open_reader().await;
    bench.append(Some("key"), "broken").await;
    bench.append(Some("key"), "behind").await;
    let claims = bench.check_claims(&["broken"]).await;
    let position = claims[0].place.position;
    let original = claims[0].record.clone();
    let edit = Record {
        id: "another".into(),
        kind: "mended".into(),
        key: Some("another".into()),
        attributes: r#"{"source":"/mended"}"#.into(),
        data: "mended".into(),
    };
    assert_eq!(
        bench.revise(vec![position], Revision::Edit(edit.clone())).await,
        0,
        "it is no dead letter yet"
    );
    bench.check_end(&claims[0], Ended::Parked("poison".into())).await;
    assert!(!bench.claim_of("broken").await.expect("a claim").edited);
    assert_eq!(bench.revise(vec![position], Revision::Edit(edit.clone())).await, 1);
    bench.check_claims(&[]).await;
    let own = bench.claim_of("broken").await.expect("a claim");
    assert!(own.edited && own.state == ClaimState::Parked && own.attempts == 1);
    let expected = Record { id: original.id.clone(), key: original.key.clone(), ..edit };
    let told = bench.in_state(ClaimState::Parked).await;
    assert_eq!(told[0].1.as_ref().map(|entry| &entry.record), Some(&expected));
    assert_eq!(bench.revise(vec![position], Revision::Redrive).await, 1);
    let again = bench.check_claims(&["broken"]).await;
    assert_eq!(again[0].record, expected);
    bench.check_end(&again[0], Ended::Done).await;
    assert!(bench.claim_of("broken").await.expect("a claim").edited, "the history says so");
    assert!(!bench.claim_of("behind").await.expect("a claim").edited);
    bench.check_claims(&["behind"]).await;
    assert_eq!(bench.entries().await[0].record, original, "the entry changed");
    let theirs = other.check_claims(&["broken"]).await;
    assert_eq!(theirs[0].record, original);
    assert!(!other.claim_of("broken").await.expect("a claim").edited);
}

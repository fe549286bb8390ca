//! A file of an older binary opens and goes on where it was.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{ManualClock, Timestamp};
use dozen_sqlite::{Options, Sqlite};
use dozen_store::{ClaimState, Claimed, Ended, Expect, Place, Revision, Store};
use rusqlite::Connection;

const LEASE: Duration = Duration::from_secs(30);
const STREAM: &str = "queue/mail";
const READER: &str = "workers";

/// What the first schema's binary wrote: seven messages, of which one reader has looked at six. It leased a claim at a time.
const BEFORE: &str = r#"
    create table dozen_meta (name text primary key, value any not null) strict, without rowid;
    insert into dozen_meta values ('schema', 1), ('opened', 3), ('epoch', 1), ('store', 'a1b2c3d4e5f6');
    update dozen_head set position = 7, commits = 9;
    insert into dozen_stream values (1, 'queue/mail', 7, 7);
    insert into dozen_reader values (1, 1, 'workers', 6, 6);
    insert into dozen_entry (place, id, kind, key, at, due, attributes, data)
        select (1 << 44) | value, 'm' || value, 'test', iif(value in (4, 5), 'key', null), 1000 + value, null,
               '{"source":"/test"}', cast('12345' as blob)
        from generate_series(1, 7);
    insert into dozen_claim (place, reader, state, due, attempts, fence, claimed, ended, key, errors) values
        ((1 << 44) | 1, 1, 10, null, 1, (3 << 40) | 1, 2000, 3000, null, null),
        ((1 << 44) | 2, 1, 0, 30002000, 1, (3 << 40) | 2, 2000, null, null, null),
        ((1 << 44) | 3, 1, 1, 5000, 1, (3 << 40) | 3, 2000, null, null, '[{"claimed":2000,"at":3000,"error":"once"}]'),
        ((1 << 44) | 4, 1, 3, null, 5, (3 << 40) | 4, 2000, 3000, 'key', '[{"claimed":2000,"at":3000,"error":"poison"}]'),
        ((1 << 44) | 5, 1, 2, null, 0, 0, null, null, 'key', null),
        ((1 << 44) | 6, 1, 0, 30002000, 1, (3 << 40) | 5, 2000, null, null, null);
    insert into dozen_record values ('things', 'k', (3 << 40) | 6, x'01', null);
"#;

fn old_file(path: &Path) {
    let file = Connection::open(path).unwrap();
    file.pragma_update(None, "journal_mode", "WAL").unwrap();
    file.execute_batch(include_str!("../src/migrations/1.sql")).unwrap();
    // SQLite's own series is an extension that is not always there.
    let series = "(with recursive s(value) as (select 1 union all select value + 1 from s where value < 7) select value from s)";
    file.execute_batch(&BEFORE.replace("generate_series(1, 7)", series)).unwrap();
}

fn ids(claims: &[Claimed]) -> Vec<&str> {
    claims.iter().map(|claim| claim.record.id.as_str()).collect()
}

#[tokio::test]
async fn a_file_of_the_first_schema_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    old_file(&path);
    let clock = Arc::new(ManualClock::new(Timestamp(4_000)));
    let store = Store::new(Sqlite::open(&path, Options::default()).unwrap(), clock.clone());
    let journal = store.journal();
    let (stream, reader): (Arc<str>, Arc<str>) = (STREAM.into(), READER.into());
    let counts = async || {
        let status = journal.readers("").await.unwrap().remove(0);
        [status.leased, status.waiting, status.held, status.parked, status.fresh]
    };
    assert_eq!(counts().await, [2, 1, 1, 1, 1]);
    assert_eq!(journal.streams("").await.unwrap()[0].bytes, 35);
    let claim = async || journal.claim(&stream, &reader, 10, LEASE).await.unwrap().0;
    let settle = async |places: &[Place]| {
        let ends = places.iter().map(|place| (*place, Ended::Done)).collect();
        journal.settle(&stream, &reader, ends).await.unwrap()
    };
    // A worker that was away while the binary was replaced settles what it holds.
    let held = Place { position: 2, fence: (3 << 40) | 2 };
    assert_eq!(settle(&[held, held]).await, [true, false]);
    assert_eq!(ids(&claim().await), ["m7"], "the retry is not due, the other lease has not ended");
    clock.set(Timestamp(5_000));
    let retried = claim().await;
    assert_eq!(ids(&retried), ["m3"]);
    assert_eq!(retried[0].attempts, 2);
    clock.set(Timestamp(30_002_000));
    let again = claim().await;
    assert_eq!(ids(&again), ["m6"]);
    assert_eq!(journal.find("m6").await.unwrap()[0].readers[0].1.as_ref().unwrap().errors.len(), 1);
    let parked = journal.claims(&stream, &reader, ClaimState::Parked, 0, 10).await.unwrap();
    assert_eq!((parked[0].0.attempts, parked[0].0.errors[0].error.as_str()), (5, "poison"));
    assert_eq!(journal.revise(&stream, &reader, vec![4], 1, Revision::Redrive).await.unwrap(), 1);
    let redriven = claim().await;
    assert_eq!(ids(&redriven), ["m4"]);
    assert_eq!(settle(&[redriven[0].place]).await, [true]);
    assert_eq!(ids(&claim().await), ["m5"]);
    assert_eq!(counts().await, [4, 0, 0, 0, 0]);
    // New positions and fences follow the old ones.
    let token = journal.append(&stream, vec![dozen_core::Message::new("m8", "/test", "test")]).await.unwrap();
    assert_eq!((token.store.as_str(), token.position), ("a1b2c3d4e5f6", 8));
    assert!(redriven[0].place.fence > 4 << 40);
    let things = store.table("things");
    let found = things.get("k").await.unwrap().unwrap();
    let next = things.put("k", vec![2], Expect::Version(found.version), None).await.unwrap().unwrap();
    assert!(next > found.version, "{next} after {}", found.version);
}

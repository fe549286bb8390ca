//! What grows, and what does not.

use std::time::Duration;

use dozen_store::{Ended, Start};

use crate::bench::{LEASE, fresh, message, open, server, stranger, stream, worker};

pub(crate) async fn number(client: &tokio_postgres::Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.expect("a number").get(0)
}

/// Everything is handled while somebody holds an old snapshot: no hot table has a row that the server would like to clear up.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_snapshot_meets_no_dead_rows() {
    let url = server().url(&fresh().await);
    let store = open(&url).await;
    let journal = store.journal();
    journal.open(&stream(), &worker(), Start::Earliest).await.expect("open");
    let old = stranger(&url).await;
    old.batch_execute("begin isolation level repeatable read; select count(*) from dozen.entry")
        .await
        .expect("a snapshot");
    for round in 0..50 {
        let messages = (0..20).map(|number| message(&format!("{round}-{number}"))).collect();
        journal.append(&stream(), messages).await.expect("append");
        let (claims, _) = journal.claim(&stream(), &worker(), 20, LEASE).await.expect("claim");
        assert_eq!(claims.len(), 20);
        let ends = claims.iter().map(|claim| (claim.place, Ended::Done)).collect();
        journal.settle(&stream(), &worker(), ends).await.expect("settle");
    }
    let client = stranger(&url).await;
    // The server counts what each session did when the session rests for a moment.
    let changed = "select coalesce(sum(n_tup_upd + n_tup_del), 0)::bigint from pg_stat_user_tables where schemaname = 'dozen'
                   and relname ~ '^(entry|done|batch|claim|reader|stream)'";
    let inserted = "select coalesce(sum(n_tup_ins), 0)::bigint from pg_stat_user_tables where relname ~ '^(entry|done)_'";
    for _ in 0..50 {
        if number(&client, inserted).await >= 2_000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(number(&client, inserted).await, 2_000);
    assert_eq!(number(&client, changed).await, 0);
    old.batch_execute("rollback").await.expect("rollback");
}

/// What is trimmed goes with its segments, and what is needed stays with its own.
#[tokio::test(flavor = "multi_thread")]
async fn segments_are_dropped_and_rows_are_not_deleted() {
    let url = format!("{}?segment=64", server().url(&fresh().await));
    let store = open(&url).await;
    let journal = store.journal();
    journal.open(&stream(), &worker(), Start::Earliest).await.expect("open");
    let other = "topic/other".into();
    let client = stranger(&url[..url.find('?').expect("options")]).await;
    let segments = "select count(*) from pg_inherits where inhparent = 'dozen.entry'::regclass";
    for round in 0..20 {
        let messages = (0..40).map(|number| message(&format!("{round}-{number}"))).collect();
        journal.append(&stream(), messages).await.expect("append");
        let insert = "insert into dozen.outbox (aggregatetype, type, payload) values ('other', 't', '1')";
        client.batch_execute(insert).await.expect("insert");
        client.batch_execute("notify dozen").await.expect("poke");
        crate::bench::wait_for(&journal, &other, round + 1).await;
    }
    assert!(number(&client, segments).await > 12);
    let mut handled = 0;
    while handled < 780 {
        let (claims, _) = journal.claim(&stream(), &worker(), 13, LEASE).await.expect("claim");
        handled += claims.len();
        let ends = claims.iter().map(|claim| (claim.place, Ended::Done)).collect();
        assert!(
            journal.settle(&stream(), &worker(), ends).await.expect("settle").iter().all(|settled| *settled)
        );
    }
    // Nothing goes while the other stream needs its own, of which each segment has some.
    let now = store.clock().now().after(Duration::from_secs(1));
    assert_eq!(journal.trim(&stream(), now, None, 10_000).await.expect("trim"), 780);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = number(&client, segments).await;
    assert_eq!(journal.trim(&other, now, None, 10_000).await.expect("trim"), 20);
    for _ in 0..100 {
        if number(&client, segments).await <= 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(before > 12, "{before} were left though something in them was needed");
    assert!(number(&client, segments).await <= 4);
    let deleted = "select coalesce(sum(n_tup_del), 0)::bigint from pg_stat_user_tables where relname ~ '^(entry|done|batch)_'";
    assert_eq!(number(&client, deleted).await, 0);
    // What is left is handed out, and counting goes on.
    let (rest, _) = journal.claim(&stream(), &worker(), 100, LEASE).await.expect("claim");
    assert_eq!(rest.len(), 20);
    let streams = journal.streams("topic/").await.expect("streams");
    let own = streams.iter().find(|status| status.stream == "topic/orders").expect("it is there");
    assert_eq!((own.appended, own.bytes), (800, 20 * 7));
    journal.append(&other, vec![message("later")]).await.expect("append");
    let streams = journal.streams("topic/other").await.expect("streams");
    assert_eq!((streams[0].appended, streams[0].bytes), (21, 7));
}

/// A worker that takes one message at a time makes a row for each lease; those go with their segments, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_rests_keeps_its_place_when_its_batches_go() {
    let url = format!("{}?segment=32", server().url(&fresh().await));
    let store = open(&url).await;
    let journal = store.journal();
    let (busy, resting) = (worker(), "resting".into());
    for reader in [&busy, &resting] {
        journal.open(&stream(), reader, Start::Earliest).await.expect("open");
    }
    journal
        .append(&stream(), (0..200).map(|number| message(&number.to_string())).collect())
        .await
        .expect("append");
    let take = async |reader: &std::sync::Arc<str>, count: usize| {
        for _ in 0..count {
            let (claims, _) =
                journal.claim(&stream(), reader, 1, Duration::from_millis(1)).await.expect("claim");
            let ends = claims.iter().map(|claim| (claim.place, Ended::Done)).collect();
            journal.settle(&stream(), reader, ends).await.expect("settle");
        }
    };
    take(&resting, 5).await;
    take(&busy, 150).await;
    let client = stranger(&url[..url.find('?').expect("options")]).await;
    let oldest = "select min(substring(c.relname from '[0-9]+$')::bigint) from pg_inherits i join pg_class c on c.oid = inhrelid
                  where inhparent = 'dozen.batch'::regclass";
    for _ in 0..50 {
        client.batch_execute("select dozen.drop_segments()").await.expect("drop");
        if number(&client, oldest).await >= 3 {
            break;
        }
    }
    assert!(number(&client, oldest).await >= 3, "no batch was dropped");
    let status = journal.readers("topic/").await.expect("readers");
    let positions: Vec<u64> = status.iter().map(|status| status.position).collect();
    assert_eq!(positions, [5, 150]);
    let (next, _) = journal.claim(&stream(), &resting, 1, LEASE).await.expect("claim");
    assert_eq!(next[0].record.id, "5");
}

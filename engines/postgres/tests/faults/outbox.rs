//! Transactions that stay open, ours and strangers'.

use std::time::{Duration, Instant};

use dozen_core::Timestamp;
use dozen_store::{Append, Op, Record, params};

use crate::bench::{append, fresh, ids, message, open, server, stranger, stream, wait_for};

/// How long one of them keeps its owner thinking.
const OPEN: Duration = Duration::from_secs(10);
/// Nobody else waits for that.
const SOON: Duration = Duration::from_secs(2);

fn insert(id: &str) -> String {
    format!(
        "insert into dozen.outbox (id, aggregatetype, aggregateid, type, payload, headers)
         values ('{id}', 'orders', 'k', 'order.placed', '{{\"n\": 1}}', '{{\"source\": \"/shop\"}}')"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_commits_late_holds_nobody_up_and_is_not_stepped_over() {
    let url = server().url(&fresh().await);
    let store = open(&url).await;
    let journal = store.journal();
    let slow = stranger(&url).await;
    slow.batch_execute(&format!("begin; {}", insert("late"))).await.expect("insert");
    let began = Instant::now();
    let (quick, other) = (stranger(&url).await, "topic/other".into());
    let mut number = 0;
    while began.elapsed() < OPEN {
        let round = Instant::now();
        number += 1;
        quick.batch_execute(&insert(&format!("stranger-{number}"))).await.expect("insert");
        quick.batch_execute("notify dozen").await.expect("poke");
        append(&journal, &stream(), &format!("own-{number}")).await;
        append(&journal, &other, "other").await;
        let found = wait_for(&journal, &stream(), 2 * number).await;
        assert!(round.elapsed() < SOON, "round {number} took {:?}", round.elapsed());
        assert_eq!(found.len(), 2 * number);
        assert!(!found.contains(&"late".to_owned()));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let position = journal.tail(&stream(), 1).await.expect("tail")[0].position;
    slow.batch_execute("commit").await.expect("commit");
    wait_for(&journal, &stream(), 2 * number + 1).await;
    let late = journal.read(&stream(), position, 10).await.expect("read");
    assert_eq!(late.len(), 1);
    let record = &late[0].record;
    assert_eq!(
        (record.id.as_str(), record.kind.as_str(), record.key.as_deref()),
        ("late", "order.placed", Some("k"))
    );
    assert_eq!(record.data.as_ref(), br#"{"n": 1}"#);
    let found = dozen_core::Message::try_from(record.clone()).expect("a message");
    assert_eq!(found.source, "/shop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_rollback_leaves_nothing_and_two_sequencers_make_one_entry_of_a_row() {
    let url = server().url(&fresh().await);
    let (one, two) = (open(&url).await, open(&url).await);
    let stranger = stranger(&url).await;
    for number in 0..50 {
        let undone = format!("begin; {}; rollback", insert(&format!("undone-{number}")));
        stranger.batch_execute(&undone).await.expect("rollback");
        stranger.batch_execute(&insert(&number.to_string())).await.expect("insert");
        stranger.batch_execute("notify dozen").await.expect("poke");
    }
    let expected: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(wait_for(&one.journal(), &stream(), 50).await, expected);
    assert_eq!(wait_for(&two.journal(), &stream(), 50).await, expected);
}

/// Without anybody's word: found by looking.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_tells_of_is_found_within_the_time_of_a_look() {
    let url = server().url(&fresh().await);
    let store = open(&url).await;
    stranger(&url).await.batch_execute(&insert("silent")).await.expect("insert");
    let began = Instant::now();
    wait_for(&store.journal(), &stream(), 1).await;
    assert!(began.elapsed() < dozen_store::LOOK_MAX + SOON, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_transaction_that_stays_open_holds_nobody_up() {
    let url = server().url(&fresh().await);
    let store = open(&url).await;
    let journal = store.journal();
    let mut tx = store.begin().await.expect("begin");
    tx.execute("create table orders (id integer primary key)", []).await.expect("create");
    tx.execute("insert into orders values (?1)", params![1]).await.expect("insert");
    let records = vec![Record::from(message("late"))];
    let late = Append { stream: stream(), records, at: Timestamp(1), due: None };
    tx.apply(Op::Append(late)).await.expect("append");
    tx.execute(&insert("late-row"), []).await.expect("insert");
    let began = Instant::now();
    let mut number = 0;
    while began.elapsed() < OPEN {
        let round = Instant::now();
        append(&journal, &stream(), &number.to_string()).await;
        number += 1;
        assert_eq!(ids(&journal, &stream()).await.len(), number);
        assert!(round.elapsed() < SOON, "round {number} took {:?}", round.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let token = store.end(tx).await.expect("commit");
    let found = wait_for(&journal, &stream(), number + 2).await;
    assert_eq!(found[number..], ["late", "late-row"]);
    assert_eq!(token.position, journal.tail(&stream(), 2).await.expect("tail")[0].position);
}

/// The rights that docs/postgres.md names, and no others.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_insert_publishes_and_is_told_what_is_wrong() {
    let database = fresh().await;
    let url = server().url(&database);
    let store = open(&url).await;
    let grant = "create role clerk login; grant usage on schema dozen to clerk; grant insert on dozen.outbox to clerk;
                 grant usage on sequence dozen.outbox_seq to clerk";
    stranger(&url).await.batch_execute(grant).await.expect("grant");
    let clerk = stranger(&url.replace("test@", "clerk@")).await;
    clerk.batch_execute(&insert("1")).await.expect("insert");
    let wrong = clerk.batch_execute(&insert("2").replace("'orders'", "'ordres'")).await.expect_err("wrong");
    let said = wrong.as_db_error().expect("the server's");
    assert!(said.message().contains("there is no topic `ordres`"), "{said}");
    assert_eq!(said.code().code(), "23514");
    assert!(clerk.batch_execute("select * from dozen.record").await.is_err());
    stranger(&url).await.batch_execute("notify dozen").await.expect("poke");
    assert_eq!(wait_for(&store.journal(), &stream(), 1).await, ["1"]);
}

/// As a database is that an older binary has made.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_the_door_gets_it_when_it_is_opened() {
    let url = server().url(&fresh().await);
    drop(open(&url).await);
    let stranger = stranger(&url).await;
    let older = "drop trigger admit on dozen.outbox; drop function dozen.admit;
                 delete from dozen.meta where name = 'functions'";
    stranger.batch_execute(older).await.expect("make it older");
    let unchecked = "insert into dozen.outbox (id, aggregatetype, type) values ('1', 'orders', 't')";
    stranger.batch_execute(unchecked).await.expect("insert");
    let store = open(&url).await;
    assert_eq!(wait_for(&store.journal(), &stream(), 1).await, ["1"]);
    let entry = store.journal().read(&stream(), 0, 1).await.expect("read").remove(0);
    assert_eq!(dozen_core::Message::try_from(entry.record).expect("a message").source, "/outbox/orders");
    assert!(stranger.batch_execute(&unchecked.replace("orders", "ordres")).await.is_err());
}

/// More than one run of the sequencer takes.
#[tokio::test(flavor = "multi_thread")]
async fn very_many_rows_of_one_transaction_become_entries_in_parts() {
    let url = server().url(&fresh().await);
    let store = open(&url).await;
    let stranger = stranger(&url).await;
    stranger
        .batch_execute(
            "insert into dozen.outbox (id, aggregatetype, type, payload)
             select n::text, 'orders', 't', '1' from generate_series(1, 25000) n",
        )
        .await
        .expect("insert");
    stranger.batch_execute("notify dozen").await.expect("poke");
    let mut changes = store.journal().changes(&stream());
    loop {
        let streams = store.journal().streams("topic/").await.expect("streams");
        if streams.first().is_some_and(|status| status.appended >= 25_000) {
            assert_eq!(streams[0].appended, 25_000);
            break;
        }
        tokio::time::timeout(Duration::from_secs(10), changes.changed())
            .await
            .expect("a hint")
            .expect("open");
    }
    assert_eq!(store.journal().tail(&stream(), 1).await.expect("tail")[0].record.id, "25000");
}

//! The outbox of programs that have a connection of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Message, SystemClock};
use dozen_sqlite::{Options, Sqlite};
use dozen_store::{Entry, Error, Expect, Start, Store, Tx, params};
use rusqlite::{Connection, TransactionBehavior};

const TOPIC: &str = r#"{"keep":{"secs":60,"nanos":0},"bytes_max":64,"key":"sku"}"#;
const ID: &str = "0192f5a0-1b2c-7d3e-8f40-51627384a5b6";

struct Place {
    folder: tempfile::TempDir,
    store: Store,
}

fn open(path: &Path) -> Store {
    Store::new(Sqlite::open(path, Options::default()).unwrap(), Arc::new(SystemClock))
}

impl Place {
    /// A store with the topic `orders`.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().join("test.db"));
        let declared = store.table("topic").put("orders", TOPIC.into(), Expect::Any, None).await;
        declared.unwrap();
        Self { folder, store }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("test.db")
    }

    fn connect(&self) -> Connection {
        let connection = Connection::open(self.path()).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }

    async fn entries(&self) -> Vec<Entry> {
        self.store.journal().read(&"topic/orders".into(), 0, 10_000).await.unwrap()
    }
}

#[tokio::test]
async fn a_row_of_anothers_transaction_is_an_entry_when_it_commits() {
    let place = Place::new().await;
    let mut connection = place.connect();
    let mut changes = place.store.journal().changes("topic/orders");
    for commits in [false, true] {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        tx.execute_batch("create table orders (id text)").unwrap();
        tx.execute(
            "insert into outbox values (?1, 'orders', 'o-7', 'order.placed', ?2, ?3)",
            [ID, r#"{"total":5}"#, r#"{"subject":"o-7","time":"2026-01-01T00:00:00Z","n":5}"#],
        )
        .unwrap();
        assert!(place.entries().await.is_empty(), "not before the commit");
        if commits {
            changes.mark_unchanged();
            tx.commit().unwrap();
        }
    }
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();
    let found = place.store.journal().find(ID).await.unwrap();
    assert_eq!(found.len(), 1);
    let message = Message::try_from(found[0].entry.record.clone()).unwrap();
    assert_eq!(
        (message.kind.as_str(), message.key(), &message.data[..]),
        ("order.placed", Some("o-7"), &br#"{"total":5}"#[..])
    );
    assert_eq!((message.source.as_str(), message.subject.as_deref()), ("/outbox/orders", Some("o-7")));
    assert_eq!(message.time.unwrap().to_string(), "2026-01-01T00:00:00.000000Z");
    assert!(message.is_json());
    let now = dozen_core::Clock::now(&SystemClock);
    assert!(now.since(found[0].entry.at) < Duration::from_secs(60), "stamped in microseconds, UTC");
}

/// The rest is in the suite of all engines.
#[tokio::test]
async fn text_that_is_no_json_fails_the_insert_whatever_its_conflict_clause() {
    let place = Place::new().await;
    let connection = place.connect();
    for (payload, headers, says) in [
        ("oops", "{}", "payload is no JSON"),
        ("1", "{", "must be one JSON object"),
        ("1", r#"{"source":null}"#, "not what CloudEvents allow"),
    ] {
        let insert = "insert or ignore into outbox (id, aggregatetype, type, payload, headers) values ('1', 'orders', 't', ?1, ?2)";
        let error = connection.execute(insert, [payload, headers]).unwrap_err().to_string();
        assert!(error.contains(says), "{payload} {headers}: {error}");
    }
    assert!(place.entries().await.is_empty());
}

#[tokio::test]
async fn ids_keys_and_payloads_are_read_as_they_are_meant() {
    let place = Place::new().await;
    let connection = place.connect();
    let insert = "insert or replace into outbox values (?1, 'orders', ?2, 't', ?3, ?4)";
    let none = rusqlite::types::Null;
    connection.execute(insert, (ID.to_uppercase(), "", r#"{"sku":"s-1"}"#, none)).unwrap();
    connection.execute(insert, (none, none, &b"{\"sku\":7}"[..], none)).unwrap();
    let bytes: Vec<u8> = (0..16).collect();
    connection.execute(insert, (bytes, 12, &b"\x00\xff"[..], none)).unwrap();
    connection
        .execute(insert, (5, none, "plain", r#"{"datacontenttype":"text/plain","dozenkey":"k"}"#))
        .unwrap();
    connection.execute(insert, ("x", none, none, r#"{"subject":null}"#)).unwrap();
    let entries = place.entries().await;
    let messages: Vec<Message> =
        entries.iter().map(|entry| Message::try_from(entry.record.clone()).unwrap()).collect();
    let ids: Vec<&str> = messages.iter().map(|message| message.id.as_str()).collect();
    assert_eq!(ids[0], ID.to_uppercase());
    assert_eq!((ids[1].len(), &ids[1][14..15]), (36, "4"), "made here, version 4: {}", ids[1]);
    assert_eq!(&ids[2..], ["00010203-0405-0607-0809-0a0b0c0d0e0f", "5", "x"]);
    let keys: Vec<_> = messages.iter().map(Message::key).collect();
    assert_eq!(keys, [Some("s-1"), Some("7"), Some("12"), Some("k"), None]);
    let types: Vec<_> = messages.iter().map(|message| message.content_type.as_deref()).collect();
    assert_eq!(types, [None, None, Some("application/octet-stream"), Some("text/plain"), None]);
    assert_eq!(&messages[2].data[..], b"\x00\xff");
    assert!(messages[4].data.is_empty() && messages[4].subject.is_none());
    let streams = place.store.journal().streams("topic/").await.unwrap();
    assert_eq!((streams.len(), streams[0].appended, streams[0].position), (1, 5, 5));
    assert_eq!(streams[0].bytes, messages.iter().map(|message| message.data.len() as u64).sum::<u64>());
    // It can be read as well.
    let read: (String, String) = connection
        .query_row("select aggregatetype, payload from outbox where id = 'X' collate nocase", [], |row| {
            Ok((row.get(0)?, String::from_utf8(row.get(1)?).unwrap()))
        })
        .unwrap();
    assert_eq!(read, ("orders".to_owned(), String::new()));
}

#[tokio::test]
async fn it_works_in_a_transaction_of_the_store_beside_its_own_appends() {
    let place = Place::new().await;
    let (store, stream) = (&place.store, "topic/orders".into());
    let append = |tx: &mut Tx, id: &str| tx.append(&stream, Message::new(id, "/s", "t"), store.clock().now());
    let insert = "insert into outbox (id, aggregatetype, type) values (?1, 'orders', 't')";
    for round in 0..3 {
        let fails = round == 1;
        let done = store.transaction(async |tx| {
            append(tx, "a");
            tx.execute(insert, params!["b"]).await?;
            append(tx, "c");
            tx.execute(insert, params!["d"]).await?;
            if fails { Err(Error::Invalid("undone".into())) } else { Ok(()) }
        });
        assert_eq!(done.await.is_err(), fails);
    }
    let entries = place.entries().await;
    let ids: String = entries.iter().map(|entry| entry.record.id.as_str()).collect();
    assert_eq!(ids, "abcdabcd");
    assert!(entries.is_sorted_by(|one, other| one.position < other.position));
    let streams = store.journal().streams("topic/").await.unwrap();
    assert_eq!((streams[0].appended, streams[0].position), (8, entries[7].position));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_programs_and_two_writers_take_turns_and_count_right() {
    let place = Place::new().await;
    let other = open(&place.path());
    let reader = "all".into();
    let stream: Arc<str> = "topic/orders".into();
    place.store.journal().open(&stream, &reader, Start::Earliest).await.unwrap();
    let script = "
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
for n in range(50):
    c.execute('begin immediate')
    c.execute('insert into outbox values (?, ?, ?, ?, ?, null)', (f'{sys.argv[2]}-{n}', 'orders', None, 't', '{}'))
    c.execute('commit')
";
    let python = |name: &str| {
        let path = place.path();
        let mut python = Command::new("python3");
        python.args(["-c", script]).arg(path).arg(name).spawn().expect("Debian's python3")
    };
    let mut programs = [python("p"), python("q")];
    for n in 0..50 {
        for store in [&place.store, &other] {
            let id = format!("{n}-{}", std::ptr::from_ref(store).addr());
            store.journal().append(&stream, vec![Message::new(id, "/s", "t")]).await.unwrap();
        }
    }
    for program in &mut programs {
        assert!(tokio::task::block_in_place(|| program.wait()).unwrap().success());
    }
    let entries = place.entries().await;
    let positions: BTreeSet<u64> = entries.iter().map(|entry| entry.position).collect();
    assert_eq!((entries.len(), positions.len()), (200, 200));
    let of = |start: &str| {
        let mine = entries.iter().filter(|entry| entry.record.id.starts_with(start));
        mine.map(|entry| entry.record.id[2..].parse().unwrap()).collect::<Vec<u32>>()
    };
    assert_eq!(of("p-"), (0..50).collect::<Vec<_>>(), "the order of commits is the order of reading");
    assert_eq!(of("q-"), (0..50).collect::<Vec<_>>());
    let streams = place.store.journal().streams("topic/").await.unwrap();
    assert_eq!((streams[0].appended, streams[0].position), (200, *positions.last().unwrap()));
    let readers = other.journal().readers("topic/").await.unwrap();
    assert_eq!(readers[0].fresh, 200);
}

#[tokio::test]
async fn the_view_is_made_once_and_anew_when_its_text_has_changed() {
    let place = Place::new().await;
    let version = |connection: &Connection| -> i64 {
        connection.query_row("pragma schema_version", [], |row| row.get(0)).unwrap()
    };
    let connection = place.connect();
    let made = version(&connection);
    drop(open(&place.path()));
    assert_eq!(version(&connection), made, "the same text writes nothing");
    connection
        .execute_batch("drop view outbox; create view outbox as -- made by dozen\n select 1 as id")
        .unwrap();
    drop(open(&place.path()));
    let connection = place.connect();
    assert_eq!(connection.prepare("select * from outbox").unwrap().column_count(), 6);
    connection.execute("insert into outbox (aggregatetype, type) values ('orders', 't')", []).unwrap();
}

#[tokio::test]
async fn an_outbox_of_the_applications_own_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("create table Outbox (id text)").unwrap();
    drop(open(&path));
    connection.execute("insert into outbox values ('mine')", []).unwrap();
}

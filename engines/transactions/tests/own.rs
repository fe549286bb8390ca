//! Each driver's own transaction, on the file or the database that is the store.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::sync::Arc;

use dozen_core::{Ids, Message, SystemClock};
use dozen_messaging::{Keyring, TopicSettings, declare};
use dozen_outbox::Outbox;
use dozen_store::Store;
use dozen_transactions::{Rusqlite, SqlxPostgres, SqlxSqlite, TokioPostgres};
use sqlx::Connection as _;

/// What seals the topic `secrets`.
fn keys() -> Keyring {
    Keyring::new([("2026", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")]).unwrap()
}

/// Opens a store with the topics `orders` and `secrets`, and its outbox.
async fn open(address: &str) -> (Store, Outbox) {
    let store = dozen_open::open(address).await.unwrap();
    let secrets = TopicSettings { sealed: true, key: Some("order".into()), ..TopicSettings::default() };
    declare(&store, "topic", "orders", &TopicSettings::default()).await.unwrap();
    declare(&store, "topic", "secrets", &secrets).await.unwrap();
    let outbox = Outbox::new(&store, "/orders", Ids::new(Arc::new(SystemClock), 7)).with_keys(Some(keys()));
    (store, outbox)
}

fn event(outbox: &Outbox, text: &str) -> Message {
    outbox.event("order.placed", format!(r#"{{"order":"{text}"}}"#)).with_key(text)
}

/// What was published on `orders`. Waits for `count`, woken by the commits.
async fn published(store: &Store, count: usize) -> Vec<String> {
    published_on(store, "orders", count).await
}

/// What was published, each as its source, type, key and payload.
async fn published_on(store: &Store, topic: &str, count: usize) -> Vec<String> {
    let stream: Arc<str> = format!("topic/{topic}").into();
    let mut changes = store.journal().changes(&stream);
    let read = async {
        loop {
            changes.mark_unchanged();
            let entries = store.journal().read(&stream, 0, 100).await.unwrap();
            if entries.len() >= count {
                return entries;
            }
            changes.changed().await.unwrap();
        }
    };
    let entries = tokio::time::timeout(std::time::Duration::from_secs(20), read).await.unwrap();
    let tell = |record| {
        let mut message = Message::try_from(record).unwrap();
        assert_eq!(Keyring::is_sealed(&message), topic == "secrets");
        keys().unseal(&mut message).unwrap();
        assert!(message.is_json() && message.time.is_some());
        let (source, kind, key) = (&message.source, &message.kind, message.key().unwrap());
        format!("{source} {kind} {key} {}", String::from_utf8_lossy(&message.data))
    };
    entries.into_iter().map(|entry| tell(entry.record)).collect()
}

fn told(text: &str) -> String {
    format!(r#"/orders order.placed {text} {{"order":"{text}"}}"#)
}

#[tokio::test]
async fn rusqlite_and_sqlx_publish_on_one_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (store, outbox) = open(&format!("sqlite:{}", path.display())).await;

    let mut connection = rusqlite::Connection::open(&path).unwrap();
    for (text, commits) in [("lost", false), ("rusqlite", true)] {
        let tx = connection.transaction().unwrap();
        tx.execute_batch("create table orders (id text)").unwrap();
        outbox.publish_on(&mut Rusqlite(&tx), "orders", event(&outbox, text)).await.unwrap();
        if commits {
            tx.commit().unwrap();
        }
    }
    assert_eq!(published(&store, 1).await, [told("rusqlite")]);
    let row = outbox.row("orders", event(&outbox, "at once")).await.unwrap();
    Rusqlite(&connection).insert_now(&row).unwrap();
    // Sealed on the way in, so that the door of a sealed topic takes it; its key stays readable.
    let secret = outbox.event("order.placed", r#"{"order":"secret"}"#);
    outbox.publish_on(&mut Rusqlite(&connection), "secrets", secret).await.unwrap();
    assert_eq!(published_on(&store, "secrets", 1).await, [told("secret")]);

    let mut connection = sqlx::SqliteConnection::connect(&path.display().to_string()).await.unwrap();
    for (text, commits) in [("lost", false), ("sqlx", true)] {
        let mut tx = connection.begin().await.unwrap();
        sqlx::query("insert into orders values ('1')").execute(&mut *tx).await.unwrap();
        outbox.publish_on(&mut SqlxSqlite(&mut tx), "orders", event(&outbox, text)).await.unwrap();
        if commits {
            tx.commit().await.unwrap();
        }
    }
    assert_eq!(published(&store, 3).await, [told("rusqlite"), told("at once"), told("sqlx")]);
}

#[tokio::test]
async fn a_slip_in_a_topics_name_is_told_before_the_insert_and_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let (_store, outbox) = open(&format!("sqlite:{}", path.display())).await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    let mut own = Rusqlite(&connection);
    let error = outbox.publish_on(&mut own, "ordres", event(&outbox, "1")).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no topic `ordres`; did you mean `orders`?");
    let mut row = outbox.row("orders", event(&outbox, "1")).await.unwrap();
    row.aggregatetype = "ordres".into();
    let error = own.insert_now(&row).unwrap_err().to_string();
    assert!(error.contains("names no declared topic"), "{error}");
}

#[tokio::test]
async fn a_transaction_can_be_spawned_where_its_driver_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db").display().to_string();
    let (store, outbox) = open(&format!("sqlite:{path}")).await;
    let task = tokio::spawn(async move {
        let mut connection = sqlx::SqliteConnection::connect(&path).await.unwrap();
        let mut tx = connection.begin().await.unwrap();
        outbox.publish_on(&mut SqlxSqlite(&mut tx), "orders", event(&outbox, "1")).await.unwrap();
        tx.commit().await.unwrap();
    });
    task.await.unwrap();
    assert_eq!(published(&store, 1).await, [told("1")]);
}

#[tokio::test]
async fn tokio_postgres_and_sqlx_publish_on_one_postgres_database() {
    let server = dozen_harness::Postgres::start(&[]).unwrap();
    let address = server.url(&server.fresh_database().unwrap());
    let (store, outbox) = open(&address).await;

    let (mut client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.unwrap();
    let driving = tokio::spawn(connection);
    client.batch_execute("create table orders (id text)").await.unwrap();
    for (text, commits) in [("lost", false), ("tokio-postgres", true)] {
        let tx = client.transaction().await.unwrap();
        tx.execute("insert into orders values ('1')", &[]).await.unwrap();
        outbox.publish_on(&mut TokioPostgres(&tx), "orders", event(&outbox, text)).await.unwrap();
        if commits {
            tx.commit().await.unwrap();
        }
    }
    assert_eq!(published(&store, 1).await, [told("tokio-postgres")]);
    let tx = client.transaction().await.unwrap();
    let secret = outbox.event("order.placed", r#"{"order":"secret"}"#);
    outbox.publish_on(&mut TokioPostgres(&tx), "secrets", secret).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(published_on(&store, "secrets", 1).await, [told("secret")]);
    // And a driver shows what the door says to who comes without the library.
    let stranger = "insert into dozen.outbox (aggregatetype, type) values ('ordres', 'order.placed')";
    let error = client.execute(stranger, &[]).await.unwrap_err();
    let error = error.as_db_error().unwrap().message();
    assert!(error.contains("names no declared topic") && error.contains("`ordres`"), "{error}");

    let mut connection = sqlx::PgConnection::connect(&address).await.unwrap();
    for (text, commits) in [("lost", false), ("sqlx", true)] {
        let mut tx = connection.begin().await.unwrap();
        sqlx::query("insert into orders values ('2')").execute(&mut *tx).await.unwrap();
        outbox.publish_on(&mut SqlxPostgres(&mut tx), "orders", event(&outbox, text)).await.unwrap();
        if commits {
            tx.commit().await.unwrap();
        }
    }
    assert_eq!(published(&store, 2).await, [told("tokio-postgres"), told("sqlx")]);
    drop(client);
    let _ = driving.await;
}

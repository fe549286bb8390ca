//! The outbox: a table that any program inserts into, with plain SQL and in a transaction of its own.

use std::sync::Arc;
use std::time::Duration;

use dozen_core::Message;
use dozen_store::{Error, Expect, Store};

use super::bench::{Bench, Harness};

/// A topic that takes little, and knows where its keys stand.
const ORDERS: &str = r#"{"bytes_max":64,"key":"sku"}"#;
const SECRETS: &str = r#"{"bytes_max":64,"key":null,"sealed":true}"#;
const UUID: &str = "0192f5a0-1b2c-7d3e-8f40-51627384a5b6";

/// A store with those topics, and how its outbox is called.
struct Shop {
    store: Store,
    outbox: &'static str,
    /// Whether an error can name what it is about. In SQLite a trigger's error is a fixed text.
    names: bool,
}

impl Shop {
    /// On this engine, if it has SQL.
    async fn on(harness: &dyn Harness) -> Option<Self> {
        let engine = harness.open().await;
        let capabilities = engine.capabilities();
        if !capabilities.sql {
            println!("skipped: the {} engine has no SQL", capabilities.engine);
            return None;
        }
        let names = capabilities.engine == "postgres";
        let outbox = if names { "dozen.outbox" } else { "outbox" };
        let store = Bench::on(engine).store;
        for (topic, settings) in [("orders", ORDERS), ("secrets", SECRETS)] {
            store.table("topic").put(topic, settings.into(), Expect::Any, None).await.expect("declare");
        }
        Some(Self { store, outbox, names })
    }

    /// Inserts rows of these columns in one transaction, each its values as SQL.
    async fn insert(&self, columns: &str, rows: &[&str]) -> Result<(), Error> {
        let inserted = self.store.transaction(async |tx| {
            for row in rows {
                tx.execute(&format!("insert into {} ({columns}) values ({row})", self.outbox), []).await?;
            }
            Ok::<_, Error>(())
        });
        inserted.await.map(drop)
    }

    /// What was published on a topic, once there is so much.
    async fn published(&self, topic: &str, count: usize) -> Vec<Message> {
        let stream: Arc<str> = format!("topic/{topic}").into();
        let mut changes = self.store.journal().changes(&stream);
        let published = async {
            loop {
                let entries = self.store.journal().read(&stream, 0, 100).await.expect("read");
                if entries.len() >= count {
                    return entries;
                }
                changes.changed().await.expect("open");
            }
        };
        let entries = tokio::time::timeout(Duration::from_secs(20), published).await.expect("in time");
        entries.into_iter().map(|entry| Message::try_from(entry.record).expect("a message")).collect()
    }
}

const ALL: &str = "id, aggregatetype, aggregateid, type, payload, headers";

/// What a topic does not take fails the insert, which says why and what to do.
pub async fn an_outbox_refuses_what_its_topic_does_not_take(harness: &dyn Harness) {
    let Some(shop) = Shop::on(harness).await else { return };
    let (most, more) = (format!("\"{}\"", "x".repeat(62)), format!("\"{}\"", "x".repeat(63)));
    for (row, says, names) in [
        (
            "'1', 'ordres', null, 't', '1', null",
            "aggregatetype names no declared topic; correct it, or",
            "`ordres`",
        ),
        ("'1', null, null, 't', '1', null", "aggregatetype names no declared topic; correct it, or", ""),
        ("'1', 'orders', null, null, '1', null", "type is missing; it says what happened", ""),
        ("'1', 'orders', null, '', '1', null", "type is missing; it says what happened", ""),
        ("'', 'orders', null, 't', '1', null", "id must be text, or a UUID, or null", ""),
        ("'1', 'orders', null, 't', '1', '[]'", "headers must be one JSON object", ""),
        (
            "'1', 'orders', null, 't', '1', '{\"X-Trace\":\"1\"}'",
            "a name in headers is no attribute",
            "`X-Trace`",
        ),
        (
            "'1', 'orders', null, 't', '1', '{\"a\":{}}'",
            "a value in headers is not what CloudEvents allow",
            "`a`",
        ),
        ("'1', 'orders', null, 't', '1', '{\"source\":\"\"}'", "a value in headers is not what", "`source`"),
        ("'1', 'orders', null, 't', '1', '{\"subject\":5}'", "a value in headers is not what", "`subject`"),
        ("'1', 'orders', null, 't', '1', '{\"time\":\"noon\"}'", "RFC 3339 for time", "`time`"),
        (
            "'1', 'orders', null, 't', '1', '{\"time\":\"2026-02-31T00:00:00Z\"}'",
            "RFC 3339 for time",
            "`time`",
        ),
        (
            &format!("'1', 'orders', null, 't', '{more}', null"),
            "payload is larger than the topic takes; raise bytes-max of the topic, or send a reference",
            "topic `orders` takes 64 bytes, and it has 65",
        ),
        (
            "'1', 'secrets', null, 't', '1', null",
            "the topic is sealed, and SQL has no keys; publish with",
            "`secrets`",
        ),
    ] {
        let error = shop.insert(ALL, &[row]).await.expect_err(row).to_string();
        assert!(error.contains(says), "{row}: {error}");
        assert!(!shop.names || error.contains(names), "{row}: {error}");
    }
    shop.insert(ALL, &[&format!("'last', 'orders', null, 't', '{most}', null")]).await.expect("it just fits");
    let published = shop.published("orders", 1).await;
    assert_eq!(published.len(), 1, "of what was refused nothing is there");
    assert_eq!(published[0].id, "last");
}

/// What a row leaves to be said is said for it: an id, the source, the moment, and the key that the topic knows to find.
pub async fn an_outbox_completes_what_is_inserted(harness: &dyn Harness) {
    let Some(shop) = Shop::on(harness).await else { return };
    let rows: [(&str, &str, Option<&str>); 11] = [
        ("'1', 'orders', null, 't', '{\"sku\":\"s-1\"}', null", "/outbox/orders", Some("s-1")),
        ("'2', 'orders', '', 't', '{\"sku\":7}', '{\"source\":\"/shop\"}'", "/shop", Some("7")),
        (
            "'3', 'orders', 'own', 't', '{\"sku\":\"s-1\"}', '{\"dozenkey\":\"k\"}'",
            "/outbox/orders",
            Some("own"),
        ),
        (
            "'4', 'orders', null, 't', '{\"sku\":\"s-1\"}', '{\"dozenkey\":\"k\"}'",
            "/outbox/orders",
            Some("k"),
        ),
        ("'5', 'orders', null, 't', '{\"sku\":\"s-1\"}', '{\"sku\":\"h\"}'", "/outbox/orders", Some("h")),
        (
            "'6', 'orders', null, 't', '{\"sku\":\"s-1\"}', '{\"datacontenttype\":\"text/plain\"}'",
            "/outbox/orders",
            None,
        ),
        (
            "'7', 'orders', null, 't', '{\"sku\":\"s-1\"}', '{\"datacontenttype\":\"application/a+json; b=c\"}'",
            "/outbox/orders",
            Some("s-1"),
        ),
        ("'8', 'orders', null, 't', null, null", "/outbox/orders", None),
        ("'9', 'orders', null, 't', '{\"sku\":true}', null", "/outbox/orders", None),
        ("null, 'orders', null, 't', '[\"sku\"]', null", "/outbox/orders", None),
        (&format!("'{UUID}', 'orders', null, 't', '\"sku\"', null"), "/outbox/orders", None),
    ];
    shop.insert(ALL, &rows.map(|(row, ..)| row)).await.expect("insert");
    let published = shop.published("orders", rows.len()).await;
    for (message, (row, source, key)) in published.iter().zip(rows) {
        assert_eq!((message.source.as_str(), message.key()), (source, key), "{row}");
        assert!(message.time.is_some() && !message.extensions.contains_key("specversion"), "{row}");
    }
    assert!(published[7].data.is_empty() && published[7].content_type.is_none());
    let made = &published[9].id;
    assert_eq!((made.len(), &made[14..15]), (36, "4"), "a UUID of version 4: {made}");
    assert_eq!(shop.store.journal().find(UUID).await.expect("find").len(), 1);

    // The columns of Debezium's router are enough, and attributes stay what they are.
    shop.insert("id, aggregatetype, aggregateid, type, payload", &["'d', 'orders', 'k', 't', '{}'"])
        .await
        .expect("insert");
    let headers =
        r#"{"subject":"o-7","time":"2026-01-01T00:00:00Z","n":5,"dataschema":null,"specversion":"1.0"}"#;
    shop.insert(ALL, &[&format!("'e', 'orders', 'k', 't', '{{}}', '{headers}'")]).await.expect("insert");
    let published = shop.published("orders", rows.len() + 2).await;
    let [.., debezium, full] = published.as_slice() else { return };
    assert_eq!((debezium.id.as_str(), debezium.kind.as_str(), debezium.key()), ("d", "t", Some("k")));
    assert!(debezium.is_json() && debezium.data == "{}");
    assert_eq!(full.time.map(|time| time.to_string()).as_deref(), Some("2026-01-01T00:00:00.000000Z"));
    assert_eq!((full.subject.as_deref(), full.data_schema.as_deref()), (Some("o-7"), None));
    assert_eq!(full.extensions.get("n"), Some(&dozen_core::Attribute::Integer(5)));

    // What was sealed elsewhere passes.
    shop.insert(ALL, &["'s', 'secrets', null, 't', '1', '{\"dozensealed\":\"k\"}'"]).await.expect("insert");
    assert_eq!(shop.published("secrets", 1).await[0].extension("dozensealed"), Some("k"));
}

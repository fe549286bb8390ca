//! `dozen queue` and `dozen topic` on a store with messages in every state.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Ids, Message, SystemClock};
use dozen_messaging::{Publisher as _, Settlement, Start, Subscriber as _, SubscriptionOptions};
use dozen_pubsub::{TopicOptions, Topics};
use dozen_queue::Queue;
use dozen_sqlite::{Options, Sqlite};
use dozen_store::Store;

const FILE: &str = "app: a\nstore: sqlite:a.db\nqueues: { invoices: , empty: }\ntopics: { orders: }\n";

fn dozen(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_dozen")).args(arguments).current_dir(folder).output().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    text.push_str(&String::from_utf8(output.stderr).unwrap());
    (output.status.code().unwrap(), text)
}

fn message(id: &str, data: &str) -> Message {
    Message::new(id, "/test", "test.made").with_data(Some("text/plain"), data.to_owned())
}

/// One dead letter, one message in a worker's hands, one new; one event that a subscription has not read.
async fn fill(folder: &Path) {
    let engine = Sqlite::open(&folder.join("a.db"), Options::default()).unwrap();
    let store = Store::new(engine, Arc::new(SystemClock));
    let ids = Ids::new(Arc::new(SystemClock), 1);
    let queue = Queue::open(&store, "invoices", ids).await.unwrap();
    let subscriber = queue.subscriber();
    for (id, data) in [("dead-1", "bad\x1b[31m"), ("busy-1", "now"), ("new-1", "next")] {
        queue.send(message(id, data)).await.unwrap();
    }
    let taken = subscriber.receive(2, Duration::from_secs(5)).await.unwrap();
    assert_eq!(taken.len(), 2);
    let given_up = Settlement::Park { error: "no such customer".into() };
    assert_eq!(subscriber.settle(vec![(taken[0].lease, given_up)]).await.unwrap(), [true]);

    let topics = Topics::new(&store, [("orders".to_owned(), TopicOptions::default())].into());
    let options = SubscriptionOptions { start: Start::Earliest, ..SubscriptionOptions::default() };
    topics.subscription("orders", "mail", options).await.unwrap();
    topics.publish("orders", vec![message("event-1", "placed")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_and_topics_are_listed_peeked_redriven_and_purged() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("dozen.yaml"), FILE).unwrap();

    let (code, told) = dozen(here, &["queue", "list"]);
    assert!(code == 1 && told.contains("a.db yet; `dozen up` makes it"), "{told}");
    assert!(!here.join("a.db").exists(), "looking made a store");

    fill(here).await;
    let (code, told) = dozen(here, &["queue", "list"]);
    assert_eq!(code, 0, "{told}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<_> = told.lines().map(words).collect();
    assert_eq!(lines[0], ["QUEUE", "NEW", "WORKING", "WAITING", "HELD", "DEAD", "OLDEST"]);
    assert_eq!(lines[1][..6], ["invoices", "1", "1", "0", "0", "1"], "{told}");
    assert_eq!(lines[2][..6], ["empty", "0", "0", "0", "0", "0"], "{told}");

    let (_, told) = dozen(here, &["queue", "peek", "invoices"]);
    assert!(told.contains("working") && told.contains("busy-1") && told.contains("new-1"), "{told}");
    assert!(!told.contains("dead-1"), "{told}");
    let (_, told) = dozen(here, &["queue", "peek", "invoices", "--dead"]);
    assert!(told.contains("dead-1  test.made  1 attempts, given up "), "{told}");
    assert!(told.contains("no such customer") && told.contains("bad\\x1b[31m"), "{told}");

    let (code, told) = dozen(here, &["queue", "peek", "invoice"]);
    assert!(code == 1 && told.contains("there is no queue `invoice`; did you mean `invoices`?"), "{told}");
    assert!(told.contains("see docs/errors/unknown-name.md"), "{told}");
    // Each is named once, although the file declares it and the store has it.
    let (_, told) = dozen(here, &["queue", "peek", "customers"]);
    assert!(told.contains("there is no queue `customers`; there are: empty, invoices\n"), "{told}");

    let (code, told) = dozen(here, &["queue", "redrive", "invoices", "--id", "nobody"]);
    assert!(code == 2 && told.contains("queue `invoices` has no message `nobody`"), "{told}");
    assert_eq!(
        dozen(here, &["queue", "redrive", "invoices", "--id", "dead-1"]),
        (0, "1 handed out again\n".into())
    );
    assert_eq!(dozen(here, &["queue", "purge", "invoices", "--dead"]), (0, "0 forgotten\n".into()));
    assert_eq!(dozen(here, &["queue", "purge", "invoices"]).0, 2);

    let (_, told) = dozen(here, &["topic", "list"]);
    assert_eq!(words(told.lines().nth(1).unwrap())[..5], ["orders", "1", "mail", "1", "0"], "{told}");
    let (_, told) = dozen(here, &["topic", "journey", "dead-1"]);
    assert!(told.contains("queue invoices") && told.contains("waiting for its next attempt"), "{told}");
    assert_eq!(dozen(here, &["topic", "journey", "nobody"]).0, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_followed_as_it_grows() {
    use std::io::BufRead as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dozen.yaml"), FILE).unwrap();
    fill(folder.path()).await;
    let mut follower = Command::new(env!("CARGO_BIN_EXE_dozen"))
        .args(["topic", "follow", "orders", "-n", "5"])
        .current_dir(folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["id"], "event-1");
    fill(folder.path()).await;
    assert_eq!(next()["id"], "event-1");
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[test]
fn a_request_is_explained_without_being_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = "app: a\nservices: { orders: { run: x, port: 7001, timeout: 2s } }\n\
                gateway: { routes: { 'GET /orders/{id}': 'orders:/o/{id}', 'POST /orders': orders } }\n";
    std::fs::write(folder.path().join("dozen.yaml"), file).unwrap();
    let (code, told) = dozen(folder.path(), &["explain", "get", "http://shop.example/orders/7?a=1"]);
    assert_eq!(code, 0, "{told}");
    for part in [
        "GET /orders/7  (host shop.example)",
        "orders /o/7?a=1",
        "127.0.0.1:7001",
        "timeout   2s",
        "POST /orders",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let (_, told) = dozen(folder.path(), &["explain", "dozen.yaml", "GET", "/orders", "-H", "x-a: b"]);
    assert!(told.contains("405, by the gateway itself"), "{told}");
    let (_, json) = dozen(folder.path(), &["explain", "GET", "/none", "--json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["status"], 404);
    assert_eq!(dozen(folder.path(), &["explain", "GET"]).0, 2);
    assert_eq!(dozen(folder.path(), &["explain", "GET", "/", "-H", "nonsense"]).0, 2);
}

//! The verbs of `dozen queue`, `topic` and `outbox` on a store that nothing else runs on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Ids, SystemClock};
use dozen_messaging::{Settlement, Subscriber as _, SubscriptionOptions};
use dozen_pubsub::{TopicOptions, Topics};
use dozen_queue::Queue;
use dozen_sqlite::{Options, Sqlite};
use dozen_store::Store;

const FILE: &str = "app: a\nstore: sqlite:a.db\nkeys: { k: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= }\n\
    queues: { invoices: { priorities: 3 }, secret: { sealed: true } }\n\
    topics: { orders: { schema: { required: [id] } }, orders.eu: , mails: }\n";

/// What a command wrote to stdout, and to stderr; it must end with this code.
fn dozen(folder: &Path, code: i32, arguments: &[&str], input: &str) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dozen"));
    command.args(arguments).current_dir(folder).env("USER", "tester");
    let mut process =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that does not read its input may be gone by now.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let output = process.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, error) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {out}{error}");
    (out, error)
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    dozen(folder, 0, arguments, "").0
}

fn open(folder: &Path) -> Store {
    Store::new(Sqlite::open(&folder.join("a.db"), Options::default()).unwrap(), Arc::new(SystemClock))
}

/// A folder with a file, and a store in which its topics are declared as `dozen up` does.
async fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dozen.yaml"), FILE).unwrap();
    let schema = Some(serde_json::json!({ "required": ["id"] }));
    let settings = [
        ("orders", TopicOptions { schema, ..TopicOptions::default() }),
        ("orders.eu", TopicOptions::default()),
        ("mails", TopicOptions::default()),
    ];
    let topics = settings.map(|(name, settings)| (name.to_owned(), settings));
    Topics::new(&open(folder.path()), topics.into()).declare().await.unwrap();
    folder
}

async fn park(subscriber: &impl dozen_messaging::Subscriber, count: usize, error: &str) {
    let taken = subscriber.receive(count, Duration::from_secs(5)).await.unwrap();
    assert_eq!(taken.len(), count);
    let ends = taken.iter().map(|one| (one.lease, Settlement::Park { error: error.into() })).collect();
    assert!(subscriber.settle(ends).await.unwrap().iter().all(|good| *good));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q_m7_a_message_is_sent_watched_corrected_and_redriven_from_the_command_line() {
    let folder = place().await;
    let here = folder.path();
    let (id, _) =
        dozen(here, 0, &["queue", "send", "invoices", "-", "--type", "due", "--key", "k"], "{\"n\":1}");
    let id = id.trim();
    let urgent = done(
        here,
        &["queue", "send", "invoices", "{}", "--priority", "2", "--id", "urgent", "--unique", "u"],
    );
    assert_eq!(urgent, "urgent\n");
    let (of, said) = dozen(here, 0, &["queue", "send", "invoices", "{}", "--unique", "u"], "");
    assert_eq!(of, "urgent\n");
    assert!(said.contains("nothing was sent"), "{said}");
    let (_, said) = dozen(here, 2, &["queue", "send", "invoices", "not json"], "");
    assert!(said.contains("the payload is not JSON"), "{said}");
    let (_, said) = dozen(here, 1, &["queue", "send", "invoices", "{}", "--priority", "3"], "");
    assert!(said.contains("they count from 0"), "{said}");
    let peeked = done(here, &["queue", "peek", "invoices"]);
    let words = |line: usize| {
        peeked.lines().nth(line).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words(0)[..4], ["PRIORITY", "POSITION", "STATE", "ATTEMPTS"]);
    assert_eq!((words(1)[0].as_str(), words(1)[4].as_str()), ("2", "urgent"), "the urgent one comes first");
    let status = done(here, &["queue", "status", id]);
    assert!(status.contains("queue     invoices") && status.contains("not handed out yet"), "{status}");
    dozen(here, 1, &["queue", "status", id, "--wait", "100ms"], "");

    let store = open(here);
    let queue = Queue::open(&store, "invoices", Ids::new(Arc::new(SystemClock), 1)).await.unwrap();
    let queue = Queue::open_with(
        &store,
        "invoices",
        dozen_queue::Options { priorities: 3, ..queue.options().clone() },
        Ids::new(Arc::new(SystemClock), 1),
    );
    let queue = queue.await.unwrap();
    park(&queue.subscriber(), 2, "the printer is on fire").await;
    assert_eq!(
        done(here, &["queue", "redrive", "invoices", "--error", "fire", "--dry-run"]),
        "2 would be handed out again\n"
    );
    assert_eq!(done(here, &["queue", "redrive", "invoices", "--error", "water"]), "0 handed out again\n");
    assert_eq!(done(here, &["queue", "redrive", "invoices", "--before", "1h"]), "0 handed out again\n");
    let (_, said) = dozen(here, 2, &["queue", "edit", "invoices", id], "");
    assert!(said.contains("name what shall change"), "{said}");
    done(here, &["queue", "edit", "invoices", id, "{\"n\":2}"]);
    let dead = done(here, &["queue", "peek", "invoices", "--dead", "--id", id]);
    assert!(dead.contains("{\"n\":2}") && dead.contains(", corrected") && dead.contains("on fire"), "{dead}");
    assert_eq!(
        done(here, &["queue", "redrive", "invoices", "--key", "k", "--rate", "100"]),
        "1 handed out again\n"
    );
    assert_eq!(done(here, &["queue", "purge", "invoices", "--dead"]), "1 forgotten\n");
    let taken = queue.subscriber().receive(5, Duration::from_secs(5)).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(&taken[0].message.data[..], br#"{"n":2}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_waits_for_the_reply_and_a_paused_queue_gives_nothing() {
    let folder = place().await;
    let here = folder.path();
    done(here, &["queue", "pause", "invoices"]);
    assert!(done(here, &["queue", "list"]).contains("paused"));
    done(here, &["queue", "resume", "invoices"]);
    assert!(!done(here, &["queue", "list"]).contains("paused"));

    let store = open(here);
    let options = dozen_queue::Options { priorities: 3, ..dozen_queue::Options::default() };
    let ids = Ids::new(Arc::new(SystemClock), 1);
    let queue = Queue::open_with(&store, "invoices", options, ids).await.unwrap();
    let worker = tokio::spawn(async move {
        let subscriber = queue.subscriber();
        let taken = subscriber.receive(1, Duration::from_secs(30)).await.unwrap().remove(0);
        let done = store
            .transaction(async |tx| {
                queue.reply_in(tx, &taken, "\"thanks\"");
                subscriber.settle_in(tx, taken.lease, Settlement::Done).await
            })
            .await;
        assert!(done.unwrap().value);
    });
    let path = here.to_owned();
    let sent = tokio::task::spawn_blocking(move || {
        dozen(&path, 0, &["queue", "send", "invoices", "{}", "--wait", "30s"], "")
    });
    assert_eq!(sent.await.unwrap().0, "\"thanks\"\n");
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sealed_is_read_with_the_keys_of_the_file_and_not_without() {
    let folder = place().await;
    let here = folder.path();
    done(here, &["queue", "send", "secret", "{\"card\":4711}", "--id", "s1"]);
    assert!(!done(here, &["queue", "peek", "secret"]).contains("4711"));
    let store = open(here);
    let queue = Queue::open(&store, "secret", Ids::new(Arc::new(SystemClock), 1)).await.unwrap();
    // Without the keys it cannot be handled; the dead letter is opened for who has them.
    let taken = queue.subscriber().receive(1, Duration::from_secs(1)).await.unwrap();
    if let Some(one) = taken.first() {
        let park = Settlement::Park { error: "sealed".into() };
        queue.subscriber().settle(vec![(one.lease, park)]).await.unwrap();
    }
    let dead = done(here, &["queue", "peek", "secret", "--dead"]);
    assert!(dead.contains("{\"card\":4711}"), "{dead}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ps_m5_subscriptions_are_made_moved_paused_and_ended_from_the_command_line() {
    let folder = place().await;
    let here = folder.path();
    done(here, &["topic", "subscribe", "orders", "mail"]);
    done(
        here,
        &["topic", "subscribe", "orders.*", "audit", "--start", "earliest", "--filter", "data.total > 100"],
    );
    let (_, said) = dozen(here, 1, &["topic", "subscribe", "orders", "bad", "--filter", "data.total >"], "");
    assert!(said.contains("the filter of subscription `bad`") && said.contains("line 1"), "{said}");
    let (_, said) = dozen(here, 1, &["topic", "publish", "orders", "{}"], "");
    assert!(said.contains("id"), "the schema wants an id: {said}");
    let (_, said) = dozen(here, 1, &["topic", "publish", "order", "{}"], "");
    assert!(said.contains("did you mean") && said.contains("orders"), "{said}");
    for n in ["1", "2"] {
        let (id, _) =
            dozen(here, 0, &["topic", "publish", "orders", "-", "--id", n], &format!("{{\"id\":{n}}}"));
        assert_eq!(id.trim(), n);
    }
    let list = done(here, &["topic", "list"]);
    let row = |name: &str| -> Vec<String> {
        let line = list.lines().find(|line| line.contains(&format!(" {name} "))).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("mail")[..5], ["orders", "2", "mail", "2", "0"], "{list}");
    assert!(list.contains("if data.total > 100"), "{list}");

    let store = open(here);
    let mail =
        Topics::open(&store).subscription("orders", "mail", SubscriptionOptions::default()).await.unwrap();
    park(&mail, 2, "no such address").await;
    let dead = done(here, &["topic", "dead", "orders", "mail"]);
    assert!(dead.contains("no such address") && dead.contains("{\"id\":2}"), "{dead}");
    let (_, said) = dozen(here, 1, &["topic", "edit", "orders", "mail", "1", "{}"], "");
    assert!(said.contains("edit a dead letter"), "the schema holds for corrections too: {said}");
    done(here, &["topic", "edit", "orders", "mail", "1", "{\"id\":17}"]);
    assert_eq!(done(here, &["topic", "redrive", "orders", "mail", "--id", "1"]), "1 handed out again\n");
    let taken = mail.receive(5, Duration::from_secs(5)).await.unwrap();
    assert_eq!((taken.len(), &taken[0].message.data[..]), (1, &br#"{"id":17}"#[..]));
    assert_eq!(done(here, &["topic", "purge", "orders", "mail", "--dead"]), "1 forgotten\n");
    done(here, &["topic", "replay", "orders", "mail", "--from", "earliest"]);
    assert_eq!(mail.receive(5, Duration::from_secs(5)).await.unwrap().len(), 2);
    done(here, &["topic", "pause", "orders", "mail"]);
    assert!(done(here, &["topic", "list"]).contains("paused"));
    done(here, &["topic", "resume", "orders", "mail"]);
    done(here, &["topic", "unsubscribe", "orders", "mail"]);
    let (_, said) = dozen(here, 2, &["topic", "unsubscribe", "orders", "mail"], "");
    assert!(said.contains("there is no subscription `mail`"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ob_b1_history_is_sent_again_and_the_audit_says_by_whom_and_why() {
    let folder = place().await;
    let here = folder.path();
    for (id, key) in [("1", "a"), ("2", "b"), ("3", "a")] {
        done(here, &["topic", "publish", "mails", "{}", "--id", id, "--key", key, "--type", "mail.sent"]);
    }
    let dry = ["outbox", "replay", "mails", "--key", "a", "--dry-run"];
    assert_eq!(done(here, &dry), "2 would be sent again\n");
    dozen(here, 2, &["outbox", "replay", "mails"], "");
    let told = done(
        here,
        &["outbox", "replay", "mails", "--key", "a", "--since", "1h", "--reason", "they were lost"],
    );
    assert!(told.starts_with("2 sent again; the audit calls it "), "{told}");
    let audit = done(here, &["outbox", "audit"]);
    assert!(
        audit.contains("tester") && audit.contains("they were lost") && audit.contains("finished"),
        "{audit}"
    );
    let list = done(here, &["outbox", "list"]);
    assert_eq!(list.lines().count(), 1 + 5, "{list}");
}

#[tokio::test]
async fn every_verb_has_a_help_with_its_arguments_and_the_nouns_teach_by_example() {
    let folder = place().await;
    for noun in ["queue", "topic", "outbox", "translator"] {
        let help = done(folder.path(), &[noun, "--help"]);
        assert!(help.contains("Examples:") && help.contains(&format!("dozen {noun} ")), "{help}");
        let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in verbs.take_while(|line| line.starts_with("  ")) {
            let verb = line.split_whitespace().next().unwrap();
            if verb != "help" && !line.starts_with("   ") {
                assert!(done(folder.path(), &[noun, verb, "--help"]).contains("Usage:"), "{verb}");
            }
        }
        for shell in ["bash", "zsh", "fish"] {
            assert!(done(folder.path(), &["completion", shell]).contains(noun));
        }
    }
}

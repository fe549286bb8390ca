//! What `/metrics` says of an application that works: on the console, and on a sidecar.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dozen_core::{Ids, Message, SystemClock};
use dozen_harness::{Program, free_port, get};
use dozen_messaging::{Publisher as _, Settlement, Subscriber as _};
use dozen_pubsub::Topics;
use dozen_queue::Queue;
use dozen_sqlite::{Options, Sqlite};
use dozen_store::Store;

const PATIENCE: Duration = Duration::from_secs(30);

/// Three messages of a queue, one of them a dead letter that holds another up; two events.
async fn fill(folder: &Path) {
    let engine = Sqlite::open(&folder.join("a.db"), Options::default()).unwrap();
    let store = Store::new(engine, Arc::new(SystemClock));
    let queue = Queue::open(&store, "invoices", Ids::new(Arc::new(SystemClock), 1)).await.unwrap();
    let message = |id: &str, key: &str| Message::new(id, "/t", "t").with_key(key).with_data(None, "{}");
    for (id, key) in [("1", "a"), ("2", "a"), ("3", "b")] {
        queue.send(message(id, key)).await.unwrap();
    }
    let subscriber = queue.subscriber();
    let taken = subscriber.receive(1, PATIENCE).await.unwrap();
    let park = Settlement::Park { error: "no".into() };
    assert_eq!(subscriber.settle(vec![(taken[0].lease, park)]).await.unwrap(), [true]);
    Topics::open(&store).publish("orders", vec![message("4", "a"), message("5", "b")]).await.unwrap();
}

/// The page as series and values, after it was held against the format.
fn series(page: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let mut family = None::<String>;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(help.ends_with('.') && name.starts_with("dozen_"), "{line}");
            assert!(
                !found.keys().any(|key: &String| key.split('{').next() == Some(name)),
                "{name} stands twice"
            );
            family = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(Some(name), family.as_deref());
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (key, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(key.split('{').next(), family.as_deref(), "{line}");
            assert!(!key.contains('{') || key.ends_with("\"}"), "{line}");
            assert!(found.insert(key.to_owned(), value.parse().unwrap()).is_none(), "{line}");
        }
    }
    found
}

/// Asks until `key` has `value`; the whole page then.
fn asked(url: &str, key: &str, value: f64) -> BTreeMap<String, f64> {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = get(url).unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let found = series(&answer.text());
        if found.get(key) == Some(&value) {
            return found;
        }
        assert!(Instant::now() < until, "{key} is not {value}: {found:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ps_d3_ob_d2_backlog_lag_and_failures_can_be_scraped() {
    let folder = tempfile::tempdir().unwrap();
    let (console, sidecar, nobody) = (free_port(), free_port(), free_port());
    let file = format!(
        "app: a\nstore: sqlite:a.db\nconsole: {{ listen: '127.0.0.1:{console}' }}\napi: false\n\
         registry: {{ listen: '127.0.0.1:0' }}\nservices: {{ mail: {{ run: [sleep, '60'], sidecar: {{ port: {sidecar} }} }} }}\n\
         queues: {{ invoices: }}\ntopics: {{ orders: }}\n\
         subscriptions: {{ hook: {{ topic: orders, url: 'http://127.0.0.1:{nobody}/in', circuit: {{ failures: 1 }} }} }}\n\
         relays: {{ copy: {{ topics: orders, to: sqlite:copy.db }} }}\n"
    );
    std::fs::write(folder.path().join("dozen.yaml"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dozen"));
    command.arg("up").current_dir(folder.path()).env_remove("RUST_LOG").env("NO_COLOR", "1");
    let up = Program::start("dozen up", command).unwrap();
    up.wait_for_line("a is up; state is in", PATIENCE).unwrap();
    fill(folder.path()).await;

    let url = format!("http://127.0.0.1:{console}/metrics");
    let carried = "dozen_relay_carried_total{relay=\"copy\",topic=\"orders\"}";
    let open = "dozen_subscription_circuit_open{topic=\"orders\",subscription=\"hook\"}";
    asked(&url, open, 1.0);
    let found = asked(&url, carried, 2.0);
    for (key, value) in [
        ("dozen_queue_messages{queue=\"invoices\",state=\"fresh\"}", 2.0),
        ("dozen_queue_messages{queue=\"invoices\",state=\"dead\"}", 1.0),
        ("dozen_queue_lag_messages{queue=\"invoices\"}", 2.0),
        ("dozen_queue_parked_keys{queue=\"invoices\"}", 1.0),
        ("dozen_queue_paused{queue=\"invoices\"}", 0.0),
        ("dozen_topic_published_total{topic=\"orders\"}", 2.0),
        ("dozen_subscription_lag_messages{topic=\"orders\",subscription=\"hook\"}", 2.0),
        ("dozen_relay_backlog_messages{relay=\"copy\",topic=\"orders\"}", 0.0),
        ("dozen_relay_failures_total{relay=\"copy\",topic=\"orders\"}", 0.0),
        ("dozen_deliveries_total{topic=\"orders\",subscription=\"hook\",result=\"handled\"}", 0.0),
        ("dozen_info{version=\"0.1.0\",engine=\"sqlite\"}", 1.0),
        ("dozen_store_failures_total", 0.0),
        ("dozen_series_left_out", 0.0),
    ] {
        assert_eq!(found.get(key), Some(&value), "{key} in {found:#?}");
    }
    for key in [
        "dozen_queue_lag_seconds{queue=\"invoices\"}",
        "dozen_subscription_lag_seconds{topic=\"orders\",subscription=\"hook\"}",
        "dozen_store_commits_total",
        "dozen_store_busy_seconds_total",
    ] {
        assert!(found[key] > 0.0, "{key}");
    }
    assert!(!found.keys().any(|key| key.contains("relay/")), "a relay counts as a subscription");

    // The sidecar of a service tells of that service, and what the console counts once it does not count again.
    let beside = asked(&format!("http://127.0.0.1:{sidecar}/metrics"), "dozen_series_left_out", 0.0);
    assert!(!beside.keys().any(|key| key.contains("hook") || key.contains("queue")), "{beside:#?}");
    up.signal(dozen_harness::Signal::TERM).unwrap();
    assert!(up.wait_exit(PATIENCE).unwrap().success(), "{}", up.output());
}

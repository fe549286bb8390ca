//! What the engine must live through: crowds, kills, the slow and the old.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dozen_core::{Ids, Message, SystemClock, Timestamp};
use dozen_sqlite::{Options, Sqlite};
use dozen_store::{Append, Ended, Engine, Entry, Error, Journal, Op, Record, Start, Store};
use tokio::task::JoinSet;

const LEASE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(60);

fn engine(folder: &Path) -> Arc<Sqlite> {
    Sqlite::open(&folder.join("test.db"), Options::default()).unwrap()
}

fn store(folder: &Path) -> Store {
    Store::new(engine(folder), Arc::new(SystemClock))
}

fn stream() -> Arc<str> {
    "test".into()
}

fn reader() -> Arc<str> {
    "worker".into()
}

fn message(id: &str) -> Message {
    Message::new(id, "/test", "test")
}

/// An append on the engine itself, which tells the positions.
fn append(messages: Vec<Message>) -> Vec<Op> {
    let records = messages.into_iter().map(Record::from).collect();
    vec![Op::Append(Append { stream: stream(), records, at: Timestamp(1), due: None })]
}

async fn append_on(engine: &Sqlite, messages: Vec<Message>) -> (u64, u64) {
    let committed = engine.commit(append(messages)).await.unwrap();
    committed.outcomes.into_iter().next().unwrap().appended().unwrap()
}

async fn entries(journal: &Journal) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let after = all.last().map_or(0, |entry| entry.position);
        let more = journal.read(&stream(), after, 1000).await.unwrap();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// What the tasks of the crowd saw, all together.
#[derive(Default)]
struct Seen {
    /// What was appended, by position.
    appended: BTreeMap<u64, String>,
    /// The keys in somebody's hands.
    in_hand: BTreeSet<String>,
    /// Positions in the order in which they were handed out.
    handed_out: Vec<(String, u64)>,
    /// How often each was done.
    done: BTreeMap<u64, u32>,
    /// Appenders that still work.
    appending: usize,
}

impl Seen {
    fn is_over(&self) -> bool {
        self.appending == 0 && self.done.len() == self.appended.len()
    }
}

/// Appends for a second.
async fn append_for_a_second(engine: Arc<Sqlite>, name: String, ids: Ids, seen: Arc<Mutex<Seen>>) {
    let until = Instant::now() + Duration::from_secs(1);
    for number in 0.. {
        if Instant::now() >= until {
            break;
        }
        let count = ids.random() % 3 + 1;
        let id = |part| format!("{name}.{number:06}.{part}");
        let key = || format!("k{}", ids.random() % 40);
        let messages = (0..count).map(|part| message(&id(part)).with_key(key())).collect();
        let (first, last) = append_on(&engine, messages).await;
        assert_eq!(last - first + 1, count);
        let mut seen = seen.lock().unwrap();
        for (position, part) in (first..=last).zip(0..) {
            let twice = seen.appended.insert(position, id(part));
            assert_eq!(twice, None, "two entries got position {position}");
        }
    }
    seen.lock().unwrap().appending -= 1;
}

/// Handles until nobody appends any more and everything is done. One in five fails at first.
async fn work(store: Store, ids: Ids, seen: Arc<Mutex<Seen>>) {
    let journal = store.journal();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "the crowd does not come to an end");
        let (claims, _) = journal.claim(&stream(), &reader(), 8, LEASE).await.unwrap();
        if claims.is_empty() {
            if seen.lock().unwrap().is_over() {
                return;
            }
            tokio::task::yield_now().await;
            continue;
        }
        let mut ends = Vec::new();
        {
            let mut seen = seen.lock().unwrap();
            for claim in &claims {
                let key = claim.record.key.clone().unwrap();
                assert!(seen.in_hand.insert(key.clone()), "two messages of key {key} are out at a time");
                seen.handed_out.push((key, claim.place.position));
                let fails = claim.attempts == 1 && ids.random().is_multiple_of(5);
                let retry = Ended::Retry { at: store.clock().now(), error: "at first".into() };
                ends.push((claim.place, if fails { retry } else { Ended::Done }));
            }
        }
        tokio::task::yield_now().await; // the others look meanwhile
        // Out of hand before it is settled: once that is committed another may have the next of the key.
        for claim in &claims {
            seen.lock().unwrap().in_hand.remove(claim.record.key.as_deref().unwrap());
        }
        let settled = journal.settle(&stream(), &reader(), ends.clone()).await.unwrap();
        assert!(settled.iter().all(|good| *good), "a lease that is good was refused");
        let mut seen = seen.lock().unwrap();
        for (place, _) in ends.iter().filter(|(_, ended)| *ended == Ended::Done) {
            *seen.done.entry(place.position).or_insert(0) += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_on_two_handles_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ids = Ids::new(Arc::new(SystemClock), 7);
    let seen = Arc::new(Mutex::new(Seen { appending: 8, ..Seen::default() }));
    let handles = [engine(folder.path()), engine(folder.path())];
    let first = Store::new(handles[0].clone(), Arc::new(SystemClock));
    first.journal().open(&stream(), &reader(), Start::Earliest).await.unwrap();
    let mut crowd = JoinSet::new();
    for (number, handle) in handles.iter().enumerate() {
        for task in 0..4 {
            let name = format!("{number}{task}");
            crowd.spawn(append_for_a_second(handle.clone(), name, ids.clone(), seen.clone()));
            let store = Store::new(handle.clone(), Arc::new(SystemClock));
            crowd.spawn(work(store, ids.clone(), seen.clone()));
        }
    }
    while let Some(done) = crowd.join_next().await {
        done.unwrap();
    }
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let kept = entries(&first.journal()).await;
    let kept: BTreeMap<u64, String> =
        kept.into_iter().map(|entry| (entry.position, entry.record.id)).collect();
    assert_eq!(kept, seen.appended, "what is there is what was acknowledged, at those positions");
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for id in kept.values() {
        let (appender, _) = id.split_once('.').unwrap();
        assert!(
            last.insert(appender, id).is_none_or(|before| before < id.as_str()),
            "{id} overtook its predecessor"
        );
    }
    assert!(seen.done.values().all(|times| *times == 1), "done more than once");
    assert_eq!(seen.done.len(), kept.len());
    let mut order: BTreeMap<&str, u64> = BTreeMap::new();
    for (key, position) in &seen.handed_out {
        let before = order.insert(key, *position);
        assert!(before.is_none_or(|before| before <= *position), "{key}: {position} came after {before:?}");
    }
    println!("{} messages", kept.len());
}

/// The child of the test below, when told so; nothing otherwise. Appends until it is killed, and says what was
/// acknowledged: one line for each append, with its ids and positions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(folder) = std::env::var_os("DOZEN_CHILD_FOLDER") else { return };
    let engine = engine(Path::new(&folder));
    let ids = Ids::new(Arc::new(SystemClock), std::process::id().into());
    let mut crowd = JoinSet::new();
    for task in 0..8 {
        let (engine, ids) = (engine.clone(), ids.clone());
        crowd.spawn(async move {
            loop {
                let batch = ids.next().to_string();
                let messages: Vec<_> = (0..3).map(|part| message(&format!("{batch}/{part}"))).collect();
                let (first, last) = if task % 2 == 0 {
                    append_on(&engine, messages).await
                } else {
                    let mut tx = engine.begin().await.unwrap();
                    let outcomes = tx.apply(append(messages)).await.unwrap();
                    tx.commit(Vec::new()).await.unwrap();
                    outcomes.into_iter().next().unwrap().appended().unwrap()
                };
                // One write, so that a kill leaves no line that looks whole and is not.
                let line = format!("\nkept {batch} {first} {last};\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    panic!("a task ended: {:?}", crowd.join_next().await);
}

/// One life of the child: gives what it said was kept.
fn life(folder: &Path, lines: u64) -> Vec<(String, u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env("DOZEN_CHILD_FOLDER", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    // Read to the end: what was said before the kill counts, also what is still in the pipe.
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(kept) = line.strip_prefix("kept ").and_then(|line| line.strip_suffix(';')) else { continue };
        let words: Vec<&str> = kept.split(' ').collect();
        said.push((words[0].to_owned(), words[1].parse().unwrap(), words[2].parse().unwrap()));
        if said.len() as u64 == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    said
}

#[tokio::test]
async fn a_writer_killed_between_two_instructions_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let ids = Ids::new(Arc::new(SystemClock), 11);
    let mut known: BTreeMap<u64, String> = BTreeMap::new();
    for round in 0..20 {
        let said = life(folder.path(), ids.random() % 150 + 1);
        assert!(!said.is_empty(), "the child said nothing");
        let store = store(folder.path());
        let kept = entries(&store.journal()).await;
        let kept: BTreeMap<u64, String> =
            kept.into_iter().map(|entry| (entry.position, entry.record.id)).collect();
        for (batch, first, last) in &said {
            assert_eq!(last - first, 2);
            for (position, part) in (*first..=*last).zip(0..) {
                assert_eq!(kept.get(&position), Some(&format!("{batch}/{part}")), "round {round}");
            }
        }
        // Positions only grow, and no batch is there in part.
        let before = known.last_key_value().map_or(0, |(position, _)| *position);
        assert!(known.iter().all(|(position, id)| kept.get(position) == Some(id)), "round {round}");
        let new: Vec<&String> = kept.range(before + 1..).map(|(_, id)| id).collect();
        assert_eq!(kept.len(), known.len() + new.len(), "an entry was put before others");
        for batch in new.chunks(3) {
            let name = batch[0].strip_suffix("/0").unwrap();
            assert_eq!(batch, [&format!("{name}/0"), &format!("{name}/1"), &format!("{name}/2")]);
        }
        let integrity = store.select("select * from pragma_integrity_check", []).await.unwrap();
        assert_eq!(integrity[0].text(0).unwrap(), "ok");
        known = kept;
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_make_room_in_one_log_take_nothing_from_each_other_when_one_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    // One of them has the file by another name; the log is one.
    let linked = tempfile::tempdir().unwrap();
    drop(engine(folder.path()));
    std::os::unix::fs::symlink(folder.path().join("test.db"), linked.path().join("test.db")).unwrap();
    let ours = engine(linked.path());
    let (appending, ids) = (ours.clone(), Ids::new(Arc::new(SystemClock), 12));
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let appended = tokio::spawn(async move {
        let mut known = BTreeMap::new();
        while stopped.try_recv().is_err() {
            let id = ids.next().to_string();
            known.insert(append_on(&appending, vec![message(&id)]).await.0, id);
        }
        known
    });
    let mut theirs = Vec::new();
    for lines in [1, 20, 50, 90, 150] {
        let path = folder.path().to_owned();
        theirs.extend(tokio::task::spawn_blocking(move || life(&path, lines)).await.unwrap());
    }
    stop.send(()).unwrap();
    let known = appended.await.unwrap();
    let filled = std::fs::metadata(folder.path().join("test.db-wal")).unwrap().len();
    assert!(filled > 0 && filled.is_multiple_of(64 * 1024), "room is made where the log is: {filled}");
    let store = Store::new(ours, Arc::new(SystemClock));
    let kept = entries(&store.journal()).await;
    let kept: BTreeMap<u64, String> =
        kept.into_iter().map(|entry| (entry.position, entry.record.id)).collect();
    assert!(known.iter().all(|(position, id)| kept.get(position) == Some(id)));
    for (batch, first, last) in &theirs {
        for (position, part) in (*first..=*last).zip(0..) {
            assert_eq!(kept.get(&position), Some(&format!("{batch}/{part}")));
        }
    }
    let integrity = store.select("select * from pragma_integrity_check", []).await.unwrap();
    assert_eq!(integrity[0].text(0).unwrap(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_held_open_is_rolled_back_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (engine(folder.path()), engine(folder.path()));
    let mut slow = here.begin().await.unwrap();
    slow.apply(append(vec![message("slow")])).await.unwrap();
    // Both wait for the transaction, and both get through because it is ended for its owner.
    let begun = Instant::now();
    let (first, second) =
        tokio::join!(append_on(&here, vec![message("here")]), append_on(&there, vec![message("there")]));
    assert!(begun.elapsed() > Duration::from_secs(3), "they did not wait for the transaction");
    assert_ne!(first, second);
    let error = slow.apply(append(vec![message("slower")])).await.unwrap_err();
    assert!(matches!(error, Error::TooSlow { .. }), "{error}");
    let error = slow.commit(Vec::new()).await.unwrap_err();
    assert!(matches!(error, Error::TooSlow { .. }), "{error}");
    let kept = entries(&Store::new(here, Arc::new(SystemClock)).journal()).await;
    let kept: BTreeSet<String> = kept.into_iter().map(|entry| entry.record.id).collect();
    assert_eq!(kept, BTreeSet::from(["here".to_owned(), "there".to_owned()]));
}

#[tokio::test]
async fn an_old_snapshot_does_not_hold_writers_up() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    append_on(&engine, vec![message("before")]).await;
    let old = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
    let count = || old.query_row("select count(*) from dozen_entry", [], |row| row.get::<_, i64>(0)).unwrap();
    old.execute_batch("begin").unwrap();
    assert_eq!(count(), 1);
    // More than the log holds before it is moved into the file, which a reader of the past does not allow.
    for batch in 0..50 {
        let id = |part| format!("{batch}/{part}");
        let big = |part| message(&id(part)).with_data(None, vec![0; 100_000]);
        let begun = Instant::now();
        append_on(&engine, (0..10).map(big).collect()).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "a writer waited for a reader");
    }
    assert_eq!(count(), 1, "the snapshot moved");
    // Nor does the end of the engine wait.
    let begun = Instant::now();
    drop(engine);
    assert!(begun.elapsed() < Duration::from_secs(5), "the end waited for a reader");
    old.execute_batch("rollback").unwrap();
    assert_eq!(count(), 501);
}

//! Connections that are lost, servers that restart, poolers in between.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dozen_conformance::store::Harness;
use dozen_harness::{PgBouncer, Postgres as Server};
use dozen_postgres::{Options, Postgres};
use dozen_store::{Engine, LOOK_MAX, Start};

use crate::bench::{
    append, blocking, claim, done, fresh, ids, message, open, server, stranger, stream, wait_for, worker,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_killed_is_made_up_for_and_comes_back() {
    let url = server().url(&fresh().await);
    let (here, there) = (open(&url).await, open(&url).await);
    let stranger = stranger(&url).await;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity
                where query like 'listen%' and datname = current_database() and pid <> pg_backend_pid()";
    let mut changes = there.journal().changes(&stream());
    for number in 0..5 {
        append(&here.journal(), &stream(), "before").await;
        stranger.batch_execute(kill).await.expect("kill");
        changes.mark_unchanged();
        append(&here.journal(), &stream(), &number.to_string()).await;
        tokio::time::timeout(LOOK_MAX + Duration::from_secs(1), changes.changed())
            .await
            .expect("a hint although nobody listened")
            .expect("open");
    }
    // And hints come at once again.
    let began = Instant::now();
    let mut quick = 0;
    while quick < 5 {
        changes.mark_unchanged();
        append(&here.journal(), &stream(), "after").await;
        let hint = tokio::time::timeout(Duration::from_millis(500), changes.changed()).await;
        quick = if hint.is_ok() { quick + 1 } else { 0 };
        assert!(began.elapsed() < Duration::from_secs(20), "wake-ups did not return");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_in_the_middle_of_traffic_loses_nothing() {
    let server = Arc::new(blocking(|| Server::start(&[]).expect("a server")).await);
    let own = server.clone();
    let url = server.url(&blocking(move || own.fresh_database().expect("a database")).await);
    let store = open(&url).await;
    let journal = store.journal();
    journal.open(&stream(), &worker(), Start::Earliest).await.expect("open");
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (journal, stop) = (journal.clone(), stop.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let id = format!("{writer}-{number}");
                    match journal.append(&stream(), vec![message(&id)]).await {
                        Ok(_) => acknowledged.push(id),
                        Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
                acknowledged
            })
        })
        .collect();
    let (reading, stopped) = (journal.clone(), stop.clone());
    let reader = tokio::spawn(async move {
        let mut handled = HashSet::new();
        loop {
            let last = stopped.load(Ordering::Relaxed);
            let Ok((claims, _)) = reading.claim(&stream(), &worker(), 100, Duration::from_secs(2)).await
            else {
                continue;
            };
            if claims.is_empty() && last {
                let lag = reading.readers("topic/").await.expect("readers")[0].lag();
                if lag == 0 {
                    return handled;
                }
            }
            if claims.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            handled.extend(claims.iter().map(|claim| claim.record.id.clone()));
            let ends = claims.iter().map(|claim| (claim.place, dozen_store::Ended::Done)).collect();
            let _ = reading.settle(&stream(), &worker(), ends).await;
        }
    });
    for round in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let server = server.clone();
        blocking(move || {
            if round == 1 {
                server.kill9();
                server.resume().expect("resume");
            } else {
                server.restart().expect("restart");
            }
        })
        .await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.expect("a writer"));
    }
    let handled = tokio::time::timeout(Duration::from_secs(30), reader)
        .await
        .expect("it catches up")
        .expect("a reader");
    let entries: HashSet<String> = ids_of_all(&journal).await;
    for id in &acknowledged {
        assert!(entries.contains(id), "{id} was acknowledged and is lost");
    }
    assert_eq!(entries, handled);
    assert!(acknowledged.len() > 100, "there was traffic: {}", acknowledged.len());
}

async fn ids_of_all(journal: &dozen_store::Journal) -> HashSet<String> {
    let (mut all, mut after) = (HashSet::new(), 0);
    loop {
        let entries = journal.read(&stream(), after, 1_000).await.expect("read");
        let Some(last) = entries.last() else { return all };
        after = last.position;
        all.extend(entries.into_iter().map(|entry| entry.record.id));
    }
}

/// A store behind a pooler in transaction mode.
struct Pooled {
    url: String,
    _bouncer: PgBouncer,
}

#[async_trait]
impl Harness for Pooled {
    async fn fresh() -> Self {
        let database = fresh().await;
        let bouncer = blocking(|| PgBouncer::start(server(), 6).expect("a pooler")).await;
        Self { url: format!("{}?listen=off", bouncer.url(&database)), _bouncer: bouncer }
    }

    async fn open(&self) -> Arc<dyn Engine> {
        Postgres::open(Options::parse(&self.url).expect("an address")).await.expect("open")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_through_a_pooler_in_transaction_mode() {
    use dozen_conformance::store as suite;
    suite::commit_order_is_read_order(&Pooled::fresh().await).await;
    suite::per_key_order_is_strict(&Pooled::fresh().await).await;
    suite::what_is_taken_together_ends_one_by_one(&Pooled::fresh().await).await;
    suite::rows_and_entries_commit_together(&Pooled::fresh().await).await;
    suite::other_processes_are_woken(&Pooled::fresh().await).await;
    suite::a_crash_at_any_call_has_one_effect(&Pooled::fresh().await).await;
    suite::a_dropped_transaction_leaves_nothing(&Pooled::fresh().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_and_a_schema_of_its_own_do_as_well() {
    let database = fresh().await;
    let folder = server().socket_folder().display().to_string().replace('/', "%2F");
    let base = format!("postgres://test@/{database}?host={folder}&port={}", server().port());
    let (one, two) = (open(&base).await, open(&format!("{base}&schema=second_1")).await);
    append(&one.journal(), &stream(), "one").await;
    append(&two.journal(), &stream(), "two").await;
    two.journal().open(&stream(), &worker(), Start::Earliest).await.expect("open");
    let claims = claim(&two.journal(), 10).await;
    assert_eq!(claims[0].record.id, "two");
    done(&two.journal(), &claims).await;
    assert_eq!(ids(&one.journal(), &stream()).await, ["one"]);
    wait_for(&two.journal(), &stream(), 1).await;
}

/// While nothing happens a process asks for one thing in five seconds.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_process_asks_little() {
    let server = blocking(|| Server::start(&["log_statement=all"]).expect("a server"));
    let server = Arc::new(server.await);
    let own = server.clone();
    let database = blocking(move || own.fresh_database().expect("a database")).await;
    let store = open(&server.url(&database)).await;
    append(&store.journal(), &stream(), "1").await;
    tokio::time::sleep(LOOK_MAX + Duration::from_secs(1)).await;
    let count = |log: &str| {
        log.lines().filter(|line| line.contains("execute <") || line.contains("statement:")).count()
    };
    let before = count(&server.log());
    tokio::time::sleep(LOOK_MAX * 3 + Duration::from_secs(1)).await;
    let log = server.log();
    let asked = count(&log) - before;
    assert!((2..=4).contains(&asked), "{asked} in 16 s: {log}");
}

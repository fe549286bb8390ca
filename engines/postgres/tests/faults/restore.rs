//! A dump that is put into another cluster.

use dozen_harness::Postgres as Server;

use crate::bench::{append, blocking, claim, done, ids, open, server, stranger, stream, wait_for, worker};

fn insert(id: &str) -> String {
    format!("insert into dozen.outbox (id, aggregatetype, type, payload) values ('{id}', 'orders', 't', '1')")
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_every_cursor_goes_on_and_each_row_comes_once() {
    let database = crate::bench::fresh().await;
    let url = server().url(&database);
    let store = open(&url).await;
    let journal = store.journal();
    journal.open(&stream(), &worker(), dozen_store::Start::Earliest).await.expect("open");
    for id in ["1", "2", "3", "4"] {
        append(&journal, &stream(), id).await;
    }
    let claims = claim(&journal, 2).await;
    done(&journal, &claims[..1]).await;
    stranger(&url).await.batch_execute(&insert("sequenced")).await.expect("insert");
    wait_for(&journal, &stream(), 5).await;
    let before = journal.append(&stream(), vec![crate::bench::message("5")]).await.expect("append");
    drop((journal, store));
    // In the dump, but nobody has made an entry of it.
    stranger(&url).await.batch_execute(&insert("left")).await.expect("insert");

    // The other cluster is young: its transactions have lower numbers than those of the rows that come.
    let other = blocking(move || {
        let other = Server::start(&[]).expect("a server");
        let name = other.fresh_database().expect("a database");
        let dump = server().client("pg_dump").args(["-d", &database]).output().expect("pg_dump");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let file = other.socket_folder().join("dump.sql");
        std::fs::write(&file, dump.stdout).expect("write");
        let mut restore = other.client("psql");
        restore.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &name, "-f"]).arg(&file);
        let restored = restore.output().expect("psql");
        assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
        (other, name)
    });
    let (other, name) = other.await;
    let url = other.url(&name);
    let early = stranger(&url).await;
    early.batch_execute(&format!("begin; {}", insert("early"))).await.expect("insert");
    let store = open(&url).await;
    let journal = store.journal();
    assert_eq!(wait_for(&journal, &stream(), 7).await, ["1", "2", "3", "4", "sequenced", "5", "left"]);
    let stranger = stranger(&url).await;
    stranger.batch_execute(&insert("new")).await.expect("insert");
    stranger.batch_execute("notify dozen").await.expect("poke");
    wait_for(&journal, &stream(), 8).await;
    early.batch_execute("commit").await.expect("commit");
    stranger.batch_execute("notify dozen").await.expect("poke");
    assert_eq!(wait_for(&journal, &stream(), 9).await[7..], ["new", "early"]);
    append(&journal, &stream(), "6").await;
    assert_eq!(ids(&journal, &stream()).await.len(), 10);
    // The reader goes on where it was, with what it had in hand.
    let status = &journal.readers("topic/").await.expect("readers")[0];
    assert_eq!((status.leased, status.fresh), (1, 8));
    done(&journal, &claims[1..]).await;
    let rest = claim(&journal, 100).await;
    assert_eq!(rest.len(), 8);
    assert_eq!(rest[0].record.id, "3");
    done(&journal, &rest).await;
    let after = journal.append(&stream(), vec![crate::bench::message("7")]).await.expect("append");
    assert_eq!(before.seen_by(&after), None, "positions of two histories were compared");
}

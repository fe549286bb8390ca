//! Databases that somebody else made, asked as they are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::path::Path;
use std::time::{Duration, Instant};

use dozen_harness::Postgres;
use dozen_query::{Access, Database, Error, Question};
use serde_json::{Value, json};

fn question(text: &str, values: Vec<Value>) -> Question {
    let timeout = Duration::from_secs(10);
    Question { text: text.into(), values, timeout, rows_max: 3, bytes_max: 1000 }
}

async fn asked(database: &Database, text: &str, values: Vec<Value>) -> String {
    match database.ask(question(text, values)).await {
        Ok(answer) => String::from_utf8(answer.to_vec()).unwrap(),
        Err(error) => format!("! {error}"),
    }
}

async fn legacy() -> (tempfile::TempDir, Database, Database) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.db"), []).unwrap();
    let open = |access| Database::at("sqlite:old.db", folder.path(), access).unwrap();
    let (reads, writes) = (open(Access::Reads), open(Access::Writes));
    asked(&writes, "create table item (sku text primary key, qty integer, price real, note blob)", vec![])
        .await;
    for sku in ["a", "b", "c", "d'; drop table item"] {
        let values = vec![json!(sku), json!(3), json!(12.5), Value::Null];
        assert_eq!(asked(&writes, "insert into item values ($1, $2, $3, $4)", values).await, "[]");
    }
    (folder, reads, writes)
}

#[tokio::test]
async fn a_file_of_sqlite_answers_with_rows_and_its_values_are_bound() {
    let (_folder, database, _) = legacy().await;
    let one = "select sku, qty, price, note from item where sku = $1 and $1 <> $2";
    assert_eq!(
        asked(&database, one, vec![json!("d'; drop table item"), json!("x")]).await,
        r#"[{"note":null,"price":12.5,"qty":3,"sku":"d'; drop table item"}]"#
    );
    assert_eq!(asked(&database, one, vec![json!("x"), json!("y")]).await, "[]");
    assert_eq!(asked(&database, "select sku from item", vec![]).await, "! the answer has more than 3 rows");
    let large = "select hex(zeroblob(600)) x";
    assert_eq!(asked(&database, large, vec![]).await, "! the answer is larger than 1000 bytes");
    let refused = asked(&database, "delete from item", vec![]).await;
    assert_eq!(refused, "! the database refuses the statement (ReadOnly)");
    assert!(
        asked(&database, "select nothing from nowhere", vec![]).await.starts_with("! the database refuses")
    );
}

#[tokio::test]
async fn a_statement_that_does_not_end_is_ended_and_a_file_that_is_not_there_is_not_made() {
    let (folder, database, _) = legacy().await;
    let endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select max(x) from n";
    let began = Instant::now();
    let short = Question { timeout: Duration::from_millis(50), ..question(endless, vec![]) };
    assert!(matches!(database.ask(short).await, Err(Error::TimedOut)));
    assert!(began.elapsed() < Duration::from_secs(5));
    // The connection is as good as before.
    assert_eq!(asked(&database, "select 1 x", vec![]).await, r#"[{"x":1}]"#);
    let none = Database::at("sqlite:none.db", folder.path(), Access::Writes).unwrap();
    assert!(matches!(none.ask(question("select 1", vec![])).await, Err(Error::Unreachable(_))));
    assert!(!folder.path().join("none.db").exists());
}

#[tokio::test]
async fn a_file_that_is_replaced_is_asked_anew() {
    let (folder, database, _) = legacy().await;
    let count = "select count(*) n from item";
    assert_eq!(asked(&database, count, vec![]).await, r#"[{"n":4}]"#);
    // As a nightly export does it: a new file takes the place of the old one.
    std::fs::write(folder.path().join("new.db"), []).unwrap();
    let new = Database::at("sqlite:new.db", folder.path(), Access::Writes).unwrap();
    asked(&new, "create table item (sku text)", vec![]).await;
    std::fs::rename(folder.path().join("new.db"), folder.path().join("old.db")).unwrap();
    assert_eq!(asked(&database, count, vec![]).await, r#"[{"n":0}]"#);
}

#[tokio::test]
async fn an_answer_that_is_refused_has_changed_nothing() {
    let (_folder, database, writes) = legacy().await;
    let said = asked(&writes, "delete from item returning sku", vec![]).await;
    assert_eq!(said, "! the answer has more than 3 rows");
    assert_eq!(asked(&database, "select count(*) n from item", vec![]).await, r#"[{"n":4}]"#);
}

#[tokio::test]
async fn a_connection_that_died_while_it_was_kept_is_not_what_the_next_question_fails_of() {
    let server = Postgres::start(&[]).unwrap();
    let name = server.fresh_database().unwrap();
    let database = Database::at(&server.url(&name), Path::new("/"), Access::Reads).unwrap();
    for _ in 0..5 {
        assert_eq!(asked(&database, "select 1 x", vec![]).await, r#"[{"x":1}]"#);
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()";
        server.psql(&name, &format!("{end} and datname = '{name}'")).unwrap();
    }
}

#[tokio::test]
async fn a_text_of_sqlite_is_read_in_its_charset_or_refused_with_its_row_and_column_and_no_column_is_lost() {
    let (folder, database, writes) = legacy().await;
    let latin = "insert into item (sku, qty) values (cast(x'4772f6df65' as text), 1)";
    assert_eq!(asked(&writes, latin, vec![]).await, "[]");
    let select =
        "select qty, sku from item where sku in ('a', cast(x'4772f6df65' as text)) order by sku desc";
    let said = asked(&database, select, vec![]).await;
    assert!(said.starts_with("! row 2, column `sku`: the text is not in UTF-8"), "{said}");
    let open = |charset| Database::written_in(Some(charset), "sqlite:old.db", folder.path(), Access::Reads);
    let old = open("windows-1252").unwrap();
    let found = asked(&old, "select sku from item where sku = $1", vec![json!("Größe")]).await;
    assert_eq!(found, r#"[{"sku":"Größe"}]"#);
    let said = asked(&old, "select sku from item where sku = $1", vec![json!("ж")]).await;
    assert_eq!(said, "! value 1 has signs that windows-1252 has not");
    assert!(open("latin-17").is_err());
    let said = asked(&database, "select sku, qty as sku from item", vec![]).await;
    assert_eq!(said, "! two columns are called `sku`; give one of them another name, with `as`");
    assert_eq!(
        asked(&database, "select 9e999 x", vec![]).await,
        "! row 1, column `x`: the number is infinite"
    );
}

#[tokio::test]
async fn a_database_of_postgres_answers_with_rows_of_every_type() {
    let server = Postgres::start(&[]).unwrap();
    let name = server.fresh_database().unwrap();
    let open = |access| Database::at(&server.url(&name), Path::new("/"), access).unwrap();
    let (reads, writes) = (open(Access::Reads), open(Access::Writes));
    server
        .psql(&name, "create table item (sku text primary key, price numeric(12,2), since date, tags text[], left_over int)")
        .unwrap();
    let insert = "insert into item values ($1, $2, $3, $4, $5) returning sku -- the new one";
    let values = vec![json!("a'"), json!("1234567890.10"), json!("2026-01-31"), json!("{x,y}"), Value::Null];
    assert_eq!(asked(&writes, insert, values).await, r#"[{"sku":"a'"}]"#);
    let select = "select * from item where sku = $1 and since <= $2::date and price > $3";
    assert_eq!(
        asked(&reads, select, vec![json!("a'"), json!("2026-02-01"), json!(1000)]).await,
        r#"[{"sku":"a'","price":1234567890.10,"since":"2026-01-31","tags":["x","y"],"left_over":null}]"#
    );
    let values = vec![json!("b"), json!(1), Value::Null, Value::Null, json!(1)];
    assert_eq!(asked(&reads, insert, values).await, "! the database refuses the statement (25006)");
    let twice = vec![json!("a'"), Value::Null, Value::Null, Value::Null, Value::Null];
    assert_eq!(asked(&writes, insert, twice).await, "! the database refuses the statement (23505)");
    let many = asked(&reads, "select generate_series(1, 1000000) n", vec![]).await;
    assert_eq!(many, "! the answer has more than 3 rows");
    let short = Question { timeout: Duration::from_millis(50), ..question("select pg_sleep(30)", vec![]) };
    assert!(matches!(reads.ask(short).await, Err(Error::TimedOut)));
    let running = "select count(*) from pg_stat_activity where query like '%pg_sleep(30)%' and pid <> pg_backend_pid() \
                   and state = 'active'";
    let until = Instant::now() + Duration::from_secs(10);
    while server.psql(&name, running).unwrap().trim() != "0" {
        assert!(Instant::now() < until, "the statement goes on in the server");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.stop().unwrap();
    let away = reads.ask(question("select 1", vec![])).await;
    assert!(matches!(away, Err(Error::Unreachable(_) | Error::Broken(_))), "{away:?}");
}

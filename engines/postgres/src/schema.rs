//! The tables and functions, and how an older database becomes a newer one.

use dozen_core::Fnv;
use dozen_store::{Claim, Error, Settle};
use tokio_postgres::{Client, GenericClient};

use crate::error::{Doing, translate};
use crate::link::Link;
use crate::options::Options;
use crate::shared::in_schema;

/// Each step leads from one set of tables to the next. Append, never change: databases in the field have gone through them.
const MIGRATIONS: &[&str] =
    &[include_str!("sql/schema.sql"), include_str!("sql/marks-table.sql"), include_str!("sql/admitted.sql")];

/// The functions, made anew whenever a process with other ones opens the store. What they do to the tables, those of other
/// versions must be able to live with: a change that they cannot is a migration.
const FUNCTIONS: &[&str] = &[
    include_str!("sql/append.sql"),
    include_str!("sql/leases.sql"),
    include_str!("sql/keys.sql"),
    include_str!("sql/claim.sql"),
    include_str!("sql/settle.sql"),
    include_str!("sql/readers.sql"),
    include_str!("sql/tables.sql"),
    include_str!("sql/marks.sql"),
    include_str!("sql/upkeep.sql"),
    include_str!("sql/door.sql"),
    include_str!("sql/outbox.sql"),
    include_str!("sql/status.sql"),
    include_str!("sql/plans.sql"),
];

/// What a new store begins with.
const INSTALL: &str = include_str!("sql/install.sql");

/// A fence is a number, times this, and chance. See `claim.sql`.
const SPREAD: i64 = 1 << 20;
/// A claim may be this much older than one before it (in microseconds) without the clock having been set back: callers
/// read the clock before they claim.
const CLOCK_SLACK: i64 = 1_000_000;
/// Rows of the outbox that become entries in one transaction.
const ROWS_MAX: i64 = 10_000;
/// Batches that a claim has to look through in vain before it notes that nobody need do so again.
const NOTE_AFTER: i64 = 16;

/// What a database says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Given to the store when it was made.
    pub(crate) store: String,
    /// Which history of it.
    pub(crate) epoch: u64,
}

/// A number for this schema's locks.
pub(crate) fn lock_of(schema: &str) -> i32 {
    // FNV-1a of 32 bits: the same in every process and version. Room is left for the neighbours that the functions use.
    let hash =
        schema.bytes().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 4) as i32
}

/// A text of ours as this store's server gets it.
fn rendered(options: &Options, text: &str) -> String {
    let values = [
        ("{lock}", lock_of(&options.schema).to_string()),
        ("{schema}", options.schema.clone()),
        ("{spread}", SPREAD.to_string()),
        ("{often}", (options.segment / 4).max(1).to_string()),
        ("{segment}", options.segment.to_string()),
        ("{rows_max}", ROWS_MAX.to_string()),
        ("{clock_slack}", CLOCK_SLACK.to_string()),
        ("{note_after}", NOTE_AFTER.to_string()),
        ("{scan_max}", Claim::SCAN_MAX.to_string()),
        ("{errors_max}", Settle::ERRORS_MAX.to_string()),
        ("{error_length_max}", Settle::ERROR_LENGTH_MAX.to_string()),
    ];
    let text = values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    in_schema(&options.schema, &text).into_owned()
}

/// A number for a text: whether the functions in the database are these.
fn print_of(text: &str) -> String {
    format!("{:016x}", Fnv::of(text.bytes()))
}

/// Brings the database to the tables and functions of this binary.
pub(crate) async fn open(link: &Link) -> Result<Identity, Error> {
    let mut client: Client = link.connect().await?;
    let options = &link.options;
    let location = options.location.as_str();
    let fail = |error: tokio_postgres::Error| translate(location, Doing::Working, &error);
    let version: i32 =
        one(&client, "select current_setting('server_version_num')::integer").await.map_err(fail)?.get(0);
    if version < 140_000 {
        return Err(Error::Open {
            location: location.to_owned(),
            problem: format!("it is PostgreSQL {}, and 14 is the oldest that works", version / 10_000),
        });
    }
    let functions = FUNCTIONS.iter().map(|text| rendered(options, text)).collect::<Vec<_>>().join("\n");
    let print = print_of(&functions);
    let tx = client.transaction().await.map_err(fail)?;
    // One process at a time. The others find everything done.
    tx.batch_execute(&format!("select pg_advisory_xact_lock({}, 1)", lock_of(&options.schema)))
        .await
        .map_err(fail)?;
    let sql = format!("select to_regclass('{}.meta') is not null", options.schema);
    let exists: bool = one(&tx, &sql).await.map_err(fail)?.get(0);
    let meta = in_schema(&options.schema, "select max(value) from dozen.meta where name = ").into_owned();
    let read = async |name: &str| -> Result<Option<String>, Error> {
        if !exists {
            return Ok(None);
        }
        Ok(one(&tx, &format!("{meta}'{name}'")).await.map_err(fail)?.get(0))
    };
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let found: u32 = read("schema").await?.and_then(|found| found.parse().ok()).unwrap_or(0);
    if found > known {
        return Err(Error::Newer { location: location.to_owned(), found, known });
    }
    if !exists {
        tx.batch_execute(&format!("create schema if not exists {}", options.schema)).await.map_err(fail)?;
    }
    for step in &MIGRATIONS[usize::try_from(found).unwrap_or(0)..] {
        tx.batch_execute(&rendered(options, step)).await.map_err(fail)?;
    }
    if read("functions").await?.as_deref() != Some(&print) {
        tx.batch_execute(&functions).await.map_err(fail)?;
    }
    if !exists {
        tx.batch_execute(&rendered(options, INSTALL)).await.map_err(fail)?;
    }
    let note = format!(
        "insert into dozen.meta values ('schema', '{known}'), ('functions', '{print}')
         on conflict (name) do update set value = excluded.value where meta.value <> excluded.value"
    );
    tx.batch_execute(&in_schema(&options.schema, &note)).await.map_err(fail)?;
    tx.commit().await.map_err(fail)?;
    // A restored database is told apart before anybody gets a token of it.
    let now = options.clock.now().0;
    let sql = in_schema(&options.schema, "select o_epoch from dozen.sequence(").into_owned();
    let epoch: i64 = one(&client, &format!("{sql}{now})")).await.map_err(fail)?.get(0);
    let sql = in_schema(&options.schema, "select value from dozen.meta where name = 'store'").into_owned();
    let store = one(&client, &sql).await.map_err(fail)?.get(0);
    Ok(Identity { store, epoch: crate::rows::unsigned(epoch) })
}

async fn one(client: &impl GenericClient, sql: &str) -> Result<tokio_postgres::Row, tokio_postgres::Error> {
    client.query_typed_one(sql, &[]).await
}

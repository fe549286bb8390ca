//! The engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use dozen_store::{Answer, Capabilities, Changes, Committed, Engine, EngineTx, Error, Op, Outcome, Query};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};

use crate::error::{BUSY_WAIT, translate};
use crate::pool::{self, Pool};
use crate::room::Room;
use crate::schema;
use crate::watch::{self, Hints};
use crate::writer::{GROUP_MAX, Job, Step, Steps, TRANSACTION_MAX, Writer};

/// What a commit outlives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: the disk has confirmed before the caller hears of it (`synchronous=FULL`).
    #[default]
    Full,
    /// A crash of this process, not a power cut: the last commits before one may be lost (`synchronous=NORMAL`).
    Normal,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What a commit outlives.
    pub durability: Durability,
    /// Threads that answer queries.
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { durability: Durability::Full, readers: 2 }
    }
}

/// A SQLite file as a store's engine. Dropping it ends its threads and closes the file.
pub struct Sqlite {
    jobs: Option<mpsc::Sender<Job>>,
    pool: Option<Pool>,
    hints: Arc<Hints>,
    threads: Vec<JoinHandle<()>>,
}

impl Sqlite {
    /// Opens the file, made if it does not exist, and brings it to the schema of this binary. Blocks meanwhile.
    pub fn open(path: &Path, options: Options) -> Result<Arc<Self>, Error> {
        let mut connection = connect(path)?;
        let fail = |error: rusqlite::Error| translate(path, &error);
        let identity = schema::open(&mut connection, path)?;
        connection.set_prepared_statement_cache_capacity(128);
        let hints = Arc::new(Hints::default());
        let (jobs, inbox) = mpsc::channel(4 * GROUP_MAX);
        let durable = options.durability == Durability::Full;
        connection
            .pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })
            .map_err(fail)?;
        let log = log(path).map_err(|error| Error::Open {
            location: path.display().to_string(),
            problem: format!("the links to it cannot be followed: {error}"),
        })?;
        let room = Room::new(log.clone());
        let writer = Writer::new(connection, path.to_owned(), identity, hints.clone(), inbox, durable, room);
        let pool = Pool::start(path, options.readers)?;
        let watching = pool::connect(path)?;
        let mut engine =
            Self { jobs: Some(jobs), pool: Some(pool), hints: hints.clone(), threads: Vec::new() };
        engine.spawn("sqlite-watch", move || watch::run(&log, &watching, &hints))?;
        engine.spawn("sqlite-write", move || writer.run())?;
        Ok(Arc::new(engine))
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = std::thread::Builder::new().name(name.into()).spawn(work);
        self.threads.push(thread.map_err(|error| Error::Failed {
            location: "sqlite".into(),
            problem: format!("cannot start a thread: {error}"),
        })?);
        Ok(())
    }

    fn jobs(&self) -> Result<&mpsc::Sender<Job>, Error> {
        self.jobs.as_ref().ok_or(Error::Closed)
    }
}

/// Where SQLite keeps the write-ahead log: beside the file itself, wherever a link to that stands.
fn log(path: &Path) -> std::io::Result<PathBuf> {
    let mut log = path.canonicalize()?.into_os_string();
    log.push("-wal");
    Ok(log.into())
}

/// Waits a moment for another process's commit, which takes about as long as a sync of the disk. SQLite's own waiting
/// steps grow to a tenth of a second, and with several writers each would spend most of its time in them.
fn wait_for_others(attempts: i32) -> bool {
    const STEP: Duration = Duration::from_micros(500);
    std::thread::sleep(if attempts < 10 { STEP / 5 } else { STEP });
    STEP * u32::try_from(attempts).unwrap_or(0) < BUSY_WAIT
}

/// Plans are made for a statement, not for the values bound to it. Otherwise SQLite, built with statistics, parses and
/// plans a prepared statement anew whenever a value has changed that a range of an index depends on: at each claim.
pub(crate) fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// A connection that writes.
fn connect(path: &Path) -> Result<Connection, Error> {
    let fail = |error: rusqlite::Error| translate(path, &error);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
    connection.busy_handler(Some(wait_for_others)).map_err(fail)?;
    let settings: [(&str, &dyn rusqlite::ToSql); 5] = [
        ("journal_mode", &"WAL"),
        ("wal_autocheckpoint", &8_000),
        ("cache_size", &-16_000),
        ("temp_store", &"MEMORY"),
        ("journal_size_limit", &67_108_864),
    ];
    for (name, value) in settings {
        connection.pragma_update(None, name, value).map_err(fail)?;
    }
    keep_plans(&connection).map_err(fail)?;
    // A file system that cannot share memory between processes cannot hold the log, and SQLite falls back silently.
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(fail)?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Error::Open {
            location: path.display().to_string(),
            problem: "the file system does not support SQLite's write-ahead log; use a local disk".into(),
        });
    }
    Ok(connection)
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.hints.closed.store(true, Ordering::Relaxed);
        self.jobs = None;
        self.pool = None;
        // The watcher sleeps for up to a second and holds nothing that matters; only the writer is waited for.
        if let Some(writer) = self.threads.pop() {
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Engine for Sqlite {
    fn capabilities(&self) -> Capabilities {
        Capabilities { engine: "sqlite", durable: true, shared: true, sql: true }
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Committed, Error> {
        let (reply, answer) = oneshot::channel();
        self.jobs()?.send(Job::Batch(ops, reply)).await.map_err(|_| Error::Closed)?;
        Ok(answer.await.map_err(|_| Error::Closed)??.0)
    }

    async fn begin(&self) -> Result<Box<dyn EngineTx>, Error> {
        let (reply, ready) = oneshot::channel();
        let (steps, inbox) = std::sync::mpsc::channel();
        self.jobs()?.send(Job::Steps(reply, inbox)).await.map_err(|_| Error::Closed)?;
        ready.await.map_err(|_| Error::Closed)??;
        Ok(Box::new(SqliteTx(steps)))
    }

    async fn query(&self, query: Query) -> Result<Answer, Error> {
        self.pool.as_ref().ok_or(Error::Closed)?.query(query).await
    }

    fn changes(&self, stream: &str) -> Changes {
        self.hints.watch(stream)
    }
}

/// A transaction that the writer is waiting on.
struct SqliteTx(Steps);

#[async_trait]
impl EngineTx for SqliteTx {
    async fn apply(&mut self, ops: Vec<Op>) -> Result<Vec<Outcome>, Error> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Step::Apply(ops, reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    async fn commit(self: Box<Self>, ops: Vec<Op>) -> Result<Committed, Error> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Step::Commit(ops, reply)).map_err(|_| gone())?;
        Ok(answer.await.map_err(|_| gone())??.0)
    }
}

/// The writer has let go of a transaction: it took too long, or an earlier step failed.
fn gone() -> Error {
    Error::TooSlow { limit: TRANSACTION_MAX }
}

//! The one writer: takes what waits, commits once, tells everyone.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver as StdReceiver, RecvTimeoutError};
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::{Duration, Instant};

use dozen_core::Token;
use dozen_store::{Committed, Error, Op, Outcome};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error::translate;
use crate::ops::{Memory, Scribe};
use crate::room::Room;
use crate::rows::unsigned;
use crate::schema::Identity;
use crate::watch::Hints;

/// Callers in one group, at most: bounds how long the first waits for the last.
pub(crate) const GROUP_MAX: usize = 1_024;
/// A group takes no further caller after this long.
const GROUP_TIME: Duration = Duration::from_millis(20);
/// Row versions that one group may give, as a power of two: sixteen million in the seconds that it may last.
const VERSIONS_BITS: u32 = 24;
/// How long a transaction may stay open, its owner's thinking included. Everybody else waits meanwhile.
pub(crate) const TRANSACTION_MAX: Duration = Duration::from_secs(5);

pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What the caller of a commit is told, and what it had asked for: freeing that is not the writer's work.
pub(crate) type Told = (Committed, Vec<Op>);

/// What callers ask of the writer.
pub(crate) enum Job {
    /// A transaction that is known in full.
    Batch(Vec<Op>, Reply<Told>),
    /// A transaction that is decided step by step.
    Steps(Reply<()>, StdReceiver<Step>),
}

/// One step of a transaction.
pub(crate) enum Step {
    Apply(Vec<Op>, Reply<Vec<Outcome>>),
    Commit(Vec<Op>, Reply<Told>),
}

/// The other end of [`Job::Steps`].
pub(crate) type Steps = std_mpsc::Sender<Step>;

/// Owns the connection that writes.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) hints: Arc<Hints>,
    pub(crate) inbox: mpsc::Receiver<Job>,
    /// Whether a commit is synced at all: false where the user chose speed over power cuts.
    pub(crate) durable: bool,
    memory: Memory,
    room: Room,
    synced: bool,
}

/// Callers whose savepoint is released, waiting for the commit.
type Waiting = Vec<(Vec<Outcome>, Vec<Op>, Reply<Told>)>;

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        path: PathBuf,
        identity: Identity,
        hints: Arc<Hints>,
        inbox: mpsc::Receiver<Job>,
        durable: bool,
        room: Room,
    ) -> Self {
        // No other opening of this file gives the same fences.
        let memory = Memory { fence: identity.opened << 40, ..Memory::default() };
        Self { connection, path, identity, hints, inbox, durable, memory, room, synced: durable }
    }

    /// Runs until nobody can ask any more.
    pub(crate) fn run(mut self) {
        // What a group needs is kept for the next one: the writer's time is everybody's.
        let mut received = Vec::with_capacity(GROUP_MAX);
        let mut jobs = VecDeque::with_capacity(GROUP_MAX);
        let mut waiting = Waiting::with_capacity(GROUP_MAX);
        let mut touched = HashSet::new();
        while self.inbox.blocking_recv_many(&mut received, GROUP_MAX) > 0 {
            jobs.extend(received.drain(..));
            match self.group(&mut jobs, &mut waiting, &mut touched) {
                Ok(()) => {
                    self.hints.touch(touched.iter());
                    let token = Token {
                        store: self.identity.store.clone(),
                        epoch: self.identity.epoch,
                        position: unsigned(self.memory.head),
                    };
                    for (outcomes, ops, reply) in waiting.drain(..) {
                        let _ = reply.send(Ok((Committed { outcomes, token: token.clone() }, ops)));
                    }
                }
                Err(error) => {
                    // Nothing of the group is there. What was remembered of it is forgotten, too.
                    let _ = self.connection.execute_batch("rollback");
                    self.memory = Memory { fence: self.memory.fence, ..Memory::default() };
                    for (_, _, reply) in waiting.drain(..) {
                        let _ = reply.send(Err(error.clone()));
                    }
                    for job in jobs.drain(..) {
                        match job {
                            Job::Batch(_, reply) => drop(reply.send(Err(error.clone()))),
                            Job::Steps(reply, _) => drop(reply.send(Err(error.clone()))),
                        }
                    }
                }
            }
            touched.clear();
        }
        // Whoever copies the file of an application that has ended means all of it. Where other processes have it
        // open, nobody is waited for: the log stays, and they go on with it.
        let _ = self.connection.busy_timeout(Duration::ZERO);
        let _ = self.connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()));
    }

    /// One commit with everybody who waits for one. Leaves in `jobs` those that it did not come to.
    fn group(
        &mut self,
        jobs: &mut VecDeque<Job>,
        waiting: &mut Waiting,
        touched: &mut HashSet<Arc<str>>,
    ) -> Result<(), Error> {
        let fail = |path: &PathBuf, error: rusqlite::Error| translate(path, &error);
        let transient = jobs.iter().all(|job| match job {
            Job::Batch(ops, _) => ops.iter().all(Op::is_transient),
            Job::Steps(..) => false,
        });
        self.sync(self.durable && !transient)?;
        self.connection.execute_batch("begin immediate").map_err(|error| fail(&self.path, error))?;
        if self.synced {
            self.room.keep();
        }
        let (head, commits): (i64, i64) = self
            .connection
            .prepare_cached("select position, appended from dozen_stream where stream = 0")
            .and_then(|mut statement| statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))))
            .map_err(|error| fail(&self.path, error))?;
        (self.memory.head, self.memory.head_written) = (head, head);
        // Every process counts the commits of all, in the commit itself: what begins with their number only grows.
        self.memory.version = self.identity.versions + (commits << VERSIONS_BITS);
        let start = Instant::now();
        let mut changed = false;
        loop {
            let Some(job) = jobs.pop_front() else {
                // While this group worked, more may have come; they share its commit. A group of leases takes only
                // what was there: the others would lose their sync.
                let room = GROUP_MAX.saturating_sub(waiting.len());
                if transient || room == 0 || start.elapsed() > GROUP_TIME {
                    break;
                }
                match self.inbox.try_recv() {
                    Ok(job) => jobs.push_back(job),
                    Err(_) => break,
                }
                continue;
            };
            match job {
                Job::Batch(ops, reply) => self.batch(ops, reply, waiting, touched, &mut changed)?,
                Job::Steps(reply, steps) => self.steps(reply, &steps, waiting, touched, &mut changed)?,
            }
        }
        let finish = |writer: &mut Self| -> rusqlite::Result<()> {
            writer.memory.uncounted.flush(&writer.connection)?;
            if changed {
                writer
                    .connection
                    .prepare_cached(
                        "update dozen_stream set position = ?1, appended = appended + 1 where stream = 0",
                    )?
                    .execute([writer.memory.head])?;
            }
            writer.connection.execute_batch("commit")
        };
        // Counted before it can be seen, and while nobody else can commit: see `watch`.
        let counted = i64::from(changed);
        self.hints.own_commits.fetch_add(counted, Ordering::SeqCst);
        let finished = finish(self);
        if finished.is_err() {
            self.hints.own_commits.fetch_sub(counted, Ordering::SeqCst);
        }
        finished.map_err(|error| fail(&self.path, error))
    }

    /// Whether the next commit waits for the disk.
    fn sync(&mut self, synced: bool) -> Result<(), Error> {
        if self.synced != synced {
            let level = if synced { "FULL" } else { "NORMAL" };
            self.connection
                .pragma_update(None, "synchronous", level)
                .map_err(|error| translate(&self.path, &error))?;
            self.synced = synced;
        }
        Ok(())
    }

    fn scribe<'a>(&'a mut self, touched: &'a mut HashSet<Arc<str>>) -> Scribe<'a> {
        Scribe {
            connection: &self.connection,
            path: &self.path,
            memory: &mut self.memory,
            touched,
            changed: false,
        }
    }

    /// A transaction that is known in full. `Err` only when the whole group is lost.
    fn batch(
        &mut self,
        ops: Vec<Op>,
        reply: Reply<Told>,
        waiting: &mut Waiting,
        touched: &mut HashSet<Arc<str>>,
        changed: &mut bool,
    ) -> Result<(), Error> {
        if reply.is_closed() {
            return Ok(()); // the caller has gone before anything happened
        }
        // One message is one statement, and a statement is all or nothing by itself.
        if let [op @ Op::Append(append)] = &ops[..]
            && append.records.len() == 1
        {
            let mut scribe = self.scribe(touched);
            let result = scribe.apply(op);
            *changed |= scribe.changed;
            return self.answer(result.map(|outcome| vec![outcome]), ops, reply, waiting);
        }
        self.savepoint()?;
        let mut scribe = self.scribe(touched);
        let result = ops.iter().map(|op| scribe.apply(op)).collect::<Result<Vec<_>, _>>();
        *changed |= scribe.changed;
        // A lease for somebody who has gone would keep its messages from everybody else until it ends.
        let wanted = !(reply.is_closed() && ops.iter().all(Op::is_transient));
        self.release(result.is_ok() && wanted)?;
        self.answer(result, ops, reply, waiting)
    }

    /// A transaction step by step: nobody else writes until it ends.
    fn steps(
        &mut self,
        ready: Reply<()>,
        steps: &StdReceiver<Step>,
        waiting: &mut Waiting,
        touched: &mut HashSet<Arc<str>>,
        changed: &mut bool,
    ) -> Result<(), Error> {
        self.savepoint()?;
        if ready.send(Ok(())).is_err() {
            return self.release(false);
        }
        let deadline = Instant::now() + TRANSACTION_MAX;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let step = match steps.recv_timeout(left) {
                Ok(step) => step,
                // Dropped by its owner, or forgotten.
                Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {
                    return self.release(false);
                }
            };
            let (Step::Apply(ops, _) | Step::Commit(ops, _)) = &step;
            let mut scribe = self.scribe(touched);
            let result = ops.iter().map(|op| scribe.apply(op)).collect::<Result<Vec<_>, _>>();
            *changed |= scribe.changed;
            if self.connection.is_autocommit() {
                return Err(self.lost());
            }
            match (step, result) {
                (Step::Apply(_, reply), Ok(outcomes)) => drop(reply.send(Ok(outcomes))),
                (Step::Apply(_, reply), Err(error)) => {
                    self.release(false)?;
                    let _ = reply.send(Err(error));
                    return Ok(());
                }
                (Step::Commit(ops, reply), result) => {
                    self.release(result.is_ok())?;
                    return self.answer(result, ops, reply, waiting);
                }
            }
        }
    }

    fn savepoint(&mut self) -> Result<(), Error> {
        let run = |writer: &mut Self| {
            // Counted now, so that rolling back to here forgets nobody else's appends.
            writer.memory.uncounted.flush(&writer.connection)?;
            writer.connection.prepare_cached("savepoint caller")?.execute([])
        };
        run(self).map(drop).map_err(|error| translate(&self.path, &error))
    }

    fn release(&mut self, keep: bool) -> Result<(), Error> {
        if self.connection.is_autocommit() {
            return Err(self.lost());
        }
        let run = |writer: &mut Self| -> rusqlite::Result<()> {
            if !keep {
                writer.memory.uncounted.clear();
                // A stream or reader that the savepoint made is gone with it.
                writer.memory.streams.clear();
                writer.memory.readers.clear();
                writer.memory.clocks.clear();
                writer.memory.head_written = -1;
                writer.connection.prepare_cached("rollback to caller")?.execute([])?;
            }
            writer.connection.prepare_cached("release caller")?.execute([]).map(drop)
        };
        run(self).map_err(|error| translate(&self.path, &error))
    }

    /// SQLite has ended the transaction by itself, as it does on a full disk: the group is gone.
    fn lost(&self) -> Error {
        Error::Failed {
            location: self.path.display().to_string(),
            problem: "SQLite rolled the whole transaction back; nothing of it was kept".into(),
        }
    }

    fn answer(
        &mut self,
        result: Result<Vec<Outcome>, Error>,
        ops: Vec<Op>,
        reply: Reply<Told>,
        waiting: &mut Waiting,
    ) -> Result<(), Error> {
        match result {
            Ok(outcomes) => waiting.push((outcomes, ops, reply)),
            Err(error) => {
                let lost = self.connection.is_autocommit();
                let _ = reply.send(Err(error.clone()));
                if lost {
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

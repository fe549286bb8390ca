//! Threads that read, each with a connection of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use dozen_store::{Answer, Error, Query};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, oneshot};

use crate::error::{BUSY_WAIT, translate};
use crate::sqlite::keep_plans;

/// Queries that may wait or run at the same time; further callers wait for a place.
const WAITING_MAX: usize = 1_024;

type Job = (Query, oneshot::Sender<Result<Answer, Error>>);

/// Answers queries beside the writer.
pub(crate) struct Pool {
    jobs: Option<Sender<Job>>,
    places: Semaphore,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts `threads` readers of the file.
    pub(crate) fn start(path: &Path, threads: usize) -> Result<Self, Error> {
        let (jobs, inbox) = channel::<Job>();
        let inbox = Arc::new(Mutex::new(inbox));
        let mut pool = Self { jobs: Some(jobs), places: Semaphore::new(WAITING_MAX), threads: Vec::new() };
        for number in 0..threads.max(1) {
            let connection = connect(path)?;
            let (path, inbox) = (path.to_owned(), inbox.clone());
            let thread = std::thread::Builder::new()
                .name(format!("sqlite-read-{number}"))
                .spawn(move || serve(&connection, &path, &inbox))
                .map_err(|error| Error::Failed {
                    location: "sqlite".into(),
                    problem: format!("cannot start a thread: {error}"),
                })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Answers one query.
    pub(crate) async fn query(&self, query: Query) -> Result<Answer, Error> {
        let _place = self.places.acquire().await.map_err(|_| Error::Closed)?;
        let (reply, answer) = oneshot::channel();
        self.jobs.as_ref().ok_or(Error::Closed)?.send((query, reply)).map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A connection that cannot write.
pub(crate) fn connect(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        connection.pragma_update(None, "cache_size", -2_000)?;
        keep_plans(&connection)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|error| translate(path, &error))
}

fn serve(connection: &Connection, path: &Path, inbox: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting: one thread waits for the next job, the others for the lock.
        let job = match inbox.lock() {
            Ok(inbox) => inbox.recv(),
            Err(_) => return,
        };
        let Ok((query, reply)) = job else { return };
        if reply.is_closed() {
            continue; // the caller has gone
        }
        let _ = reply.send(crate::read::answer(connection, path, &query));
    }
}

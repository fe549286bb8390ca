//! Every row of the mission as a test: one file per pattern, each test named after the row that it shows.
//!
//! This library is what those files share: a store of their own, and handlers that report what they see. With
//! `DOZEN_ENGINE=postgres` in the environment, the stores are databases of a PostgreSQL server that is started for them;
//! without, they are SQLite files. Not a line of the tests differs.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Ids, SystemClock};
use dozen_harness::Postgres;
use dozen_lifecycle::{Ready, Service, Stop};
use dozen_messaging::{Delivery, Handler, Verdict};
use dozen_store::Store;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Longer than anything here takes; a test that reaches it has failed.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A store of its own; gone when dropped.
pub struct Place {
    ground: Ground,
    seed: u64,
}

enum Ground {
    /// A folder with a file.
    Sqlite(tempfile::TempDir),
    /// A server that several places share, and the address of a database there.
    Postgres { _server: Arc<Postgres>, address: String },
}

/// The server that the places of this process share for as long as there are any.
static SERVER: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

fn server() -> Arc<Postgres> {
    let mut shared = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let started = Arc::new(Postgres::start(&[]).expect("a PostgreSQL server"));
        *shared = Arc::downgrade(&started);
        started
    })
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// A new one, on the engine that the environment chooses.
    pub fn new() -> Self {
        let ground = match std::env::var("DOZEN_ENGINE").as_deref() {
            Ok("postgres") => {
                let server = server();
                let database = server.fresh_database().expect("a database");
                let address = server.url(&database);
                Ground::Postgres { _server: server, address }
            }
            Ok("sqlite") | Err(_) => Ground::Sqlite(tempfile::tempdir().expect("a folder")),
            Ok(other) => panic!("DOZEN_ENGINE={other}: there are `sqlite` and `postgres`"),
        };
        Self { ground, seed: 1 }
    }

    /// Opens the store: each time as another process would.
    pub async fn open(&self) -> Store {
        dozen_open::open(&self.address()).await.expect("open the store")
    }

    /// Its address.
    pub fn address(&self) -> String {
        match &self.ground {
            Ground::Sqlite(folder) => format!("sqlite:{}", folder.path().join("test.db").display()),
            Ground::Postgres { address, .. } => address.clone(),
        }
    }

    /// Ids that replay.
    pub fn ids(&self) -> Ids {
        Ids::new(Arc::new(SystemClock), self.seed)
    }
}

/// Runs a service until it is stopped.
pub struct Running {
    stop: Stop,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts it.
    pub fn start(service: impl Service) -> Self {
        let stop = Stop::new();
        let (ready, _) = Ready::channel();
        let run = Arc::new(service).run(stop.clone(), ready);
        let task = tokio::spawn(async move { run.await.expect("the service ends well") });
        Self { stop, task }
    }

    /// Lets it finish what it has begun.
    pub async fn stop(self) {
        self.stop.soft.cancel();
        self.task.await.expect("it did not panic");
    }

    /// Kills it where it stands: what it had in hand stays unsettled.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// A handler that reports each delivery and answers as it is told.
pub struct Reporting<F> {
    seen: mpsc::UnboundedSender<Delivery>,
    answer: F,
}

/// A handler, and where its deliveries arrive.
pub fn reporting<F>(answer: F) -> (Arc<dyn Handler>, mpsc::UnboundedReceiver<Delivery>)
where
    F: Fn(&Delivery) -> Verdict + Send + Sync + 'static,
{
    let (seen, deliveries) = mpsc::unbounded_channel();
    (Arc::new(Reporting { seen, answer }), deliveries)
}

#[async_trait]
impl<F: Fn(&Delivery) -> Verdict + Send + Sync + 'static> Handler for Reporting<F> {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let _ = self.seen.send(delivery.clone());
        (self.answer)(delivery)
    }
}

/// The next delivery, or a failed test.
pub async fn next(deliveries: &mut mpsc::UnboundedReceiver<Delivery>) -> Delivery {
    tokio::time::timeout(DEADLINE, deliveries.recv()).await.expect("a delivery in time").expect("a handler")
}

/// Waits until `done` says so, woken by each change of `stream`.
pub async fn until(store: &Store, stream: &str, done: impl AsyncFn() -> bool) {
    let mut changes = store.journal().changes(stream);
    let wait = async {
        while !done().await {
            // An acknowledgement without a key is not worth a hint, so it is also asked now and then.
            let _ = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("it happens in time");
}

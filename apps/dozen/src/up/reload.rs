//! A changed file, taken over while everything runs.
//!
//! ```text
//!  a file changes ───┐
//!  SIGHUP ───────────┼──► read whole ──► held against what runs ──► all of it prepared ──► one swap ──► said
//!  POST …/reload ────┘         │                   │                       │
//!                              └── mistakes        └── what only another   └── a certificate that cannot be read
//!                                                      process can be
//!                                  all of them said, nothing taken over
//! ```
//!
//! What can change: the gateway's section and `traces`, services that run elsewhere, how services are called, the bounds of
//! features, and providers and translators, but not the topics that these read. All else of the file says what was started. A file
//! that is refused changes nothing, whatever else is in it; what ran before goes on, and the files are looked at again when one of
//! them changes: the file itself, and those that it names (schemas, documents, examples, `${file:…}`).
//!
//! *One state.* Services, translators, features and routes are prepared, all of them, before the first is swapped. Routes and
//! features are one configuration: a request is decided upon by both as one file has them, from its beginning to its end. Services
//! and translators are found by their names, as anything that may be deployed anew: what is new is there before the first route
//! that leads to it, what is gone goes when no request is decided upon any more that may lead to it, and what stays may answer
//! in its new form a request that began a moment before.
//!
//! One reload runs at a time, and none is left half done because whoever asked for it went away: the task that watches does them
//! all.

mod outcome;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use dozen_discovery::Names;
use dozen_gateway::{Beside, Gateway, Options};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::elsewhere::Moves;
use super::features::Facade;
use super::files::Files;
use super::traces::Traces;
use super::{gateway_options, translators};
use crate::config::{self, App, Loaded, Sections};
pub(super) use outcome::Refused;
use outcome::Taken;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long what is gone is kept for requests that wait to be told who is asking; each of those has a shorter patience.
const SETTLE: Duration = Duration::from_secs(10);
/// Requests for a reload that wait.
const ASKS_MAX: usize = 16;

/// What runs.
pub(super) struct Running {
    /// The application as its file has it now.
    pub(super) app: Arc<ArcSwap<App>>,
    /// What of the file was started.
    pub(super) sections: Sections,
    pub(super) names: Arc<Names>,
    pub(super) gateway: Option<Arc<Gateway>>,
    pub(super) features: Arc<Facade>,
    pub(super) traces: Arc<Traces>,
    pub(super) translators: translators::Reloading,
}

/// Takes over what changed in the file.
pub(super) struct Reloader {
    path: PathBuf,
    /// What the application was read from.
    files: Files,
    running: Running,
    hangup: Arc<Notify>,
    ask: mpsc::Sender<Ask>,
    asked: Mutex<mpsc::Receiver<Ask>>,
}

type Ask = oneshot::Sender<Result<Taken, Refused>>;

impl Reloader {
    /// `files` are what `running` was read from.
    pub(super) fn new(path: PathBuf, files: Files, running: Running, hangup: Arc<Notify>) -> Self {
        let (ask, asked) = mpsc::channel(ASKS_MAX);
        Self { path, files, running, hangup, ask, asked: Mutex::new(asked) }
    }

    /// Takes the file over, or leaves everything as it is. `files` become what it was read from.
    async fn reload(&self, files: &mut Files) -> Result<Taken, Refused> {
        let (read, seen) = read(self.path.clone()).await?;
        *files = if read.is_ok() { seen } else { std::mem::take(files).and(seen) };
        let Loaded { app, sections, .. } = read?;
        let Running { gateway, features, translators, traces, names, .. } = &self.running;
        let before = self.running.app.load_full();
        let mut fixed: BTreeSet<String> = self.running.sections.differing(&sections).into_iter().collect();
        if translators::can_change(&before, &app) {
            fixed.retain(|section| !matches!(section.as_str(), "providers" | "translators"));
        }
        if gateway.is_some() != app.gateway.is_some() {
            fixed.insert("gateway".to_owned());
        }
        if !fixed.is_empty() {
            return Err(Refused::Fixed { sections: fixed.into_iter().collect() });
        }

        // All that can fail, before anything changes.
        let moves = Moves::between(&before, &app);
        moves.check(names)?;
        let changed =
            (before.translators != app.translators).then(|| translators.prepare(&app)).transpose()?;
        let view = features.prepare(&app.features).await?;

        let mut taken = Taken { services: moves.told.clone(), ..Taken::default() };
        taken.translators = changed.is_some();
        let mut closing = Vec::new();
        let swap = || {
            closing = changed.map(|changed| translators.take_over(changed)).unwrap_or_default();
            moves.declare(names);
            taken.features = view.take_over();
            taken.traces = traces.apply(app.traces.as_ref());
        };
        match gateway.as_ref().zip(gateway_options(&app)) {
            None => swap(),
            Some((gateway, wanted)) => {
                // What the file does not name stays as it was set when it began.
                let running = gateway.options();
                let wanted = Options { workers: running.workers, usual: running.usual.clone(), ..wanted };
                let beside = Beside {
                    features: Some(view.clone()),
                    parted: moves.parted.clone(),
                    meanwhile: Some(Box::new(swap)),
                };
                let applied = gateway.apply_beside(&wanted, beside)?;
                if timeout(SETTLE, applied.settled()).await.is_err() {
                    tracing::warn!("requests that still wait to be let in may find their service gone");
                }
                (taken.diff, taken.revision) = (applied.diff, gateway.revision());
            }
        }
        closing.retain(|name| app.service(name).is_none());
        moves.withdraw(names);
        translators.close(closing);
        self.running.app.store(Arc::new(app));
        Ok(taken)
    }

    /// Whether the file can be read: another process may come up with it, whatever it says.
    pub(super) async fn check(&self) -> Result<(), Refused> {
        read(self.path.clone()).await?.0?;
        Ok(())
    }

    async fn reload_and_say(&self, files: &mut Files) {
        outcome::log(&self.reload(files).await);
    }

    /// `POST /dozen/v1/reload`.
    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/dozen/v1/reload", post(asked)).with_state(self.ask.clone())
    }
}

/// Reads a file where it may take its time.
async fn read(path: PathBuf) -> Result<(Result<Loaded, config::Error>, Files), Refused> {
    // A thread that is not begun any more is one of a runtime that ends.
    tokio::task::spawn_blocking(move || Files::load(&path)).await.map_err(|_| Refused::Stopping)
}

async fn asked(State(ask): State<mpsc::Sender<Ask>>) -> Response {
    let (reply, told) = oneshot::channel();
    let taken = match ask.send(reply).await {
        Ok(()) => told.await.unwrap_or(Err(Refused::Stopping)),
        Err(_) => Err(Refused::Stopping),
    };
    outcome::answer(taken)
}

#[async_trait]
impl Service for Reloader {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        let mut asked = self.asked.lock().await;
        let mut known = self.files.clone();
        let mut seen = None;
        loop {
            tokio::select! {
                () = stop.soft.cancelled() => break,
                () = self.hangup.notified() => self.reload_and_say(&mut known).await,
                Some(ask) = asked.recv() => {
                    let taken = self.reload(&mut known).await;
                    // Who has gone away meanwhile need not be told.
                    drop(ask.send(taken));
                }
                () = sleep(LOOK) => {
                    let now = known.again();
                    // Twice the same: whoever writes them has finished. A file that is away is being replaced.
                    if now != known && seen.as_ref() == Some(&now) && now.has(&self.path) {
                        self.reload_and_say(&mut known).await;
                    }
                    seen = Some(now);
                }
            }
        }
        // Who still waits is told by the end of the channel.
        asked.close();
        while asked.recv().await.is_some() {}
        Ok(())
    }
}

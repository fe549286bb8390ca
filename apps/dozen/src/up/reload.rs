//! A changed file, taken over while everything runs.
//!
//! ```text
//!  the file changes ─┐
//!  SIGHUP ───────────┼──► read whole ──► held against what runs ──► Gateway::apply ──► said
//!  POST …/reload ────┘         │                   │
//!                              └── mistakes        └── what only a restart can change
//!                                  all of them said, nothing taken over
//! ```
//!
//! What can change: the gateway's section, how services are called, the bounds of features, and providers and translators, but
//! not the topics that these read. All else of the file says what was started. A file that is refused changes nothing, whatever
//! else is in it; what ran before goes on, and the file is looked at again when it changes again.
//! One reload runs at a time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use dozen_core::chain;
use dozen_gateway::{Diff, Gateway};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_openapi::Problem;
use http::StatusCode;
use serde_json::json;
use tokio::sync::{Mutex, Notify};

use super::features::Facade;
use super::{gateway_options, translators};
use crate::config::{self, App, Loaded};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What runs.
pub(super) struct Running {
    pub(super) app: Arc<App>,
    /// The sections of the file, as they were read.
    pub(super) sections: Vec<(String, String)>,
    pub(super) gateway: Option<Arc<Gateway>>,
    pub(super) features: Arc<Facade>,
    pub(super) translators: translators::Reloading,
}

/// Takes over what changed in the file.
pub(super) struct Reloader {
    path: PathBuf,
    running: Running,
    hangup: Arc<Notify>,
    /// One reload at a time; and the translators that were taken over last.
    turn: Mutex<config::Translators>,
}

/// Why a file is not taken over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    File(#[from] config::Error),
    #[error("`{}` cannot change while dozen runs; restart it, or take the change back", sections.join("`, `"))]
    Fixed { sections: Vec<String> },
    #[error("the file has no gateway and no translators, and nothing else can change while dozen runs")]
    Nothing,
    #[error(transparent)]
    Gateway(#[from] dozen_gateway::Error),
    #[error(transparent)]
    Features(#[from] dozen_strangler::Error),
    #[error(transparent)]
    Translators(#[from] crate::Error),
}

/// What was taken over.
#[derive(Default)]
pub(super) struct Taken {
    diff: Diff,
    revision: u64,
    /// The features whose bounds are others now.
    features: Vec<String>,
    /// Whether the translators are others now.
    translators: bool,
}

impl Taken {
    fn is_nothing(&self) -> bool {
        self.diff.is_empty() && self.features.is_empty() && !self.translators
    }
}

/// What distinguishes two states of a file without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp(Option<(std::time::SystemTime, u64, u64)>);

impl Reloader {
    pub(super) fn new(path: PathBuf, running: Running, hangup: Arc<Notify>) -> Self {
        let turn = Mutex::new(running.app.translators.clone());
        Self { path, running, hangup, turn }
    }

    /// Takes the file over, or leaves everything as it is.
    pub(super) async fn reload(&self) -> Result<Taken, Refused> {
        let mut turn = self.turn.lock().await;
        let loaded = self.load().await?;
        // Compiled before anything changes: what follows cannot fail any more.
        let own = &loaded.app.translators;
        let changed = (*turn != *own).then(|| self.running.translators.prepare(&loaded.app)).transpose()?;
        let take_over = || {
            let is_changed = changed.is_some();
            if let Some(translators) = changed {
                self.running.translators.take_over(translators);
                *turn = own.clone();
            }
            is_changed
        };
        let Some((gateway, wanted)) = self.running.gateway.as_ref().zip(gateway_options(&loaded.app)) else {
            if own.options.translators.is_empty() {
                return Err(Refused::Nothing);
            }
            return Ok(Taken { translators: take_over(), ..Taken::default() });
        };
        // What the file does not name stays as it was set when it began.
        let running = gateway.options();
        let wanted =
            dozen_gateway::Options { workers: running.workers, usual: running.usual.clone(), ..wanted };
        // Bounds alone: how far a feature has come stands in the store.
        let bounds = &self.running.features;
        let before = bounds.options();
        let features = bounds.apply(&loaded.app.features)?;
        if let Err(error) = bounds.registry.observe().await {
            tracing::warn!("features are as the file begins them until the store answers: {}", chain(&error));
        }
        let diff = gateway.apply(&wanted).inspect_err(|_| {
            if let Err(error) = bounds.apply(&before) {
                tracing::error!("the features that ran are refused: {}", chain(&error));
            }
        })?;
        let translators = take_over();
        Ok(Taken { diff, revision: gateway.revision(), features, translators })
    }

    /// Whether the file can be read, and only has changes that another process may come up with beside this one.
    pub(super) async fn check(&self) -> Result<(), Refused> {
        self.load().await.map(drop)
    }

    async fn load(&self) -> Result<Loaded, Refused> {
        let path = self.path.clone();
        let loaded = match tokio::task::spawn_blocking(move || config::load(&path)).await {
            Ok(loaded) => loaded?,
            Err(_) => return Err(Refused::Nothing),
        };
        let mut sections = config::differing(&self.running.sections, &loaded.sections);
        let translated = ["providers", "translators"];
        if translators::can_change(&self.running.app, &loaded.app) {
            sections.retain(|section| !translated.contains(&section.as_str()));
        }
        if sections.is_empty() { Ok(loaded) } else { Err(Refused::Fixed { sections }) }
    }

    async fn reload_and_say(&self) {
        match self.reload().await {
            Ok(taken) => tracing::info!(
                added = taken.diff.added.len(),
                removed = taken.diff.removed.len(),
                changed = taken.diff.changed.len(),
                services = taken.diff.services_changed.len(),
                streams_end = taken.diff.closes.len(),
                features = taken.features.join(", "),
                translators = taken.translators,
                revision = taken.revision,
                "{}",
                if taken.is_nothing() {
                    "the file was read again; nothing changed"
                } else {
                    "the file was taken over"
                }
            ),
            Err(refused) => {
                tracing::error!("the file is not taken over, and what ran goes on: {}", chain(&refused))
            }
        }
    }

    fn stamp(&self) -> Stamp {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(&self.path).ok();
        Stamp(metadata.and_then(|of| Some((of.modified().ok()?, of.len(), of.ino()))))
    }

    /// `POST /dozen/v1/reload`.
    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/dozen/v1/reload", post(asked)).with_state(self.clone())
    }
}

async fn asked(State(reloader): State<Arc<Reloader>>) -> Response {
    match reloader.reload().await {
        Ok(Taken { diff, revision, features, translators }) => {
            let taken = json!({ "revision": revision, "diff": diff, "features": features, "translators": translators });
            Json(taken).into_response()
        }
        Err(refused) => {
            let problem = Problem {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                page: "reload-refused",
                title: "The file is not taken over",
                help: "what ran before goes on; correct the file and ask again".into(),
                at: None,
                ..Problem::invalid("", chain(&refused))
            };
            problem.into_response()
        }
    }
}

#[async_trait]
impl Service for Reloader {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        let mut known = self.stamp();
        let mut seen = known.clone();
        loop {
            tokio::select! {
                () = stop.soft.cancelled() => return Ok(()),
                () = self.hangup.notified() => {
                    known = self.stamp();
                    seen = known.clone();
                    self.reload_and_say().await;
                }
                () = tokio::time::sleep(LOOK) => {
                    let now = self.stamp();
                    // Twice the same: whoever writes it has finished. A file that is away is being replaced.
                    if now != known && now == seen && now.0.is_some() {
                        known = now.clone();
                        self.reload_and_say().await;
                    }
                    seen = now;
                }
            }
        }
    }
}

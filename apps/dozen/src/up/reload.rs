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
//! Only the gateway's section can change: all else of the file says what was started. A file that is refused changes
//! nothing, whatever else is in it; what ran before goes on, and the file is looked at again when it changes again.
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

use super::gateway_options;
use crate::config::{self, Loaded};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Takes over what changed in the file.
pub(super) struct Reloader {
    path: PathBuf,
    gateway: Option<Arc<Gateway>>,
    /// The sections that run, as they were read.
    running: Vec<(String, String)>,
    hangup: Arc<Notify>,
    turn: Mutex<()>,
}

/// Why a file is not taken over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    File(#[from] config::Error),
    #[error("`{}` cannot change while dozen runs; restart it, or take the change back", sections.join("`, `"))]
    Fixed { sections: Vec<String> },
    #[error("the file has no gateway, and nothing else can change while dozen runs")]
    Nothing,
    #[error(transparent)]
    Gateway(#[from] dozen_gateway::Error),
}

/// What distinguishes two states of a file without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp(Option<(std::time::SystemTime, u64, u64)>);

impl Reloader {
    pub(super) fn new(
        path: PathBuf,
        running: &[(String, String)],
        gateway: Option<Arc<Gateway>>,
        hangup: Arc<Notify>,
    ) -> Self {
        Self { path, gateway, running: running.to_vec(), hangup, turn: Mutex::new(()) }
    }

    /// Takes the file over, or leaves everything as it is.
    pub(super) async fn reload(&self) -> Result<(Diff, u64), Refused> {
        let _turn = self.turn.lock().await;
        let loaded = self.load().await?;
        let (Some(gateway), Some(wanted)) = (&self.gateway, gateway_options(&loaded.app)) else {
            return Err(Refused::Nothing);
        };
        // What the file does not name stays as it was set when it began.
        let (running, _) = gateway.options();
        let wanted = dozen_gateway::Options {
            routes: wanted.routes,
            trusted: wanted.trusted,
            listen: wanted.listen,
            access_log: wanted.access_log,
            identity: wanted.identity,
            consumers: wanted.consumers,
            plans: wanted.plans,
            shed: wanted.shed,
            ..running
        };
        let diff = gateway.apply(&wanted)?;
        Ok((diff, gateway.options().1))
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
        let sections = config::differing(&self.running, &loaded.sections);
        if sections.is_empty() { Ok(loaded) } else { Err(Refused::Fixed { sections }) }
    }

    async fn reload_and_say(&self) {
        match self.reload().await {
            Ok((diff, _)) if diff.is_empty() => tracing::info!("the file was read again; nothing changed"),
            Ok((diff, revision)) => tracing::info!(
                added = diff.added.len(),
                removed = diff.removed.len(),
                changed = diff.changed.len(),
                streams_end = diff.closes.len(),
                revision,
                "the routes of the file were taken over"
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
        Ok((diff, revision)) => Json(json!({ "revision": revision, "diff": diff })).into_response(),
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

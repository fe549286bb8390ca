//! How a reload ended, as it is told: in the log, and to whoever asked for it.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use dozen_core::chain;
use dozen_gateway::Diff;
use dozen_openapi::Problem;
use http::StatusCode;
use serde_json::json;

use crate::config;
use crate::up::elsewhere::Told;

/// Why a file is not taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    File(#[from] config::Error),
    #[error(
        "{} cannot change while dozen runs; SIGUSR2 has another process take over with this file, a restart does it, too; or \
         take the change back",
        named(sections)
    )]
    Fixed { sections: Vec<String> },
    #[error(transparent)]
    Gateway(#[from] dozen_gateway::Error),
    #[error(transparent)]
    Features(#[from] dozen_strangler::Error),
    #[error(transparent)]
    Part(#[from] crate::Error),
    #[error("the file was not read, because dozen stops")]
    Stopping,
}

/// Sections, and of services what they are to this process.
fn named(sections: &[String]) -> String {
    let one = |section: &String| match section.strip_prefix("services.") {
        Some(service) => format!("what dozen runs for the service `{service}`"),
        None => format!("`{section}`"),
    };
    sections.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What was taken over.
#[derive(Default)]
pub(crate) struct Taken {
    pub(super) diff: Diff,
    pub(super) revision: u64,
    pub(super) services: Told,
    /// The features whose bounds are others now.
    pub(super) features: Vec<String>,
    /// Whether the translators are others now.
    pub(super) translators: bool,
    /// Whether traces go elsewhere, or others are kept.
    pub(super) traces: bool,
}

impl Taken {
    fn is_nothing(&self) -> bool {
        let others = self.translators || self.traces;
        !others && self.diff.is_empty() && self.services.is_empty() && self.features.is_empty()
    }
}

/// Says it in the log.
pub(super) fn log(outcome: &Result<Taken, Refused>) {
    match outcome {
        Ok(taken) => tracing::info!(
            added = taken.diff.added.len(),
            removed = taken.diff.removed.len(),
            changed = taken.diff.changed.len(),
            services = taken.diff.services_changed.len(),
            services_added = taken.services.added.join(", "),
            services_moved = taken.services.moved.join(", "),
            services_removed = taken.services.removed.join(", "),
            streams_end = taken.diff.closes.len(),
            features = taken.features.join(", "),
            translators = taken.translators,
            traces = taken.traces,
            revision = taken.revision,
            "{}",
            if taken.is_nothing() {
                "the file was read again; nothing changed"
            } else {
                "the file was taken over"
            }
        ),
        Err(refused) => {
            tracing::error!("the file is not taken over, and what ran goes on: {}", chain(refused))
        }
    }
}

/// Says it to whoever asked.
pub(super) fn answer(outcome: Result<Taken, Refused>) -> Response {
    match outcome {
        Ok(Taken { diff, revision, services, features, translators, traces }) => {
            let taken = json!({
                "revision": revision, "diff": diff, "services": services, "features": features, "translators": translators,
                "traces": traces,
            });
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

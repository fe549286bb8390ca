//! The queues behind the face: found by name, opened once, told as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use dozen_core::{Mutex, duration};
use dozen_messaging::{declared, unknown};
use dozen_openapi::{Asked, Face, Named, Nothing, Problem};
use serde_json::{Value, json};

use crate::{Options, Overview, Queue, READER};

/// Queues that are kept open. More are opened again when they are asked for.
const OPEN_MAX: usize = 1_000;

/// All queues of a store.
pub(super) struct Queues {
    pub(super) face: Face,
    open: Mutex<BTreeMap<String, Queue>>,
}

impl Queues {
    pub(super) fn new(face: Face) -> Self {
        Self { face, open: Mutex::default() }
    }

    /// The queue `name`, with the settings that are declared for it now.
    pub(super) async fn get(&self, name: &str) -> Result<Queue, Problem> {
        let store = &self.face.store;
        if name.is_empty() || name.len() > 200 || name.chars().any(|c| c.is_control() || c == '/') {
            return Err(Problem::unknown("queue", name, &[]));
        }
        let options: Option<Options> = declared(store, "queue", name).await?;
        let is_declared = options.is_some();
        let options = options.unwrap_or_default();
        if let Some(queue) = self.open().get(name).filter(|queue| *queue.options() == options) {
            return Ok(queue.clone());
        }
        // A program may have opened it without declaring it.
        if !is_declared {
            let standing = store.journal().standing(&Queue::stream(name), &READER.into()).await?;
            if standing.is_none() {
                return Err(unknown(store, "queue", name).await.into());
            }
        }
        let queue = Queue::open_with(store, name, options, self.face.ids.clone()).await?;
        let queue = queue.with_keys(self.face.keys.clone());
        let mut open = self.open();
        if open.len() >= OPEN_MAX {
            open.clear();
        }
        open.insert(name.to_owned(), queue.clone());
        Ok(queue)
    }

    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Queue>> {
        self.open.lock()
    }

    /// A queue as it stands, with its settings.
    async fn told(&self, queue: &Queue) -> Result<Json<Value>, Problem> {
        let all = Overview::of(&self.face.store).await?;
        let mine = all.into_iter().find(|overview| overview.name == queue.name()).unwrap_or_default();
        let mut told = overview(&Overview { name: queue.name().to_owned(), ..mine });
        told["settings"] = settings(queue.options());
        Ok(Json(told))
    }
}

pub(super) async fn list(
    State(queues): State<Arc<Queues>>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Value>, Problem> {
    let all = Overview::of(&queues.face.store).await?;
    Ok(Json(json!({ "queues": all.iter().map(overview).collect::<Vec<_>>() })))
}

pub(super) async fn one(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Json<Value>, Problem> {
    let queue = queues.get(&name).await?;
    queues.told(&queue).await
}

pub(super) async fn pause(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
) -> Result<Json<Value>, Problem> {
    rest(&queues, &name, true).await
}

pub(super) async fn resume(
    State(queues): State<Arc<Queues>>,
    Named(name): Named<String>,
) -> Result<Json<Value>, Problem> {
    rest(&queues, &name, false).await
}

async fn rest(queues: &Queues, name: &str, paused: bool) -> Result<Json<Value>, Problem> {
    let queue = queues.get(name).await?;
    queue.pause(paused).await?;
    queues.told(&queue).await
}

fn overview(overview: &Overview) -> Value {
    json!({
        "name": overview.name,
        "lag": overview.lag(),
        "fresh": overview.fresh,
        "working": overview.working,
        "waiting": overview.waiting,
        "held": overview.held,
        "dead": overview.dead,
        "parked-keys": overview.parked_keys,
        "oldest": overview.oldest.map(|moment| moment.to_string()),
        "paused": overview.paused,
    })
}

fn settings(options: &Options) -> Value {
    json!({
        "lease": duration::text(options.lease),
        "attempts-max": options.policy.attempts_max,
        "bytes-max": options.bytes_max,
        "waiting-max": options.waiting_max,
        "keep": duration::text(options.keep),
        "per-key": options.per_key,
        "priorities": options.priorities,
        "expire": options.expire.map(duration::text),
        "sealed": options.sealed,
    })
}

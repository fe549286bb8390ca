//! The translators of the file: each is found by its name, as a service is.
//!
//! ```text
//!  gateway, compositions ─┐
//!  sidecars, discovery ───┼─ resolve(name) ─► 127.0.0.1:port ─► Served ─► Translator ─┬─► services, over HTTP
//!  subscriptions ─────────┘   the registry    one listener each                       ├─► databases
//!                                                                                     └─► queues, by message and reply
//!  topic, queue ─► worker ─► Translator ─► topic, queue, or the reply
//! ```
//!
//! Whoever calls a service can so call a translator, and no pattern had to learn a new word for it. All of it can change while
//! everything runs, but for the messages that are read: a reload compiles the translators anew, swaps them in one step, and opens
//! and closes listeners as names come and go. Caches, counters and circuits then begin anew; requests under way end with what
//! they began with.

mod domain;
mod faces;
mod others;
mod wires;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use dozen_anticorruption::{Foreign, Metrics, Translator, Translators};
use dozen_core::Ids;
use dozen_dataplane::Caller;
use dozen_discovery::Registry;
use dozen_lifecycle::Service;
use dozen_metrics::{Collector, Page};
use dozen_queue::Queue;

use super::table::Row;
use crate::Error;
use crate::config::App;

pub(crate) use domain::domain;
use faces::{Face, Faces};
pub(crate) use others::Others;
pub(super) use wires::Wires;

/// The translators as they are now.
#[derive(Debug)]
pub(super) struct Current(RwLock<Held>);

#[derive(Debug)]
struct Held {
    now: Arc<Translators>,
    /// Those before, while requests may still be on their way to one that is gone.
    before: Option<Arc<Translators>>,
}

impl Current {
    fn of(translators: Translators) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Held { now: Arc::new(translators), before: None })))
    }

    pub(super) fn all(&self) -> Arc<Translators> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).now.clone()
    }

    pub(super) fn get(&self, name: &str) -> Option<Translator> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let before = || held.before.as_ref()?.get(name);
        held.now.get(name).or_else(before).cloned()
    }

    fn swap(&self, translators: Translators) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.before = Some(std::mem::replace(&mut held.now, Arc::new(translators)));
    }

    fn settle(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).before = None;
    }
}

/// What translators are made with.
#[derive(Clone)]
pub(super) struct Around {
    pub(super) caller: Caller,
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) ids: Ids,
}

impl Around {
    fn compile(&self, app: &App) -> Result<Translators, Error> {
        let others = Others::of(app, self.caller.clone(), &self.queues, &self.ids)?;
        compile(app, Arc::new(others), &self.ids)
    }
}

/// The translators of a file, asking through `foreign`.
pub(crate) fn compile(app: &App, foreign: Arc<dyn Foreign>, ids: &Ids) -> Result<Translators, Error> {
    let of = &app.translators;
    Translators::compile(&of.options, &of.examples, foreign, ids.clone())
        .map_err(Error::pattern("understand the translators"))
}

/// Translators that listen, each on a port that the system has chosen.
pub(super) struct Bound {
    pub(super) current: Arc<Current>,
    around: Around,
    registry: Arc<Registry>,
    faces: Vec<Face>,
}

/// Binds the translators of the file, and declares each under its name.
pub(super) fn bind(app: &App, around: Around, registry: &Arc<Registry>) -> Result<Bound, Error> {
    let current = Current::of(around.compile(app)?);
    let names = app.translators.options.translators.keys();
    let faces: Vec<Face> = names.map(|name| Face::bind(name)).collect::<Result<_, _>>()?;
    faces.iter().try_for_each(|face| face.declare(registry))?;
    Ok(Bound { current, around, registry: registry.clone(), faces })
}

impl Bound {
    /// Those by which answers are compared: after a reload, the changed ones.
    pub(super) fn domain(&self) -> dozen_strangler::Translators {
        let current = self.current.clone();
        domain(Arc::new(move || current.all()))
    }

    /// Where each can be asked, for people.
    pub(super) fn rows(&self) -> Vec<Row> {
        let row = |Face { name, server }: &Face| {
            Row::part(name, format!("http://{}", server.local_addr()), "translates")
        };
        self.faces.iter().map(row).collect()
    }

    /// What serves them, and what takes a changed file over.
    pub(super) fn into_parts(self) -> (Arc<dyn Service>, Reloading) {
        let Self { current, around, registry, faces } = self;
        let faces = Faces::new(current.clone(), faces);
        (faces.clone(), Reloading { current, around, registry, faces })
    }
}

/// Takes changed translators over.
pub(super) struct Reloading {
    current: Arc<Current>,
    around: Around,
    registry: Arc<Registry>,
    faces: Arc<Faces>,
}

/// Changed translators, ready to be taken over or dropped.
pub(super) struct Prepared {
    translators: Translators,
    open: Vec<Face>,
    close: Vec<String>,
}

impl Reloading {
    /// Compiles the translators of `app`, and binds those that are new. Nothing is asked and nothing has changed yet.
    pub(super) fn prepare(&self, app: &App) -> Result<Prepared, Error> {
        let translators = self.around.compile(app)?;
        let old = self.current.all();
        let new = translators.iter().filter(|(name, _)| old.get(name).is_none());
        let open = new.map(|(name, _)| Face::bind(name)).collect::<Result<_, _>>()?;
        let gone = old.iter().filter(|(name, _)| translators.get(name).is_none());
        let close = gone.map(|(name, _)| name.to_owned()).collect();
        Ok(Prepared { translators, open, close })
    }

    /// Takes them over, and gives the names of those that are gone, to be closed once nobody goes there any more. One that
    /// cannot be made known is served all the same, and the log says why nobody finds it.
    pub(super) fn take_over(&self, prepared: Prepared) -> Vec<String> {
        let Prepared { translators, open, close } = prepared;
        self.current.swap(translators);
        for face in &open {
            if let Err(error) = face.declare(&self.registry) {
                tracing::error!(translator = face.name, "{}", dozen_core::chain(&error));
            }
        }
        self.faces.change(open, Vec::new());
        close
    }

    /// Closes those of these names. What is under way there is finished.
    pub(super) fn close(&self, names: Vec<String>) {
        self.current.settle();
        self.faces.change(Vec::new(), names);
    }
}

/// Whether what differs between two files can change while dozen runs: everything but the messages that translators read.
pub(crate) fn can_change(old: &App, new: &App) -> bool {
    old.translators.wires == new.translators.wires
}

/// Measures those that are there when somebody asks.
pub(super) struct Measured(pub(super) Arc<Current>);

#[async_trait]
impl Collector for Measured {
    fn name(&self) -> &'static str {
        "translators"
    }

    async fn collect(&self, page: &mut Page) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Metrics::new(self.0.all()).collect(page).await
    }
}

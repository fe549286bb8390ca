//! The translators of the file: each is found by its name, as a service is.
//!
//! ```text
//!  gateway, compositions ─┐
//!  sidecars, discovery ───┼─ resolve(name) ─► 127.0.0.1:port ─► Served ─► Translator ─┬─► services, over HTTP
//!  subscriptions ─────────┘   the registry    one listener each                       ├─► databases
//!                                                                                     └─► queues, by message and reply
//!  topic ─► worker ─► Handled ─► Translator ─► topic
//! ```
//!
//! Whoever calls a service can so call a translator, and no pattern had to learn a new word for it. What stands behind a name
//! can change while everything runs: a reload compiles all translators anew, and swaps them in one step. Their caches,
//! counters and circuits then begin anew; requests under way end with what they began with.

mod others;
mod wires;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use dozen_anticorruption::{Foreign, Metrics, Served, Translator, Translators};
use dozen_core::{Endpoint, Ids};
use dozen_dataplane::{Body, Client, Limits, Server};
use dozen_discovery::Registry;
use dozen_lifecycle::Service;
use dozen_metrics::{Collector, Page};
use dozen_queue::Queue;

use super::Parts;
use super::registry::Resolve;
use super::table::Row;
use crate::Error;
use crate::config::App;

pub(crate) use others::Others;
pub(super) use wires::Wires;

/// Bytes of a request to a translator.
const BODY_MAX: usize = 4 << 20;

/// The translators as they are now.
#[derive(Debug)]
pub(super) struct Current(RwLock<Arc<Translators>>);

impl Current {
    pub(super) fn all(&self) -> Arc<Translators> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn get(&self, name: &str) -> Option<Translator> {
        self.all().get(name).cloned()
    }

    fn swap(&self, translators: Translators) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(translators);
    }
}

/// What translators are made with.
#[derive(Clone)]
pub(super) struct Around {
    pub(super) resolve: Resolve,
    pub(super) client: Client,
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) ids: Ids,
}

impl Around {
    fn compile(&self, app: &App) -> Result<Translators, Error> {
        let others = Others::of(app, self.client.clone(), &self.queues, &self.ids)?;
        compile(app, self.resolve.clone(), Arc::new(others), &self.ids)
    }
}

/// The translators of a file, asking through `foreign`.
pub(crate) fn compile(
    app: &App,
    resolve: Resolve,
    foreign: Arc<dyn Foreign>,
    ids: &Ids,
) -> Result<Translators, Error> {
    let of = &app.translators;
    Translators::compile(&of.options, &of.examples, resolve, foreign, ids.clone())
        .map_err(Error::pattern("understand the translators"))
}

/// Translators that listen, each on a port that the system has chosen.
pub(super) struct Bound {
    pub(super) current: Arc<Current>,
    around: Around,
    servers: Vec<(String, Server)>,
}

/// Binds the translators of the file, and declares each under its name.
pub(super) fn bind(app: &App, around: Around, registry: &Registry) -> Result<Bound, Error> {
    let current = Arc::new(Current(RwLock::new(Arc::new(around.compile(app)?))));
    let mut servers = Vec::with_capacity(app.translators.options.translators.len());
    for name in app.translators.options.translators.keys() {
        let limits =
            Limits { setting: format!("translators.{name}"), body_max: BODY_MAX as u64, ..Limits::default() };
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::bind(any, limits).map_err(Error::pattern("serve the translators"))?;
        let endpoints = vec![Endpoint::at(server.local_addr().to_string())];
        registry.declare(name, endpoints).map_err(Error::pattern("declare the translators"))?;
        servers.push((name.clone(), server));
    }
    Ok(Bound { current, around, servers })
}

impl Bound {
    /// Where each can be asked, for people.
    pub(super) fn rows(&self) -> Vec<Row> {
        let row = |(name, server): &(String, Server)| {
            Row::part(name, format!("http://{}", server.local_addr()), "translates")
        };
        self.servers.iter().map(row).collect()
    }

    /// The parts of the process that serve them, and what takes a changed file over.
    pub(super) fn into_parts(self) -> (Parts, Reloading) {
        let Self { current, around, servers } = self;
        let part = |(name, server): (String, Server)| {
            let part = serving(name.clone(), server, current.clone());
            (format!("translator {name}"), part)
        };
        (servers.into_iter().map(part).collect(), Reloading { current, around })
    }
}

fn serving(name: String, server: Server, current: Arc<Current>) -> Arc<dyn Service> {
    let name: Arc<str> = name.into();
    server.serving(tower::service_fn(move |request: http::Request<Body>| {
        let translator = current.get(&name);
        async move {
            Ok::<_, Infallible>(match translator {
                Some(translator) => Served::new(translator, BODY_MAX).answer(request, None).await,
                // A reload keeps the names as they are.
                None => {
                    let problem = dozen_dataplane::problem_document(503, "there is no such translator now");
                    let mut answer = http::Response::new(Body::from(problem));
                    *answer.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                    answer
                }
            })
        }
    }))
}

/// Takes changed translators over.
pub(super) struct Reloading {
    current: Arc<Current>,
    around: Around,
}

impl Reloading {
    /// Compiles the translators of `app`, to be taken over or dropped. Nothing is asked and nothing has changed yet.
    pub(super) fn prepare(&self, app: &App) -> Result<Translators, Error> {
        self.around.compile(app)
    }

    pub(super) fn take_over(&self, translators: Translators) {
        self.current.swap(translators);
    }
}

/// Whether what differs between two files can change while dozen runs: everything but which translators there are, and the
/// topics that they read.
pub(crate) fn can_change(old: &App, new: &App) -> bool {
    let names = |app: &App| app.translators.options.translators.keys().cloned().collect::<Vec<_>>();
    names(old) == names(new) && old.translators.wires == new.translators.wires
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

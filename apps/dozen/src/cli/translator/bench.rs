//! The translators of a file in this very process: to look at them, to play their examples, or to ask once, live.

use std::collections::BTreeMap;
use std::sync::Arc;

use dozen_anticorruption::{Http, Translator, Translators};
use dozen_core::{Endpoint, EndpointSet, Ids, SystemClock};
use dozen_dataplane::{Caller, Client, ServicePolicy};
use dozen_gateway::Calling;
use dozen_queue::Queue;
use tokio::sync::watch;

use super::super::look::known;
use crate::Error;
use crate::config::{App, Reach};
use crate::up::calling;
use crate::up::translators::{Others, compile};

/// Those of `app`, able to do everything but ask somebody.
pub(crate) fn quiet(app: &App) -> Result<Translators, Error> {
    let ids = ids();
    compile(app, Arc::new(Http::new(Caller::plain(Arc::new(|_: &str| None), ids.clone()))), &ids)
}

/// Those of `app`, asking the services at the addresses of the file, its databases and its queues.
pub(super) async fn live(app: &App) -> Result<Translators, Error> {
    let ids = ids();
    let addresses: BTreeMap<String, Vec<String>> =
        app.services.iter().map(|service| (service.name.clone(), service.addresses())).collect();
    let resolve = move |service: &str| {
        let endpoints = addresses.get(service)?.iter().map(Endpoint::at).collect();
        let set = EndpointSet { service: service.to_owned(), version: 1, endpoints };
        // Without its sender the set stays as it is.
        Some(watch::channel(Arc::new(set)).1)
    };
    let calling = Calling::new(Arc::new(resolve), calling(app), ServicePolicy::default());
    let calling = calling.map_err(Error::pattern("call the services"))?;
    let caller = Caller::new(calling.upstreams().clone(), Client::new(), ids.clone());
    let others = Others::of(app, caller, &queues(app, &ids).await?, &ids)?;
    compile(app, Arc::new(others), &ids)
}

/// The queues that are asked; where none is, no store is opened.
async fn queues(app: &App, ids: &Ids) -> Result<BTreeMap<String, Queue>, Error> {
    let asked = |name: &str| {
        app.translators.reaches.values().any(|reach| matches!(reach, Reach::Queue(queue) if queue == name))
    };
    let mut queues = BTreeMap::new();
    for queue in app.queues.iter().filter(|queue| asked(&queue.name)) {
        let store = dozen_open::open(&app.store_url()).await.map_err(Error::pattern("open the store"))?;
        let opened = Queue::open_with(&store, &queue.name, queue.options.clone(), ids.clone()).await;
        let opened = opened.map_err(Error::pattern(format!("open queue `{}`", queue.name)))?;
        queues.insert(queue.name.clone(), opened.with_keys(app.keys.clone()));
    }
    Ok(queues)
}

fn ids() -> Ids {
    Ids::new(Arc::new(SystemClock), dozen_open::seed())
}

/// The translator `name`.
pub(crate) fn one<'t>(translators: &'t Translators, name: &str) -> Result<&'t Translator, Error> {
    let names: Vec<&str> = translators.iter().map(|(name, _)| name).collect();
    known("translator", name, &names)?;
    translators.get(name).ok_or_else(|| Error::Usage(format!("there is no translator `{name}`")))
}

/// Runs `work`, which may wait.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::system("start the runtime"))?;
    runtime.block_on(work)
}

//! Everything that an application is made of, each part bound to its port and none running yet.
//!
//! What others are made with is made first. A port that is taken or a store that cannot be opened is told before
//! anything has started. This is the only place that knows which parts there are, and in which order they start:
//! first [`Bound::behind`], then the services themselves, then [`Bound::before`].

use std::sync::Arc;

use arc_swap::ArcSwap;
use dozen_core::Ids;
use dozen_dataplane::{Caller, Client, Probes, ServicePolicy, Sockets};
use dozen_gateway::Calling;
use dozen_lifecycle::Service;
use dozen_messaging::Broker;
use dozen_sidecar::Sidecar;
use dozen_store::{Observed, Store};
use tokio::sync::Notify;

use super::features::{self, Facade};
use super::handover::Predecessor;
use super::messages::{self, Messages};
use super::registry::{self, Resolve};
use super::relays::{self, Carrying};
use super::sidecars::{self, Beside};
use super::traces::Traces;
use super::translators::{self, Current};
use super::{
    Children, Closes, Parts, Printer, Source, api, console, gateway, metrics, plans, pushes, reload, table,
};
use crate::Error;
use crate::config::App;

/// The parts of an application, and what they are made with.
pub(super) struct Bound {
    app: Arc<App>,
    /// The application as its file has it now.
    known: Arc<ArcSwap<App>>,
    ids: Ids,
    pub(super) sockets: Sockets,
    store: Store,
    observed: Arc<Observed>,
    pub(super) children: Arc<Children>,
    pub(super) registry: Arc<dozen_discovery::Registry>,
    names: Arc<dozen_discovery::Names>,
    resolve: Resolve,
    calling: Arc<Calling>,
    caller: Caller,
    messages: Arc<Messages>,
    /// What sends to queues by the clock.
    schedules: Parts,
    sidecars: Vec<Beside>,
    relays: Vec<Carrying>,
    features: Arc<Facade>,
    gateway: gateway::Bound,
    traces: Arc<Traces>,
    translators: Arc<Current>,
    /// What serves the translators.
    faces: Arc<dyn Service>,
    pub(super) reloader: Arc<reload::Reloader>,
    tallies: metrics::Tallies,
    /// What people are told of the parts of this process.
    pub(super) rows: Vec<table::Row>,
}

impl Bound {
    /// Binds every part; with a `predecessor`, to its sockets, and around the services that it runs.
    pub(super) async fn bind(
        app: &Arc<App>,
        source: &Source,
        hangup: Arc<Notify>,
        printer: &Printer,
        ids: &Ids,
        predecessor: Option<&Predecessor>,
    ) -> Result<Self, Error> {
        let sockets = predecessor.map(|old| old.sockets().clone()).unwrap_or_default();
        let opened = dozen_open::open_observed(&app.store_url()).await;
        let (store, observed) = opened.map_err(Error::pattern("open the store"))?;
        let standing = predecessor.map(Predecessor::children);
        let deadline = app.limits.stop_deadline;
        let children = Children::new(plans(app), printer.clone(), ids.clone(), deadline, standing)
            .map_err(Error::system("prepare to start processes"))?;
        let (registry, names) = registry::declared(app)?;
        registry::restore(&registry, predecessor.map_or(&[], Predecessor::registered));
        let resolve = registry::resolve(&registry);
        let calling = Calling::new(resolve.clone(), super::calling(app), ServicePolicy::default());
        let calling = calling.map_err(Error::pattern("call the services"))?;
        let caller = Caller::new(calling.upstreams().clone(), Client::new(), ids.clone());
        let (messages, schedules) = messages::open(app, &store, ids).await?;
        let broker: Arc<dyn Broker> = Arc::new(messages.topics.clone());
        let sidecars = sidecars::bind(app, &broker, &caller, ids, &sockets)?;
        let around =
            translators::Around { caller: caller.clone(), queues: messages.by_name(), ids: ids.clone() };
        let bound = translators::bind(app, around, &registry)?;
        let features = features::bind(app, &caller, &store, ids, bound.domain())?;
        // Before the first request: nobody is served by the side of a stage that is long past.
        features.registry.observe().await.map_err(Error::pattern("look at the features"))?;
        let traces = Traces::new(&app.name, app.traces.as_ref(), ids);
        let gateway = gateway::bind(app, &calling, (&store, ids), &features, &traces, &sockets)?;
        let rows = table::parts(app).into_iter().chain(bound.rows()).collect();
        let translators = bound.current.clone();
        let (faces, reloading) = bound.into_parts();
        let known = Arc::new(ArcSwap::new(app.clone()));
        let running = reload::Running {
            app: known.clone(),
            sections: source.sections.clone(),
            names: names.clone(),
            gateway: gateway.gateway.clone(),
            features: features.clone(),
            traces: traces.clone(),
            translators: reloading,
        };
        Ok(Self {
            app: app.clone(),
            ids: ids.clone(),
            relays: relays::relays(app, &store, ids),
            sockets,
            store,
            observed,
            children: Arc::new(children),
            registry,
            names,
            resolve,
            calling,
            caller,
            messages,
            schedules,
            sidecars,
            features,
            gateway,
            traces,
            translators,
            faces,
            reloader: Arc::new(reload::Reloader::new(
                source.path.clone(),
                source.files.clone(),
                running,
                hangup,
            )),
            known,
            tallies: metrics::Tallies::default(),
            rows,
        })
    }

    /// The sidecars, each with the name of its service, until [`Bound::behind`] has handed them out.
    pub(super) fn sidecars(&self) -> Vec<(String, Arc<Sidecar>)> {
        self.sidecars.iter().map(|beside| (beside.service.clone(), beside.sidecar.clone())).collect()
    }

    /// What the services need when they begin. Handed out once.
    pub(super) fn behind(&mut self) -> Result<Parts, Error> {
        let face = registry::face(&self.app, &self.registry, &self.sockets)?;
        let (services, sidecars) = self.sidecars().into_iter().unzip();
        let follow = registry::Follow {
            children: self.children.states(),
            registry: self.registry.clone(),
            sidecars,
            services,
        };
        let mut parts: Parts = vec![
            ("registry".into(), face),
            ("expiry".into(), self.registry.clone()),
            ("names".into(), self.names.clone()),
            ("health".into(), Arc::new(follow)),
            ("translators".into(), self.faces.clone()),
            ("upkeep".into(), Arc::new(messages::Upkeep(self.messages.clone()))),
        ];
        parts.append(&mut self.schedules);
        let (api, closing) = (self.api(), api::Closing::default());
        for beside in std::mem::take(&mut self.sidecars) {
            let name = format!("sidecar of {}", beside.service);
            let metrics = metrics::router(self.measured().of_service(&self.app, &beside.service));
            parts.push((name, beside.serving(metrics.merge(api.router(&closing)))));
        }
        // After the sidecars, and so stopped before them.
        parts.push(("waiting requests".into(), Arc::new(closing)));
        parts.extend(relays::parts(&self.relays));
        Ok(parts)
    }

    /// What needs the services: deliveries to them, the console, the gateway. Stopped before them.
    pub(super) async fn before(&self) -> Result<Parts, Error> {
        let mut parts = self.deliveries().await?;
        let views = console::Views {
            store: &self.store,
            topics: &self.messages.topics,
            relays: &self.relays,
            known: &self.known,
            registry: &self.registry,
            children: self.children.states(),
            log: &self.gateway.log,
            gateway: self.gateway.gateway.as_ref(),
            features: &self.features,
            translators: &self.translators,
            metrics: self.measured().all(),
            ids: &self.ids,
        };
        if let Some(console) = console::bind(&self.app, views, &self.sockets)? {
            parts.push(("console".into(), console));
        }
        if let Some(api) = self.api().bind(self.reloader.router(), &self.sockets)? {
            parts.push(("api".into(), api));
        }
        if self.gateway.gateway.is_none() {
            // A gateway looks after the services that it calls, and others call as well.
            let probes = Probes::new(self.calling.upstreams().clone(), self.ids.clone());
            parts.push(("probes".into(), Arc::new(probes)));
            parts.push(("certificates".into(), self.calling.clone()));
        }
        if let Some(gateway) = &self.gateway.gateway {
            // Before the gateway, and so stopped after it.
            parts.push(("traces".into(), self.traces.clone()));
            parts.push(("keys and limits".into(), self.gateway.keeper.clone()));
            parts.push(("probes".into(), gateway.probes()));
            parts.extend(self.features.parts());
            parts.push(("gateway".into(), gateway.clone()));
        }
        parts.push(("reload".into(), self.reloader.clone()));
        // The last, and so stopped first: what is not served any more must not be connected to.
        parts.push(("sockets".into(), Arc::new(Closes(self.sockets.clone()))));
        Ok(parts)
    }

    /// The workers of subscriptions, and of translators that read topics and queues. They miss nothing from now on.
    async fn deliveries(&self) -> Result<Parts, Error> {
        let pushes = pushes::Pushes {
            store: &self.store,
            messages: &self.messages,
            resolve: &self.resolve,
            caller: &self.caller,
            ids: &self.ids,
            tallies: &self.tallies,
        };
        let mut parts = pushes.workers(&self.app).await?;
        let wires = translators::Wires {
            store: &self.store,
            messages: &self.messages,
            ids: &self.ids,
            tallies: &self.tallies,
        };
        parts.extend(wires.workers(&self.app, &self.translators).await?);
        Ok(parts)
    }

    fn api(&self) -> api::Api {
        api::Api::new(&self.app, &self.store, &self.messages.topics, &self.ids)
    }

    fn measured(&self) -> metrics::Sources<'_> {
        metrics::Sources {
            store: &self.store,
            observed: &self.observed,
            topics: &self.messages.topics,
            relays: &self.relays,
            tallies: &self.tallies,
            upstreams: self.calling.upstreams(),
            gateway: self.gateway.gateway.as_ref(),
            features: &self.features,
            traces: &self.traces,
            translators: &self.translators,
        }
    }
}

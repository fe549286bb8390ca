//! The console's view of everything else.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dozen_console::{
    Declared, ExplainView, ProcessView, RequestView, RouteView, ServiceView, Sources, SubscriptionView,
};
use dozen_core::Ids;
use dozen_dataplane::{Server, Sockets};
use dozen_discovery::Registry;
use dozen_gateway::{Explanation, Gateway, Question, Request, RequestLog, RouteOptions};
use dozen_lifecycle::Service;
use dozen_pubsub::Topics;
use dozen_store::Store;
use tokio::sync::watch;

use super::features::Facade;
use super::relays::Carrying;
use super::translators::Current;
use super::{Child, State, listening, plans, table};
use crate::Error;
use crate::config::App;

/// What the console looks at.
pub(super) struct Views<'a> {
    pub(super) store: &'a Store,
    pub(super) topics: &'a Topics,
    pub(super) relays: &'a [Carrying],
    /// The application as its file has it now.
    pub(super) known: &'a Arc<ArcSwap<App>>,
    pub(super) registry: &'a Arc<Registry>,
    pub(super) children: watch::Receiver<Vec<Child>>,
    pub(super) log: &'a Arc<RequestLog>,
    pub(super) gateway: Option<&'a Arc<Gateway>>,
    pub(super) features: &'a Arc<Facade>,
    pub(super) translators: &'a Arc<Current>,
    pub(super) metrics: Arc<dozen_metrics::Registry>,
    pub(super) ids: &'a Ids,
}

/// Binds the console of the file, unless it is off.
pub(super) fn bind(
    app: &Arc<App>,
    views: Views<'_>,
    sockets: &Sockets,
) -> Result<Option<Arc<dyn Service>>, Error> {
    let Some(address) = app.console else { return Ok(None) };
    let Views { registry, children, log, .. } = views;
    let server = Server::bind(address, listening("console.listen", sockets))
        .map_err(Error::pattern("serve the console"))?;
    let mut sources = Sources::new(&app.name, views.store.clone());
    sources.hosts = vec![address.ip().to_string()];
    sources.broker = views.topics.clone();
    sources.keys = app.keys.clone();
    sources.ids = views.ids.clone();
    sources.relays =
        views.relays.iter().map(|carrying| (carrying.name.clone(), carrying.relay.clone())).collect();
    sources.metrics = Some(views.metrics);
    let (known, file) = (registry.clone(), views.known.clone());
    let translated = views.translators.clone();
    sources.services = Arc::new(move || services(&file.load(), &known, &children.borrow(), &translated));
    let gateway = views.gateway.cloned();
    sources.routes = Arc::new(move || match &gateway {
        Some(gateway) => gateway.options().routes.iter().map(route).collect(),
        None => Vec::new(),
    });
    let explaining = views.gateway.cloned();
    sources.explain = Arc::new(move |request| explaining.as_ref().map(|gateway| explain(gateway, request)));
    let recent = log.clone();
    sources.recent_requests = Arc::new(move |count| recent.recent(count).iter().map(request).collect());
    let traced = log.clone();
    sources.requests = Arc::new(move |trace| match u128::from_str_radix(trace, 16) {
        Ok(trace) => traced.by_trace(trace).iter().map(request).collect(),
        Err(_) => Vec::new(),
    });
    sources.features = Some(views.features.registry.clone());
    let translators = views.translators.clone();
    sources.translators = Arc::new(move || Some(translators.all()));
    let (queues, topics, subscriptions) = (queues(app), topics(app), subscriptions(app));
    sources.queues = Arc::new(move || queues.clone());
    sources.topics = Arc::new(move || topics.clone());
    sources.subscriptions = Arc::new(move || subscriptions.clone());
    dozen_console::serve(sources, server).map(Some).map_err(Error::pattern("serve the console"))
}

/// What would become of `GET /orders/7`; a path alone is read.
fn explain(gateway: &Gateway, request: &str) -> ExplainView {
    let (method, url) = request.split_once(' ').unwrap_or(("GET", request));
    let method = method.to_uppercase();
    let question = Question { method: &method, url: url.trim(), ..Question::default() };
    let Explanation { route, why, service, choice, target, status, calls, considered, .. } =
        gateway.explain(&question);
    let calls = calls.iter().map(|call| call.call.as_str()).collect::<Vec<_>>().join(", ");
    let then = [
        ("service", service),
        ("choice", choice),
        ("target", target),
        ("calls", Some(calls).filter(|calls| !calls.is_empty())),
        ("answer", status.map(|status| format!("{status}, by the gateway itself"))),
    ];
    ExplainView {
        route,
        why,
        then: then.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        considered: considered.into_iter().map(|one| (one.route, one.why_not)).collect(),
    }
}

/// The services of the file, then those that registered themselves.
fn services(app: &App, registry: &Registry, children: &[Child], translators: &Current) -> Vec<ServiceView> {
    let mut views = Vec::new();
    for service in &app.services {
        let own: Vec<&Child> = children.iter().filter(|child| child.service == service.name).collect();
        let command = plans(app).into_iter().find(|plan| plan.service == service.name).map(|plan| plan.shown);
        let process = own.first().map(|first| ProcessView {
            command: command.unwrap_or_default(),
            pid: first.pid.filter(|_| own.len() == 1),
            state: match own.as_slice() {
                [one] => table::describe(&one.state),
                several => {
                    let well = several.iter().filter(|child| child.state == State::Healthy).count();
                    format!("{well} of {} healthy", several.len())
                }
            },
            is_well: own.iter().all(|child| child.state == State::Healthy),
            restarts: own.iter().map(|child| child.restarts).sum(),
            since: own.iter().filter_map(|child| child.since).min(),
        });
        let sidecar = service.sidecar.map(|sidecar| sidecar.to_string());
        views.push(ServiceView { endpoints: registry.get(&service.name), process, sidecar });
    }
    let translators = translators.all();
    let is_translator = |name: &str| translators.get(name).is_some();
    for endpoints in registry.snapshot() {
        // Translators have a page of their own.
        if app.service(&endpoints.service).is_none() && !is_translator(&endpoints.service) {
            views.push(ServiceView { endpoints, process: None, sidecar: None });
        }
    }
    views
}

fn route(route: &RouteOptions) -> RouteView {
    let matching = &route.matching;
    let services: Vec<String> = match route.to.as_slice() {
        [one] => vec![one.service.clone()],
        several => several.iter().map(|one| format!("{} × {}", one.service, one.weight)).collect(),
    };
    let target = match (&route.redirect, &route.answer) {
        _ if route.feature.is_some() => format!("feature {}", route.feature.as_deref().unwrap_or_default()),
        (Some(redirect), _) => format!("{} {}", redirect.status, redirect.to),
        (_, Some(answer)) => format!("answers {}", answer.status),
        _ => match &route.compose {
            Some(compose) => format!("composed of {}", compose.services().collect::<Vec<_>>().join(", ")),
            None => services.join(", "),
        },
    };
    RouteView {
        method: if matching.method.is_empty() { "*".into() } else { matching.method.join(" ") },
        host: matching.host.clone(),
        path: matching.regex.clone().unwrap_or_else(|| matching.path.clone()),
        target,
        policies: vec![format!("body {} bytes at most", route.body_max)],
    }
}

fn request(request: &Request) -> RequestView {
    RequestView {
        at: request.time,
        took: request.status.map(|_| Duration::from_micros(request.duration_us)),
        method: request.method.clone(),
        path: request.path.clone(),
        status: request.status,
        service: request.service.as_deref().map(str::to_owned),
        trace_id: request.trace_id.clone(),
    }
}

fn queues(app: &App) -> Vec<Declared> {
    let settings = |queue: &crate::config::Queue| {
        let options = &queue.options;
        let backoff = options.policy.backoff;
        let mut settings: Vec<(String, String)> = vec![
            ("lease".into(), format!("{:?}", options.lease)),
            ("attempts-max".into(), options.policy.attempts_max.to_string()),
            ("backoff".into(), format!("{:?}..{:?}", backoff.first, backoff.cap)),
        ];
        let mut chosen = |name: &str, value: Option<String>| {
            settings.extend(value.map(|value| (name.to_owned(), value)));
        };
        chosen("per-key", (options.per_key > 1).then(|| options.per_key.to_string()));
        chosen("priorities", (options.priorities > 1).then(|| options.priorities.to_string()));
        chosen("expire", options.expire.map(|expire| format!("{expire:?}")));
        chosen("rate", options.per_second.map(|rate| format!("{rate} a second")));
        chosen("sealed", options.sealed.then(|| "yes".to_owned()));
        chosen("cron", (!queue.cron.is_empty()).then(|| format!("{} entries", queue.cron.len())));
        settings
    };
    app.queues.iter().map(|queue| Declared { name: queue.name.clone(), settings: settings(queue) }).collect()
}

fn topics(app: &App) -> Vec<Declared> {
    let settings = |topic: &crate::config::Topic| {
        let of = &topic.settings;
        let word = |name: &str, value: String| (name.to_owned(), value);
        let mut settings: Vec<(String, String)> = of.key.iter().map(|key| word("key", key.clone())).collect();
        settings.push(word("keep", format!("{:?}", of.keep)));
        settings.extend(of.bytes_keep.map(|bytes| word("keep-size", format!("{bytes} bytes"))));
        settings.extend(of.compact.then(|| word("compact", "yes".into())));
        settings.extend(
            of.schema.as_ref().map(|_| word("schema", format!("{:?}", of.compatibility).to_lowercase())),
        );
        settings.extend(of.sealed.then(|| word("sealed", "yes".into())));
        settings
    };
    app.topics.iter().map(|topic| Declared { name: topic.name.clone(), settings: settings(topic) }).collect()
}

fn subscriptions(app: &App) -> Vec<SubscriptionView> {
    let view = |subscription: &crate::config::Subscription| SubscriptionView {
        name: subscription.name.clone(),
        topics: subscription.topics.iter().map(|pattern| pattern.text().to_owned()).collect(),
        to: Some(subscription.to.to_string()),
        filter: subscription.filter.clone(),
    };
    app.subscriptions.iter().map(view).collect()
}

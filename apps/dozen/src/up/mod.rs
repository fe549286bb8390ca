//! `dozen up`: everything of one file, in one process and its children.
//!
//! ```text
//!              ┌─ registry, sidecars                       what the services need when they begin
//!  Supervisor ─┼─ the services of the file, as children
//!              └─ deliveries to them, gateway, console     what needs the services
//! ```
//!
//! Started from the top down, stopped from the bottom up: the gateway takes no more before the services go, and a
//! service that handles its last event still has its sidecar. [`assemble`] is the only place that knows which parts
//! there are.
//!
//! SIGINT or SIGTERM drains: services get SIGTERM, requests in flight are finished, exit 0. A second signal cuts at
//! once, exit 130. A part that ends by itself stops the rest, exit 1. SIGHUP, a changed file or a request takes over
//! what can change while it runs: see [`reload`].

mod api;
mod child;
mod children;
mod command;
mod console;
mod features;
mod gateway;
pub(crate) mod guard;
mod lines;
mod messages;
mod metrics;
mod output;
mod plan;
mod probe;
mod pushes;
mod registry;
mod relays;
mod reload;
mod routes;
mod sidecars;
mod signals;
pub mod table;
pub(crate) mod translators;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use dozen_core::{Clock, Ids, SystemClock};
use dozen_dataplane::Client;
use dozen_lifecycle::{Report, Service, Supervisor};
use dozen_messaging::Broker;
use dozen_sidecar::Sidecar;
use tokio::sync::Notify;

pub(crate) use lines::printable;
pub(crate) use messages::topics;

pub use children::{Child, Children, State};
pub use output::{Printer, colours_wanted};
pub use plan::{Plan, plans};
pub use routes::{gateway_options, routes};

use crate::Error;
use crate::config::{App, Loaded};
use signals::Signals;

/// The parts of an application, each bound to its port and none running yet.
struct Assembly {
    supervisor: Supervisor,
    children: Arc<Children>,
    /// What the children need when they begin: the registry, and their sidecars.
    behind: Parts,
    /// The sidecars of services that may subscribe.
    sidecars: Vec<(String, Arc<Sidecar>)>,
    /// What needs the children: deliveries to them, the gateway, the console. Stopped before them.
    before: Parts,
    /// The rows of the parts of this process.
    rows: Vec<table::Row>,
}

type Parts = Vec<(String, Arc<dyn Service>)>;

/// Binds every part. A port that is taken or a store that cannot be opened is told before anything has started.
async fn assemble(
    app: &Arc<App>,
    source: &Source,
    hangup: Arc<Notify>,
    printer: &Printer,
    ids: &Ids,
) -> Result<Assembly, Error> {
    let opened = dozen_open::open_observed(&app.store_url()).await;
    let (store, observed) = opened.map_err(Error::pattern("open the store"))?;
    let children = Children::new(plans(app), printer.clone(), ids.clone(), app.limits.stop_deadline)
        .map_err(Error::system("prepare to start processes"))?;
    let children = Arc::new(children);
    let registry = registry::declared(app)?;
    let resolve = registry::resolve(&registry);
    let client = Client::new();
    let (messages, schedules) = messages::open(app, &store, ids).await?;
    let broker: Arc<dyn Broker> = Arc::new(messages.topics.clone());
    let sidecars = sidecars::bind(app, &broker, &resolve, &client, ids)?;
    let features = features::bind(app, &resolve, &store, ids)?;
    // Before the first request: nobody is served by the side of a stage that is long past.
    features.registry.observe().await.map_err(Error::pattern("look at the features"))?;
    let gateway::Bound { gateway, keeper, log } = gateway::bind(app, &resolve, &store, ids, &features)?;
    let around = translators::Around {
        resolve: resolve.clone(),
        client: client.clone(),
        queues: messages.by_name(),
        ids: ids.clone(),
    };
    let bound = translators::bind(app, around, &registry)?;
    let translators = bound.current.clone();
    let translated = bound.rows();
    let (faces, reloading) = bound.into_parts();

    let mut behind: Parts = vec![("registry".into(), registry::face(app, &registry)?)];
    behind.push(("expiry".into(), registry.clone()));
    behind.push((
        "health".into(),
        Arc::new(registry::Follow {
            children: children.states(),
            registry: registry.clone(),
            sidecars: sidecars.iter().map(|beside| beside.sidecar.clone()).collect(),
            services: sidecars.iter().map(|beside| beside.service.clone()).collect(),
        }),
    ));
    behind.push(("translators".into(), faces));
    behind.push(("upkeep".into(), Arc::new(messages::Upkeep(messages.clone()))));
    behind.extend(schedules);
    let beside = |beside: &sidecars::Beside| (beside.service.clone(), beside.sidecar.clone());
    let asking = sidecars.iter().map(beside).collect();
    let relays = relays::relays(app, &store, ids);
    let tallies = metrics::Tallies::default();
    let measured = metrics::Sources {
        store: &store,
        observed: &observed,
        topics: &messages.topics,
        relays: &relays,
        tallies: &tallies,
        gateway: gateway.as_ref(),
        features: &features,
        translators: &translators,
    };
    let (api, closing) = (api::Api::new(app, &store, &messages.topics, ids), api::Closing::default());
    for beside in sidecars {
        let name = format!("sidecar of {}", beside.service);
        let metrics = metrics::router(measured.of_service(app, &beside.service));
        behind.push((name, beside.serving(metrics.merge(api.router(&closing)))));
    }
    // After the sidecars, and so stopped before them.
    behind.push(("waiting requests".into(), Arc::new(closing)));
    behind.extend(relays::parts(&relays));

    let pushes = pushes::Pushes {
        store: &store,
        messages: &messages,
        resolve: &resolve,
        client: &client,
        ids,
        tallies: &tallies,
    };
    let mut before: Parts = pushes.workers(app).await?;
    let wires = translators::Wires { topics: &messages.topics, ids, tallies: &tallies };
    before.extend(wires.workers(app, &translators).await?);
    let views = console::Views {
        store: &store,
        topics: &messages.topics,
        relays: &relays,
        registry: &registry,
        children: children.states(),
        log: &log,
        gateway: gateway.as_ref(),
        features: &features,
        translators: &translators,
        metrics: measured.all(),
        ids,
    };
    if let Some(console) = console::bind(app, views)? {
        before.push(("console".into(), console));
    }
    let running = reload::Running {
        app: app.clone(),
        sections: source.sections.clone(),
        gateway: gateway.clone(),
        features: features.clone(),
        translators: reloading,
    };
    let reloader = reload::Reloader::new(source.path.clone(), running, hangup);
    let reloader = Arc::new(reloader);
    if let Some(api) = api.bind(reloader.router())? {
        before.push(("api".into(), api));
    }
    if let Some(gateway) = gateway {
        // Before the gateway, and so stopped after it.
        before.push(("keys and limits".into(), keeper));
        before.push(("probes".into(), gateway.probes()));
        before.extend(features.parts());
        before.push(("gateway".into(), gateway));
    }
    before.push(("reload".into(), reloader));
    Ok(Assembly {
        supervisor: Supervisor::new(app.limits.stop_deadline),
        children,
        behind,
        sidecars: asking,
        before,
        rows: table::parts(app).into_iter().chain(translated).collect(),
    })
}

impl Assembly {
    /// Starts everything in order; returns when all of it is ready or a part never will be.
    async fn start(&mut self) -> Result<(), Report> {
        for (name, part) in self.behind.drain(..) {
            self.supervisor.start(name, part);
        }
        self.supervisor.ready().await?;
        self.supervisor.start("services", self.children.clone());
        self.supervisor.ready().await?;
        self.subscribed().await;
        for (name, part) in self.before.drain(..) {
            self.supervisor.start(name, part);
        }
        self.supervisor.ready().await
    }
}

impl Assembly {
    /// Waits until the healthy services have said what they subscribe to, so that none of them misses the first event
    /// that a request through the gateway causes. One that does not say is not waited for any longer.
    async fn subscribed(&self) {
        let children = self.children.states().borrow().clone();
        let healthy = |service: &str| {
            children.iter().any(|child| child.service == service && child.state == State::Healthy)
        };
        let asked = self.sidecars.iter().filter(|(service, _)| healthy(service));
        let answers = asked.map(|(service, sidecar)| async move {
            if tokio::time::timeout(ANSWER_WAIT, sidecar.app_ready()).await.is_err() {
                tracing::warn!(
                    "{service} does not say what it subscribes to; it hears of what comes after it has"
                );
            }
        });
        futures::future::join_all(answers).await;
    }
}

/// How long a healthy service is waited for to answer `GET /dapr/subscribe`.
const ANSWER_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

/// Where the application was read from, and what was read.
struct Source {
    path: PathBuf,
    sections: Vec<(String, String)>,
}

/// Runs the application until a signal stops it.
pub fn run(path: &Path, loaded: Loaded) -> Result<ExitCode, Error> {
    let Loaded { app, sections, .. } = loaded;
    let source = Source { path: path.to_owned(), sections };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .map_err(Error::system("start the runtime"))?;
    let ended = runtime.block_on(up(Arc::new(app), &source));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended
}

async fn up(app: Arc<App>, source: &Source) -> Result<ExitCode, Error> {
    let widest = plans(&app).iter().map(|plan| plan.label.len()).max().unwrap_or(0);
    let printer = Printer::start(widest.clamp("dozen".len(), 24), colours_wanted())
        .map_err(Error::system("start the output"))?;
    log_to(&printer);
    let signals = Signals::watch().map_err(Error::system("listen to signals"))?;
    let ended = tokio::select! {
        ended = attended(&app, source, &printer, &signals) => ended,
        () = signals.received(2) => {
            printer.say("second signal: cutting at once");
            Ok(ExitCode::from(130))
        }
    };
    printer.flush().await;
    ended
}

/// From start to stop, with one signal in between.
async fn attended(
    app: &Arc<App>,
    source: &Source,
    printer: &Printer,
    signals: &Signals,
) -> Result<ExitCode, Error> {
    let ids = Ids::new(Arc::new(SystemClock), seed());
    let mut assembly = assemble(app, source, signals.hangup(), printer, &ids).await?;
    let started = tokio::select! {
        started = assembly.start() => started,
        () = signals.received(1) => Ok(()),
    };
    if let Err(report) = started {
        let report = assembly.supervisor.stop(report.failed).await;
        return outcome(app, report);
    }
    if signals.count() == 0 {
        let mut rows = assembly.rows;
        rows.extend(table::services(app, &assembly.children.states().borrow()));
        printer.plain(&format!("\n{} is up; state is in {}", app.name, app.store));
        printer.plain(&format!("{}\n", table::render(&rows)));
        if let Some(hint) = table::hint(app) {
            printer.plain(&format!("{hint}; Ctrl-C stops everything\n"));
        }
    }
    let until = async {
        signals.received(1).await;
        printer.say("stopping; a second signal cuts at once");
    };
    let report = assembly.supervisor.run(until).await;
    if report.is_clean() {
        printer.say("stopped");
    }
    outcome(app, report)
}

fn outcome(app: &App, report: Report) -> Result<ExitCode, Error> {
    match report {
        Report { failed: Some((part, why)), .. } => Err(Error::Part { part, why }),
        Report { cut, .. } if !cut.is_empty() => Err(Error::Cut {
            parts: cut,
            deadline: format!("{}s (`limits.stop-deadline`)", app.limits.stop_deadline.as_secs_f64()),
        }),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// dozen's own log, through the one output. `RUST_LOG` chooses what is shown.
fn log_to(printer: &Printer) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    let installed = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(printer.clone())
        .with_ansi(printer.colour())
        .without_time()
        .with_target(false)
        .try_init();
    if installed.is_err() {
        printer.say("another log subscriber is installed; dozen's log goes there");
    }
}

/// Differs between processes and between starts of one.
fn seed() -> u64 {
    u64::from(std::process::id()).rotate_left(32) ^ SystemClock.now().0.unsigned_abs()
}

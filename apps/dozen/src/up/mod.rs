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
//! what can change while it runs: see [`reload`]. SIGUSR2 has the program on disk take over: see [`handover`].

mod api;
mod child;
mod children;
mod command;
mod console;
mod features;
mod gateway;
mod group;
pub(crate) mod guard;
pub(crate) mod handover;
mod keep;
mod lines;
mod messages;
mod metrics;
mod notify;
mod output;
mod plan;
mod probe;
mod process;
mod pushes;
mod registry;
mod relays;
mod reload;
mod routes;
mod sidecars;
mod signals;
mod state;
pub mod table;
pub(crate) mod translators;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use dozen_core::{Clock, Ids, SystemClock, chain};
use dozen_dataplane::{Client, Limits, Sockets};
use dozen_lifecycle::{BoxError, Ready, Report, Service, Stop, Supervisor};
use dozen_messaging::Broker;
use dozen_sidecar::Sidecar;
use tokio::sync::Notify;

pub(crate) use lines::printable;
pub(crate) use messages::topics;

pub use children::Children;
pub use output::{Printer, colours_wanted};
pub use plan::{Plan, plans};
pub use routes::{gateway_options, routes};
pub use state::{Child, State};

use crate::Error;
use crate::config::{App, Loaded};
use handover::{Predecessor, Succession};
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
    /// What another process needs to take over.
    succession: Succession,
}

type Parts = Vec<(String, Arc<dyn Service>)>;

/// Binds every part. A port that is taken or a store that cannot be opened is told before anything has started.
async fn assemble(
    app: &Arc<App>,
    source: &Source,
    hangup: Arc<Notify>,
    printer: &Printer,
    ids: &Ids,
    predecessor: Option<&Predecessor>,
) -> Result<Assembly, Error> {
    let sockets = predecessor.map(|old| old.sockets().clone()).unwrap_or_default();
    let opened = dozen_open::open_observed(&app.store_url()).await;
    let (store, observed) = opened.map_err(Error::pattern("open the store"))?;
    let standing = predecessor.map(Predecessor::children);
    let children =
        Children::new(plans(app), printer.clone(), ids.clone(), app.limits.stop_deadline, standing)
            .map_err(Error::system("prepare to start processes"))?;
    let children = Arc::new(children);
    let registry = registry::declared(app)?;
    registry::restore(&registry, predecessor.map_or(&[], Predecessor::registered));
    let resolve = registry::resolve(&registry);
    let client = Client::new();
    let (messages, schedules) = messages::open(app, &store, ids).await?;
    let broker: Arc<dyn Broker> = Arc::new(messages.topics.clone());
    let sidecars = sidecars::bind(app, &broker, &resolve, &client, ids, &sockets)?;
    let around = translators::Around {
        resolve: resolve.clone(),
        client: client.clone(),
        queues: messages.by_name(),
        ids: ids.clone(),
    };
    let bound = translators::bind(app, around, &registry)?;
    let translators = bound.current.clone();
    let features = features::bind(app, &resolve, &store, ids, bound.domain())?;
    // Before the first request: nobody is served by the side of a stage that is long past.
    features.registry.observe().await.map_err(Error::pattern("look at the features"))?;
    let gateway::Bound { gateway, keeper, log } =
        gateway::bind(app, &resolve, &store, ids, &features, &sockets)?;
    let translated = bound.rows();
    let (faces, reloading) = bound.into_parts();

    let mut behind: Parts = vec![("registry".into(), registry::face(app, &registry, &sockets)?)];
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
    if let Some(console) = console::bind(app, views, &sockets)? {
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
    if let Some(api) = api.bind(reloader.router(), &sockets)? {
        before.push(("api".into(), api));
    }
    if let Some(gateway) = gateway {
        // Before the gateway, and so stopped after it.
        before.push(("keys and limits".into(), keeper));
        before.push(("probes".into(), gateway.probes()));
        before.extend(features.parts());
        before.push(("gateway".into(), gateway));
    }
    before.push(("reload".into(), reloader.clone()));
    // The last, and so stopped first: what is not served any more must not be connected to.
    before.push(("sockets".into(), Arc::new(Closes(sockets.clone()))));
    sockets.close_unused();
    Ok(Assembly {
        supervisor: Supervisor::new(app.limits.stop_deadline),
        succession: Succession {
            program: source.program.clone(),
            file: source.path.clone(),
            sockets,
            children: children.clone(),
            registry,
            reloader,
        },
        children,
        behind,
        sidecars: asking,
        before,
        rows: table::parts(app).into_iter().chain(translated).collect(),
    })
}

/// How something listens on the address of `setting`, so that it can be handed over.
fn listening(setting: &str, sockets: &Sockets) -> Limits {
    Limits { setting: setting.to_owned(), sockets: Some(sockets.clone()), ..Limits::default() }
}

/// Lets go of the second handle to each listening socket as soon as it is stopped.
struct Closes(Sockets);

#[async_trait]
impl Service for Closes {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        stop.soft.cancelled().await;
        self.0.close();
        Ok(())
    }
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
        self.known().await;
        self.subscribed().await;
        for (name, part) in self.before.drain(..) {
            self.supervisor.start(name, part);
        }
        self.supervisor.ready().await
    }
}

impl Assembly {
    /// Waits until the registry knows of each healthy child, so that the first request finds them. One that ends
    /// meanwhile is not waited for any longer.
    async fn known(&self) {
        let children = self.children.states().borrow().clone();
        for child in children.iter().filter(|child| child.state == State::Healthy) {
            let Some(port) = child.port else { continue };
            let id = format!("127.0.0.1:{port}");
            let mut set = self.succession.registry.watch(&child.service);
            let is_known = set.wait_for(|set| set.endpoints.iter().any(|one| one.id == id && one.healthy));
            let _ = tokio::time::timeout(KNOWN_WAIT, is_known).await;
        }
    }

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

/// How long the registry may take to hear of a healthy service, which takes no time but that of a task.
const KNOWN_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// How long a healthy service is waited for to answer `GET /dapr/subscribe`.
const ANSWER_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

/// Where the application was read from, and what was read.
struct Source {
    path: PathBuf,
    sections: Vec<(String, String)>,
    /// The program that this process was started as.
    program: Option<PathBuf>,
}

/// Runs the application until a signal stops it, or another process takes over. With a `predecessor`, from whom this
/// one takes over.
pub(crate) fn run(
    path: &Path,
    loaded: Loaded,
    predecessor: Option<&Arc<Predecessor>>,
) -> Result<ExitCode, Error> {
    let Loaded { app, sections, .. } = loaded;
    let source = Source { path: path.to_owned(), sections, program: handover::program() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .map_err(Error::system("start the runtime"))?;
    let ended = runtime.block_on(up(Arc::new(app), &source, predecessor));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended
}

async fn up(
    app: Arc<App>,
    source: &Source,
    predecessor: Option<&Arc<Predecessor>>,
) -> Result<ExitCode, Error> {
    let widest = plans(&app).iter().map(|plan| plan.label.len()).max().unwrap_or(0);
    let printer = Printer::start(widest.clamp("dozen".len(), 24), colours_wanted())
        .map_err(Error::system("start the output"))?;
    log_to(&printer);
    let signals = Signals::watch().map_err(Error::system("listen to signals"))?;
    let ended = tokio::select! {
        ended = attended(&app, source, &printer, &signals, predecessor) => ended,
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
    predecessor: Option<&Arc<Predecessor>>,
) -> Result<ExitCode, Error> {
    let ids = Ids::new(Arc::new(SystemClock), seed());
    let mut assembly =
        assemble(app, source, signals.hangup(), printer, &ids, predecessor.map(Arc::as_ref)).await?;
    let started = tokio::select! {
        started = assembly.start() => started,
        () = signals.received(1) => Ok(()),
    };
    if let Err(report) = started {
        let report = assembly.supervisor.stop(report.failed).await;
        return outcome(app, report);
    }
    if let Some(old) = predecessor.filter(|_| signals.count() == 0) {
        old.relieve(&assembly.children).await.map_err(Error::system("take over the services"))?;
    }
    if signals.count() == 0 {
        notify::ready();
        let mut rows = assembly.rows;
        rows.extend(table::services(app, &assembly.children.states().borrow()));
        printer.plain(&format!("\n{} is up; state is in {}", app.name, app.store));
        printer.plain(&format!("{}\n", table::render(&rows)));
        if let Some(hint) = table::hint(app) {
            printer.plain(&format!("{hint}; Ctrl-C stops everything\n"));
        }
    }
    let succession = assembly.succession;
    let until = until_stopped(&succession, printer, signals);
    let report = assembly.supervisor.run(until).await;
    if report.is_clean() {
        printer.say("stopped");
    }
    outcome(app, report)
}

/// Returns when this process is to end: a signal says so, or another one has taken over.
async fn until_stopped(succession: &Succession, printer: &Printer, signals: &Signals) {
    loop {
        tokio::select! { biased;
            () = signals.received(1) => break,
            () = signals.succession() => printer.say("another process is to take over"),
        }
        match succession.hand_over(signals.received(1)).await {
            Ok(pid) => {
                printer.say(&format!("process {pid} has taken over; finishing what is in flight"));
                return;
            }
            Err(refused) => {
                tracing::error!("no other process takes over, and what ran goes on: {}", chain(&refused));
            }
        }
    }
    printer.say("stopping; a second signal cuts at once");
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

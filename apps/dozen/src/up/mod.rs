//! `dozen up`: everything of one file, in one process and its children.
//!
//! ```text
//!              ┌─ registry, sidecars                       what the services need when they begin
//!  Supervisor ─┼─ the services of the file, as children
//!              └─ deliveries to them, gateway, console     what needs the services
//! ```
//!
//! Started from the top down, stopped from the bottom up: the gateway takes no more before the services go, and a
//! service that handles its last event still has its sidecar. [`bound`] is the only place that knows which parts there
//! are, [`assembly`] starts them.
//!
//! SIGINT or SIGTERM drains: services get SIGTERM, requests in flight are finished, exit 0. A second signal cuts at
//! once, exit 130. A part that ends by itself stops the rest, exit 1. SIGHUP, a changed file or a request takes over
//! what can change while it runs: see [`reload`]. SIGUSR2 has the program on disk take over: see [`handover`].

mod api;
mod assembly;
mod bound;
pub(crate) mod children;
mod console;
mod elsewhere;
mod features;
mod files;
mod gateway;
pub(crate) mod handover;
mod messages;
mod metrics;
mod notify;
mod output;
mod pushes;
mod registry;
mod relays;
mod reload;
mod routes;
mod sidecars;
mod signals;
pub mod table;
mod traces;
pub(crate) mod translators;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use dozen_core::{Clock, Ids, SystemClock, chain};
use dozen_dataplane::{Limits, Sockets};
use dozen_lifecycle::{BoxError, Ready, Report, Service, Stop};

pub(crate) use children::printable;
pub(crate) use messages::topics;

pub use children::{Child, Children, Plan, State, plans};
pub use output::{Printer, colours_wanted};
pub use routes::{calling, gateway_options, routes};

use crate::Error;
use crate::config::{App, Loaded, Sections};
use assembly::Assembly;
use bound::Bound;
pub(crate) use elsewhere::{Told, moved};
use files::Files;
use handover::{Predecessor, Succession};
use signals::Signals;

/// Parts of the process with their names, in the order in which they start.
type Parts = Vec<(String, Arc<dyn Service>)>;

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

/// Where the application was read from, and what was read.
struct Source {
    path: PathBuf,
    files: Files,
    sections: Sections,
    /// The program that this process was started as.
    program: Option<PathBuf>,
}

/// Runs the application of the file at `path` until a signal stops it, or another process takes over. With a `predecessor`, from whom this
/// one takes over.
pub(crate) fn run(path: &Path, predecessor: Option<&Arc<Predecessor>>) -> Result<ExitCode, Error> {
    let (loaded, files) = Files::load(path);
    let Loaded { app, sections, .. } = loaded?;
    let source = Source { path: path.to_owned(), files, sections, program: handover::program() };
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
    let before = predecessor.map(Arc::as_ref);
    let bound = Bound::bind(app, source, signals.hangup(), printer, &ids, before).await?;
    let mut assembly = Assembly::new(app, source, bound).await?;
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

//! `dozen up`: everything of one file, in one process and its children.
//!
//! ```text
//!  Supervisor ─┬─ store, registry, gateway, sidecars, console…      started first, stopped last
//!              └─ children: the services of the file                started last, stopped first
//! ```
//!
//! [`assemble`] is the only place that knows which parts there are. Each part is one `start` and one or more rows of
//! the table; add it there and nowhere else.
//!
//! SIGINT or SIGTERM drains: services get SIGTERM, requests in flight are finished, exit 0. A second signal cuts at
//! once, exit 130. A part that ends by itself stops the rest, exit 1.

mod child;
mod children;
mod command;
pub(crate) mod guard;
mod lines;
mod output;
mod plan;
mod probe;
mod routes;
mod signals;
pub mod table;

use std::process::ExitCode;
use std::sync::Arc;

use dozen_core::{Clock, Ids, SystemClock};
use dozen_lifecycle::{Report, Supervisor};

pub(crate) use lines::printable;

pub use children::{Child, Children, State};
pub use output::{Printer, colours_wanted};
pub use plan::{Plan, plans};
pub use routes::routes;

use crate::Error;
use crate::config::App;
use signals::Signals;

/// What the assembled parts look like from outside.
struct Assembly {
    supervisor: Supervisor,
    children: Arc<Children>,
    /// The rows of the parts of this process.
    rows: Vec<table::Row>,
    gateway: bool,
    console: bool,
}

/// Puts the parts of this process together, in the order in which they start. The children follow when all of these
/// are ready, so that a service finds its sidecar and the registry when it begins.
async fn assemble(app: &Arc<App>, printer: &Printer, ids: &Ids) -> Result<Assembly, Error> {
    let supervisor = Supervisor::new(app.limits.stop_deadline);
    let rows = Vec::new();
    let children = Children::new(plans(app), printer.clone(), ids.clone(), app.limits.stop_deadline)
        .map_err(Error::system("prepare to start processes"))?;
    Ok(Assembly { supervisor, children: Arc::new(children), rows, gateway: false, console: false })
}

impl Assembly {
    /// Starts the children behind the parts; returns when everything is ready or a part never will be.
    async fn start(&mut self) -> Result<(), Report> {
        self.supervisor.ready().await?;
        self.supervisor.start("services", self.children.clone());
        self.supervisor.ready().await
    }
}

/// Runs the application until a signal stops it.
pub fn run(app: App) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .map_err(Error::system("start the runtime"))?;
    let ended = runtime.block_on(up(Arc::new(app)));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended
}

async fn up(app: Arc<App>) -> Result<ExitCode, Error> {
    let widest = plans(&app).iter().map(|plan| plan.label.len()).max().unwrap_or(0);
    let printer = Printer::start(widest.clamp("dozen".len(), 24), colours_wanted())
        .map_err(Error::system("start the output"))?;
    log_to(&printer);
    let signals = Signals::watch().map_err(Error::system("listen to signals"))?;
    let ended = tokio::select! {
        ended = attended(&app, &printer, &signals) => ended,
        () = signals.received(2) => {
            printer.say("second signal: cutting at once");
            Ok(ExitCode::from(130))
        }
    };
    printer.flush().await;
    ended
}

/// From start to stop, with one signal in between.
async fn attended(app: &Arc<App>, printer: &Printer, signals: &Signals) -> Result<ExitCode, Error> {
    let ids = Ids::new(Arc::new(SystemClock), seed());
    let mut assembly = assemble(app, printer, &ids).await?;
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
        printer.plain(&format!("\n{} is up; state is in {}", app.name, app.store.display()));
        printer.plain(&format!("{}\n", table::render(&rows)));
        if let Some(hint) = table::hint(app, assembly.gateway, assembly.console) {
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

//! The services of the file as processes: started, watched, started again, and stopped with everything else.
//!
//! ```text
//!              ┌──────────────── back-off ◄── Restarting ◄───────────────┐
//!              ▼                                                         │ ended, or not healthy in time
//!  start ► Starting ──probe says yes──► Healthy ◄──probe──► Unhealthy ───┤
//!              └─────────────────────────────────────────────────────────┘
//!  stop: last started first; SIGTERM to its group, wait; at the deadline SIGKILL
//! ```
//!
//! * A child that does not start, crashes or never becomes healthy is reported with what is known of it and started
//!   again with back-off; the others do not notice.
//! * Its process group goes when it goes: what a crashed child leaves behind would hold its port.
//! * No child outlives this process, not even its `kill -9` (see `command.rs` and `guard.rs`).
//! * What it writes is shown line by line; the last lines are kept for reports.
//! * They can be given to another dozen while they run, and be taken from one (see `handover`).
//!
//! The state of all children is one `watch`: the table, the console and discovery read the same.

mod child;
mod command;
mod group;
pub(crate) mod guard;
mod keep;
mod lines;
mod plan;
mod probe;
mod process;
mod state;

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use dozen_core::{Ids, Mutex};
use tokio::sync::{mpsc, oneshot, watch};

use super::Printer;
pub(super) use child::Alive;
pub(super) use command::find;
use command::{Spawner, launcher};
use guard::Guard;
pub(crate) use lines::printable;
pub use plan::{Plan, plans};
pub(super) use probe::probe;
pub(super) use process::describe;
pub use state::{Child, State};

/// Lines kept of each child, and characters kept of each line.
const KEPT_LINES: usize = 200;
const KEPT_CHARS: usize = 1024;

/// What happens to all of them at once.
pub(super) enum Order {
    /// They are let go of, and run on.
    Release(oneshot::Sender<Vec<Alive>>),
    /// These are owned here; what does not run is started.
    Take { standing: Vec<Child>, alive: Vec<Alive> },
}

/// All children of the process.
pub struct Children {
    pub(crate) plans: Vec<Plan>,
    pub(crate) printer: Printer,
    pub(crate) spawner: Spawner,
    pub(crate) launcher: PathBuf,
    pub(super) guard: OnceLock<Guard>,
    /// Whether somebody else owns them when this process begins.
    pub(super) is_heir: bool,
    orders: mpsc::Sender<Order>,
    pub(super) ordered: tokio::sync::Mutex<mpsc::Receiver<Order>>,
    pub(super) states: watch::Sender<Vec<Child>>,
    logs: Vec<Mutex<VecDeque<String>>>,
    pub(crate) ids: Ids,
    pub(super) deadline: Duration,
}

impl Children {
    /// Children that have `deadline` to stop, all together. If there are `standing` ones of another dozen, they are
    /// taken for what it says of them until [`take`](Self::take). Must be called inside the runtime.
    pub(crate) fn new(
        plans: Vec<Plan>,
        printer: Printer,
        ids: Ids,
        deadline: Duration,
        standing: Option<Vec<Child>>,
    ) -> io::Result<Self> {
        let is_heir = standing.is_some();
        let standing = standing.unwrap_or_default();
        let known = |plan: &Plan| standing.iter().find(|child| child.is(plan)).cloned();
        let child = |plan: &Plan| known(plan).unwrap_or_else(|| Child::unborn(plan));
        let launcher = launcher()?;
        let guard = if is_heir { OnceLock::new() } else { OnceLock::from(Guard::start(&launcher)?) };
        let (orders, ordered) = mpsc::channel(1);
        Ok(Self {
            states: watch::Sender::new(plans.iter().map(child).collect()),
            logs: plans.iter().map(|_| Mutex::default()).collect(),
            spawner: Spawner::start()?,
            guard,
            is_heir,
            orders,
            ordered: tokio::sync::Mutex::new(ordered),
            launcher,
            plans,
            printer,
            ids,
            deadline,
        })
    }

    /// The state of all children, in the order of the file.
    pub fn states(&self) -> watch::Receiver<Vec<Child>> {
        self.states.subscribe()
    }

    /// Lets go of all of them, and of the guard: somebody else is to own them. `None` once they are being stopped.
    pub(crate) async fn release(&self) -> Option<(Vec<Alive>, OwnedFd)> {
        let guard = self.guard.get()?.share().ok()?;
        let (reply, released) = oneshot::channel();
        self.orders.send(Order::Release(reply)).await.ok()?;
        Some((released.await.ok()?, guard))
    }

    /// Owns what another dozen has let go of. Without its guard there is a new one, and nothing to own yet.
    pub(crate) async fn take(
        &self,
        standing: Vec<Child>,
        alive: Vec<Alive>,
        guard: Option<OwnedFd>,
    ) -> io::Result<()> {
        if self.guard.get().is_none() {
            let guard = match guard {
                Some(pipe) => Guard::inherited(pipe),
                None => Guard::start(&self.launcher)?,
            };
            let _ = self.guard.set(guard);
        }
        // Fails only when they are being stopped, and nobody can be owned any more.
        let _ = self.orders.send(Order::Take { standing, alive }).await;
        Ok(())
    }

    /// Takes over what another dozen knows of its children.
    pub(super) fn learn(&self, standing: &[Child]) {
        self.states.send_modify(|children| {
            for (child, plan) in children.iter_mut().zip(&self.plans) {
                if let Some(known) = standing.iter().find(|known| known.is(plan)) {
                    *child = Child { identity: Some(plan.identity), ..known.clone() };
                }
            }
        });
    }

    pub(crate) fn is_healthy(&self, at: usize) -> bool {
        self.states.borrow()[at].state == State::Healthy
    }

    /// The last lines that a child wrote, oldest first.
    pub(crate) fn tail(&self, at: usize, count: usize) -> Vec<String> {
        let kept = self.logs[at].lock();
        kept.iter().skip(kept.len().saturating_sub(count)).cloned().collect()
    }

    /// Shows a line of a child and keeps it.
    pub(crate) async fn hear(&self, at: usize, line: String) {
        self.printer.child(at, &self.plans[at].label, &line).await;
        let mut kept = self.logs[at].lock();
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line.chars().take(KEPT_CHARS).collect());
    }

    pub(crate) fn change(&self, at: usize, change: impl FnOnce(&mut Child)) {
        self.states.send_modify(|children| change(&mut children[at]));
    }
}

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
//!
//! The state of all children is one `watch`: the table, the console and discovery read the same.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Backoff, Ids, Timestamp};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::child::{Ended, Life};
use super::command::{Spawner, launcher};
use super::guard::Guard;
use super::{Plan, Printer};

/// Between two starts of one child.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(30) };
/// A child that lived this long has proved that it can; its next crash counts as the first.
const PROVED: Duration = Duration::from_secs(60);
/// Lines kept of each child, and characters kept of each line.
const KEPT_LINES: usize = 200;
const KEPT_CHARS: usize = 1024;

/// What a child is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its process runs; it has not answered its first probe yet.
    Starting,
    /// It answers.
    Healthy,
    /// It answered before and does not now.
    Unhealthy {
        /// What the last probe saw.
        why: String,
    },
    /// It is not running, and will be started again.
    Restarting {
        /// How long until then.
        wait: Duration,
        /// Why it is not running.
        why: String,
    },
    /// It is not running, and will not be started again.
    Stopped {
        /// Why.
        why: String,
    },
}

/// One child as others see it.
#[derive(Clone, Debug)]
pub struct Child {
    /// The service of the file.
    pub service: String,
    /// Which instance, from 1.
    pub instance: u16,
    /// Its process, while it has one.
    pub pid: Option<u32>,
    /// When that process was started.
    pub since: Option<Timestamp>,
    /// Where it listens.
    pub port: Option<u16>,
    /// What it is doing.
    pub state: State,
    /// How often it was started again.
    pub restarts: u64,
}

/// All children of the process.
pub struct Children {
    pub(crate) plans: Vec<Plan>,
    pub(crate) printer: Printer,
    pub(crate) spawner: Spawner,
    pub(crate) launcher: PathBuf,
    pub(crate) guard: Guard,
    states: watch::Sender<Vec<Child>>,
    logs: Vec<Mutex<VecDeque<String>>>,
    pub(crate) ids: Ids,
    deadline: Duration,
}

impl Children {
    /// Children that have `deadline` to stop, all together. Must be called inside the runtime.
    pub fn new(plans: Vec<Plan>, printer: Printer, ids: Ids, deadline: Duration) -> io::Result<Self> {
        let child = |plan: &Plan| Child {
            service: plan.service.clone(),
            instance: plan.instance,
            pid: None,
            since: None,
            port: plan.port,
            state: State::Starting,
            restarts: 0,
        };
        let launcher = launcher()?;
        Ok(Self {
            states: watch::Sender::new(plans.iter().map(child).collect()),
            logs: plans.iter().map(|_| Mutex::default()).collect(),
            spawner: Spawner::start()?,
            guard: Guard::start(&launcher)?,
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

    /// The last lines that a child wrote, oldest first.
    pub fn last_lines(&self, service: &str, instance: u16, count: usize) -> Vec<String> {
        let at = self.plans.iter().position(|plan| plan.service == service && plan.instance == instance);
        at.map(|at| self.tail(at, count)).unwrap_or_default()
    }

    pub(crate) fn tail(&self, at: usize, count: usize) -> Vec<String> {
        let kept = self.logs[at].lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().skip(kept.len().saturating_sub(count)).cloned().collect()
    }

    /// Shows a line of a child and keeps it.
    pub(crate) async fn hear(&self, at: usize, line: String) {
        self.printer.child(at, &self.plans[at].label, &line).await;
        let mut kept = self.logs[at].lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line.chars().take(KEPT_CHARS).collect());
    }

    pub(crate) fn change(&self, at: usize, change: impl FnOnce(&mut Child)) {
        self.states.send_modify(|children| change(&mut children[at]));
    }

    /// Keeps one child running until it is told to stop.
    async fn keep(self: Arc<Self>, at: usize, stop: Stop) {
        let plan = &self.plans[at];
        let mut failures = 0;
        while !stop.is_stopping() {
            let born = Instant::now();
            let why = match (Life { children: &self, plan, at, stop: &stop }).live().await {
                Ended::Asked => break,
                Ended::Unasked(why) => why,
            };
            if born.elapsed() >= PROVED {
                failures = 0;
            }
            failures += 1;
            if !plan.restart {
                tracing::error!("{}: {why}; not started again (`restart: never`)", plan.label);
                self.change(at, |child| child.state = State::Stopped { why });
                return;
            }
            let wait = BACKOFF.delay(failures, self.ids.random());
            tracing::error!("{}: {why}; starting it again in {:.1}s", plan.label, wait.as_secs_f64());
            self.change(at, |child| child.state = State::Restarting { wait, why });
            tokio::select! {
                () = stop.soft.cancelled() => break,
                () = tokio::time::sleep(wait) => self.change(at, |child| {
                    child.restarts += 1;
                    child.state = State::Starting;
                }),
            }
        }
        self.change(at, |child| child.state = State::Stopped { why: "dozen is stopping".into() });
    }

    /// Returns when each child is healthy or has shown for the first time that it is not.
    async fn settled(&self) {
        let settled = |child: &Child| child.state != State::Starting;
        // The sender is `self`: the channel cannot close.
        let _ = self.states().wait_for(|children| children.iter().all(settled)).await;
    }

    /// Asks the children to stop, the last first. One that is deaf delays those before it by its share of the
    /// deadline, so that each is asked before anything is cut.
    async fn stop_in_order(&self, stops: &[Stop], hard: &Stop) {
        let share = self.deadline / u32::try_from(stops.len() + 1).unwrap_or(u32::MAX);
        for (at, stop) in stops.iter().enumerate().rev() {
            stop.soft.cancel();
            let mut states = self.states();
            let ended = states.wait_for(|children| matches!(children[at].state, State::Stopped { .. }));
            tokio::select! {
                _ = ended => {}
                () = tokio::time::sleep(share) => {}
                () = hard.hard.cancelled() => {}
            }
        }
    }
}

#[async_trait]
impl Service for Children {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let stops: Vec<Stop> =
            self.plans.iter().map(|_| Stop { soft: Default::default(), hard: stop.hard.clone() }).collect();
        let mut keepers = JoinSet::new();
        for (at, stop) in stops.iter().enumerate() {
            keepers.spawn(self.clone().keep(at, stop.clone()));
        }
        tokio::select! {
            () = self.settled() => ready.ready(),
            () = stop.soft.cancelled() => drop(ready),
        }
        stop.soft.cancelled().await;
        self.stop_in_order(&stops, &stop).await;
        while keepers.join_next().await.is_some() {}
        Ok(())
    }
}

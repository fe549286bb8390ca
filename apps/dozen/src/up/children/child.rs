//! One life of one child: from its start to its end, whatever ends it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use dozen_core::Timestamp;
use dozen_lifecycle::Stop;
use rustix::process::{Pid, Signal};
use tokio::io::AsyncRead;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Children;
use super::command::{command, find};
use super::group::Group;
use super::guard::Guard;
use super::lines::Lines;
use super::plan::Plan;
use super::probe::probe;
use super::process::Process;
use super::state::State;

/// A child that is not yet healthy is asked this often, growing from the first to the second.
const ASK_FIRST: Duration = Duration::from_millis(20);
const ASK_LAST: Duration = Duration::from_millis(500);
/// A healthy child is asked this often, and is unhealthy after so many bad answers in a row.
const ASK_AGAIN: Duration = Duration::from_secs(5);
const BAD_MAX: u32 = 3;
/// How long a child that never became healthy may take to end, and its last words to arrive.
const FAREWELL: Duration = Duration::from_secs(5);
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Lines shown of a child that never became healthy.
const TAIL: usize = 10;

/// How a life ended.
pub(crate) enum Ended {
    /// Because dozen stops.
    Asked,
    /// By itself, or because it was never healthy.
    Unasked(String),
    /// Not at all: another dozen owns it from now on.
    Released(Alive),
}

/// A process that runs, on its way from one owner to the next.
pub(crate) struct Alive {
    pub(crate) service: String,
    pub(crate) instance: u16,
    pub(crate) pid: Pid,
    pub(crate) since: Option<Timestamp>,
    pub(crate) healthy: bool,
    /// What it was started as, if that is told.
    pub(crate) identity: Option<u64>,
    /// What it writes to standard output and standard error.
    pub(crate) pipes: [OwnedFd; 2],
}

pub(crate) struct Life<'a> {
    pub(crate) children: &'a std::sync::Arc<Children>,
    pub(crate) plan: &'a Plan,
    pub(crate) at: usize,
    pub(crate) guard: &'a Guard,
    pub(crate) stop: &'a Stop,
    /// Cancelled when another dozen takes over.
    pub(crate) leave: &'a CancellationToken,
}

/// Ends a process that nothing is planned for any more, within `deadline`.
pub(super) async fn dismiss(alive: Alive, guard: &Guard, stop: &Stop, deadline: Duration) {
    let Alive { service, pid, pipes, .. } = alive;
    // Where there is no such process it has ended by itself.
    let Ok(mut process) = Process::adopt(pid, pipes) else { return };
    let group = Group::of(pid, guard);
    tracing::info!("{service}: process {} is stopped, as the file has it", pid.as_raw_nonzero());
    group.signal(Signal::TERM);
    tokio::select! {
        _ = process.wait() => return,
        () = tokio::time::sleep(deadline) => tracing::warn!("{service}: did not end in time; killed"),
        () = stop.hard.cancelled() => {}
    }
    group.signal(Signal::KILL);
    let _ = process.wait().await;
}

impl Life<'_> {
    /// Lives a life that begins now, or goes on with one that has begun elsewhere.
    pub(crate) async fn live(&self, alive: Option<Alive>) -> Ended {
        let was_healthy = alive.as_ref().is_some_and(|alive| alive.healthy);
        let since = alive.as_ref().map_or_else(|| Some(self.children.ids.clock().now()), |alive| alive.since);
        let is_new = alive.is_none();
        let begun = match alive {
            Some(alive) => Process::adopt(alive.pid, alive.pipes)
                .map_err(|error| format!("ended while another dozen took it over ({error})")),
            None => self.start().await,
        };
        let mut process = match begun {
            Ok(process) => process,
            Err(why) => return Ended::Unasked(why),
        };
        let pid = process.pid();
        let group = Group::of(pid, self.guard);
        let number = pid.as_raw_nonzero().get().unsigned_abs();
        self.children.change(self.at, |child| (child.pid, child.since) = (Some(number), since));
        if is_new {
            tracing::info!("{}: started as process {number}", self.plan.label);
        }

        let mut listeners = JoinSet::new();
        match process.outputs() {
            Ok(outputs) => outputs.into_iter().for_each(|output| {
                listeners.spawn(listen(self.children.clone(), self.at, output, self.leave.clone()));
            }),
            Err(error) => tracing::warn!("{}: what it writes cannot be read: {error}", self.plan.label),
        }
        let ended = tokio::select! {
            how = process.wait() => Ended::Unasked(how),
            () = self.leave.cancelled() => {
                group.let_go();
                while listeners.join_next().await.is_some() {}
                return Ended::Released(Alive {
                    service: self.plan.service.clone(),
                    instance: self.plan.instance,
                    pid,
                    since,
                    healthy: self.children.is_healthy(self.at),
                    identity: Some(self.plan.identity),
                    pipes: process.let_go(),
                });
            }
            why = self.watch(was_healthy) => {
                group.signal(Signal::TERM);
                let _ = tokio::time::timeout(FAREWELL, process.wait()).await;
                Ended::Unasked(why)
            }
            () = self.stop.soft.cancelled() => {
                group.signal(Signal::TERM);
                tokio::select! {
                    _ = process.wait() => {}
                    () = self.stop.hard.cancelled() => {
                        tracing::warn!("{}: did not end in time; killed", self.plan.label);
                        group.signal(Signal::KILL);
                        let _ = process.wait().await;
                    }
                }
                Ended::Asked
            }
        };
        drop(group);
        // What it wrote last is often what matters; a stranger that holds the pipe open must not keep us.
        let all_heard = async { while listeners.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORDS, all_heard).await;
        self.children.change(self.at, |child| child.pid = None);
        ended
    }

    async fn start(&self) -> Result<Process, String> {
        let plan = self.plan;
        let own_path = plan.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.into());
        let path = own_path.or_else(|| std::env::var_os("PATH"));
        let program = find(&plan.command[0], &plan.dir, path)
            .map_err(|why| format!("cannot start `{}`: {why}", plan.shown))?;
        if let Some(port) = plan.port {
            // Without this look, a stranger on the port would pass for a healthy child.
            if let Err(error) = tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
                return Err(format!(
                    "cannot start it on port {port}: {error}; end the program that has the port, or choose another `port`"
                ));
            }
        }
        let failed = |error| format!("cannot start `{}`: {error}", plan.shown);
        let pipe = self.guard.pipe().map_err(failed)?;
        let command =
            command(&self.children.launcher, pipe, &program, &plan.command[1..], &plan.dir, &plan.env);
        Process::start(&self.children.spawner, command).await.map_err(failed)
    }

    /// Keeps the child's state true. Returns, with the reason, only when it did not become healthy in time.
    async fn watch(&self, was_healthy: bool) -> String {
        let Some(port) = self.plan.port else {
            // Nothing to ask: running is all that can be seen.
            self.healthy(None);
            return std::future::pending().await;
        };
        let address = format!("127.0.0.1:{port}");
        let path = self.plan.health.as_deref();
        if !was_healthy {
            let born = Instant::now();
            let mut pause = ASK_FIRST;
            while let Err(why) = probe(&address, path).await {
                if born.elapsed() + pause > self.plan.start_timeout {
                    return self.never_healthy(port, &why);
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(ASK_LAST);
            }
            self.healthy(Some(born.elapsed()));
        }
        let mut bad = 0;
        loop {
            tokio::time::sleep(ASK_AGAIN).await;
            match probe(&address, path).await {
                Ok(()) if bad >= BAD_MAX => {
                    bad = 0;
                    self.healthy(None);
                }
                Ok(()) => bad = 0,
                Err(why) => {
                    bad += 1;
                    if bad == BAD_MAX {
                        tracing::warn!("{}: is unhealthy: {why}", self.plan.label);
                        self.children.change(self.at, |child| child.state = State::Unhealthy { why });
                    }
                }
            }
        }
    }

    fn healthy(&self, after: Option<Duration>) {
        match after {
            Some(after) => tracing::info!("{}: healthy after {:.1}s", self.plan.label, after.as_secs_f64()),
            None if self.plan.port.is_none() => {} // "started" has said all that is known
            None => tracing::info!("{}: healthy again", self.plan.label),
        }
        self.children.change(self.at, |child| child.state = State::Healthy);
    }

    fn never_healthy(&self, port: u16, why: &str) -> String {
        let question = match &self.plan.health {
            Some(path) => format!("answer GET {path} on port {port} with 2xx"),
            None => format!("listen on port {port}"),
        };
        let lines = self.children.tail(self.at, TAIL);
        let said = match lines.as_slice() {
            [] => "it wrote nothing".to_owned(),
            lines => format!("its last lines:\n    {}\n ", lines.join("\n    ")),
        };
        format!(
            "`{}` did not {question} within {}s (`start-timeout`); last attempt: {why}; {said}",
            self.plan.shown,
            self.plan.start_timeout.as_secs_f64(),
        )
    }
}

/// Shows what comes through a pipe. Whoever reads it after `leave` gets what comes after; a line that is read in part
/// by then is shown in two.
async fn listen(
    children: std::sync::Arc<Children>,
    at: usize,
    pipe: impl AsyncRead + Unpin,
    leave: CancellationToken,
) {
    let mut lines = Lines::new(pipe);
    loop {
        let line = tokio::select! { biased;
            () = leave.cancelled() => break,
            line = lines.next() => line,
        };
        let Some(line) = line else { return };
        children.hear(at, line).await;
    }
    for line in lines.rest().await {
        children.hear(at, line).await;
    }
}

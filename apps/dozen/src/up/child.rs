//! One life of one child: from its start to its end, whatever ends it.

use std::process::ExitStatus;
use std::time::Duration;

use dozen_lifecycle::Stop;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncRead;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Plan;
use super::children::{Children, State};
use super::command::{command, find};
use super::guard::Guard;
use super::lines::Lines;
use super::probe::probe;

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
}

/// A child's process group. Dropping it kills what is left of the group, whatever way the owner went.
struct Group<'a> {
    id: Option<Pid>,
    guard: &'a Guard,
}

impl<'a> Group<'a> {
    /// The group of a child that was started as the first of its group.
    fn of(process: Option<u32>, guard: &'a Guard) -> Self {
        let id = process.and_then(|process| Pid::from_raw(i32::try_from(process).ok()?));
        if let Some(id) = id {
            guard.add(id);
        }
        Self { id, guard }
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            let _ = kill_process_group(id, signal); // "no such group" is what we want to hear
        }
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(id) = self.id {
            self.guard.remove(id);
        }
    }
}

pub(crate) struct Life<'a> {
    pub(crate) children: &'a std::sync::Arc<Children>,
    pub(crate) plan: &'a Plan,
    pub(crate) at: usize,
    pub(crate) stop: &'a Stop,
}

impl Life<'_> {
    pub(crate) async fn live(&self) -> Ended {
        let mut process = match self.start().await {
            Ok(process) => process,
            Err(why) => return Ended::Unasked(why),
        };
        let pid = process.id();
        let group = Group::of(pid, &self.children.guard);
        let since = self.children.ids.clock().now();
        self.children.change(self.at, |child| (child.pid, child.since) = (pid, Some(since)));
        tracing::info!("{}: started as process {}", self.plan.label, pid.unwrap_or(0));

        let mut listeners = JoinSet::new();
        if let Some(out) = process.stdout.take() {
            listeners.spawn(listen(self.children.clone(), self.at, out));
        }
        if let Some(err) = process.stderr.take() {
            listeners.spawn(listen(self.children.clone(), self.at, err));
        }
        let ended = tokio::select! {
            status = process.wait() => Ended::Unasked(describe(status)),
            why = self.watch() => {
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

    async fn start(&self) -> Result<tokio::process::Child, String> {
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
        let command = command(&self.children.launcher, &program, &plan.command[1..], &plan.dir, &plan.env);
        self.children
            .spawner
            .spawn(command)
            .await
            .map_err(|error| format!("cannot start `{}`: {error}", plan.shown))
    }

    /// Keeps the child's state true. Returns, with the reason, only when it did not become healthy in time.
    async fn watch(&self) -> String {
        let Some(port) = self.plan.port else {
            // Nothing to ask: running is all that can be seen.
            self.healthy(None);
            return std::future::pending().await;
        };
        let address = format!("127.0.0.1:{port}");
        let path = self.plan.health.as_deref();
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

async fn listen(children: std::sync::Arc<Children>, at: usize, pipe: impl AsyncRead + Unpin) {
    let mut lines = Lines::new(pipe);
    while let Some(line) = lines.next().await {
        children.hear(at, line).await;
    }
}

/// How a process ended, in words.
fn describe(status: std::io::Result<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with exit status {code}"),
            (None, Some(signal)) => {
                let name = NAMES.iter().find(|(known, _)| known.as_raw() == signal).map(|(_, name)| name);
                format!(
                    "was ended by signal {signal}{}",
                    name.map(|name| format!(" ({name})")).unwrap_or_default()
                )
            }
            (None, None) => "ended".into(),
        },
        Err(error) => format!("cannot be waited for: {error}"),
    }
}

/// The signals that end programs in practice.
const NAMES: [(Signal, &str); 10] = [
    (Signal::HUP, "HUP"),
    (Signal::INT, "INT"),
    (Signal::QUIT, "QUIT"),
    (Signal::ILL, "ILL"),
    (Signal::ABORT, "ABRT"),
    (Signal::BUS, "BUS"),
    (Signal::KILL, "KILL"),
    (Signal::SEGV, "SEGV"),
    (Signal::PIPE, "PIPE"),
    (Signal::TERM, "TERM"),
];

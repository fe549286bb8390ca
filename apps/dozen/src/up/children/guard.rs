//! Kills what the children started when `dozen up` itself is killed.
//!
//! ```text
//!  dozen up ──────── pipe: "-4711" ──────► dozen guard ── end of the pipe ──► SIGKILL to every group still listed
//!   └─ 4711 sh ───── pipe: "+4711" ──┘
//!       └─ 4712 python
//! ```
//!
//! A process that is killed cannot take along what it started: after a `kill -9` of `dozen up` the services, and the
//! programs behind `sh`, `npm` or `uv`, would live on and hold their ports. The guard is a second process whose only
//! task is to notice, by the end of a pipe, that nobody holds the other end any more.
//!
//! The other end is handed over with the services when another dozen takes them (see `handover`): the guard stays, and
//! does not care who owns them as long as somebody does. So what goes through the pipe is the same in all versions.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process_group};

/// The guard's end that tells it which groups there are.
#[derive(Debug)]
pub(crate) struct Guard {
    /// `None` only while it is dropped.
    pipe: Option<OwnedFd>,
    /// The guard itself, if this process started it.
    process: Option<Child>,
    is_shared: AtomicBool,
}

impl Guard {
    pub(crate) fn start(launcher: &Path) -> io::Result<Self> {
        let (input, pipe) = io::pipe()?;
        let mut command = Command::new(launcher);
        // A group of its own: Ctrl-C and a kill of the whole group must leave it.
        command
            .arg("guard")
            .stdin(Stdio::from(OwnedFd::from(input)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let process = command.spawn()?;
        Ok(Self { pipe: Some(pipe.into()), process: Some(process), is_shared: AtomicBool::new(false) })
    }

    /// The one that an earlier dozen has started.
    pub(crate) fn inherited(pipe: OwnedFd) -> Self {
        Self { pipe: Some(pipe), process: None, is_shared: AtomicBool::new(true) }
    }

    /// Another end of the pipe, for a process that puts itself on the list.
    pub(crate) fn pipe(&self) -> io::Result<OwnedFd> {
        let pipe = self.pipe.as_ref().ok_or_else(|| io::Error::other("the guard is dismissed"))?;
        pipe.try_clone()
    }

    /// Another end of the pipe, for another dozen: from now on it ends with the last of them.
    pub(crate) fn share(&self) -> io::Result<OwnedFd> {
        self.is_shared.store(true, Ordering::Relaxed);
        self.pipe()
    }

    pub(crate) fn remove(&self, group: Pid) {
        if let Some(pipe) = &self.pipe {
            // A few bytes into a pipe that is always read: this does not block. A guard that is gone is not missed.
            let _ = rustix::io::write(pipe.as_fd(), line('-', group).as_bytes());
        }
    }
}

impl Drop for Guard {
    /// The end of the pipe ends the guard; waiting for it leaves no zombie.
    fn drop(&mut self) {
        drop(self.pipe.take());
        if let Some(process) = self.process.as_mut().filter(|_| !self.is_shared.load(Ordering::Relaxed)) {
            let _ = process.wait();
        }
    }
}

fn line(sign: char, group: Pid) -> String {
    format!("{sign}{}\n", group.as_raw_nonzero())
}

/// Puts this process, which leads its group, on the list of the guard behind the standard input. Without a guard
/// everything works but the end of what outlives everybody.
pub(crate) fn enlist() {
    let _ = rustix::io::write(io::stdin().as_fd(), line('+', rustix::process::getpid()).as_bytes());
}

/// What `dozen guard` does until its input ends.
pub(crate) fn stand() {
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let group = line.get(1..).and_then(|digits| digits.parse::<i32>().ok());
        match (line.as_bytes().first(), group) {
            (Some(b'+'), Some(group)) => groups.insert(group),
            (Some(b'-'), Some(group)) => groups.remove(&group),
            _ => false,
        };
    }
    for group in groups.into_iter().filter_map(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

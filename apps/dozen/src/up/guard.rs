//! Kills what the children started when `dozen up` itself is killed.
//!
//! ```text
//!  dozen up ── pipe: "+4711", "-4711" ──► dozen guard ── end of the pipe ──► SIGKILL to every group still listed
//!   └─ 4711 sh ── 4712 python
//! ```
//!
//! The kernel's parent-death signal reaches the child (`4711`) and nobody below it, so after a `kill -9` of
//! `dozen up` a program behind `sh`, `npm` or `uv` would live on and hold its port. The guard is a second process
//! whose only task is to notice, by the end of a pipe, that the first is gone. Without it everything works but this.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

/// The guard's end that tells it which groups there are.
#[derive(Debug)]
pub(crate) struct Guard(Mutex<Child>);

impl Guard {
    pub(crate) fn start(launcher: &Path) -> io::Result<Self> {
        let mut command = Command::new(launcher);
        // A group of its own: Ctrl-C and a kill of the whole group must leave it.
        command
            .arg("guard")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        Ok(Self(Mutex::new(command.spawn()?)))
    }

    pub(crate) fn add(&self, group: Pid) {
        self.tell('+', group);
    }

    pub(crate) fn remove(&self, group: Pid) {
        self.tell('-', group);
    }

    fn tell(&self, sign: char, group: Pid) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = guard.stdin.as_mut() {
            // A few bytes into a pipe that is always read: this does not block. A guard that is gone is not missed.
            let _ = pipe.write_all(format!("{sign}{}\n", group.as_raw_nonzero()).as_bytes());
        }
    }
}

impl Drop for Guard {
    /// The end of the pipe ends the guard; waiting for it leaves no zombie.
    fn drop(&mut self) {
        let guard = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(guard.stdin.take());
        let _ = guard.wait();
    }
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

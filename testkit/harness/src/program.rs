//! One program, and everything that it started.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::output::Output;

/// A running program. Dropping it kills its process group, so that a failed test leaves no server behind.
pub struct Program {
    name: String,
    pid: Pid,
    child: Mutex<Child>,
    output: Arc<Output>,
}

impl Program {
    /// Starts `command` in a process group of its own, without input, its output captured.
    pub fn start(name: impl Into<String>, mut command: Command) -> Result<Self, String> {
        let name = name.into();
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| format!("cannot start {name} ({command:?}): {error}"))?;
        let output = Arc::new(Output::default());
        if let Some(stdout) = child.stdout.take() {
            output.follow(stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            output.follow(stderr);
        }
        let pid = Pid::from_child(&child);
        Ok(Self { name, pid, child: Mutex::new(child), output })
    }

    /// The process id; that of its group too.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits for a line that contains `part`, among those written already and those to come. Returns the line.
    pub fn wait_for_line(&self, part: &str, timeout: Duration) -> Result<String, String> {
        self.output.wait_for(part, timeout).ok_or_else(|| self.unheard(part, timeout))
    }

    /// Waits for the next line that contains `part`, behind the last one that was heard in this way. Returns the line.
    pub fn hear(&self, part: &str, timeout: Duration) -> Result<String, String> {
        self.output.hear(part, timeout).ok_or_else(|| self.unheard(part, timeout))
    }

    fn unheard(&self, part: &str, timeout: Duration) -> String {
        let (name, told) = (&self.name, self.output());
        format!("{name} wrote no line with `{part}` within {timeout:?}; it wrote:\n{told}")
    }

    /// What it wrote, once it and all that hold its output have closed it.
    pub fn output_to_the_end(&self, timeout: Duration) -> Result<String, String> {
        match self.output.wait_for_end(timeout) {
            true => Ok(self.output()),
            false => {
                Err(format!("{} still holds its output after {timeout:?}:\n{}", self.name, self.output()))
            }
        }
    }

    /// What it wrote to standard output and standard error, as far as it is kept (the last 4000 lines).
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Sends a signal to the program alone; what it started is its own to stop.
    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        // Holding the child keeps its process id from being reaped, and so from being given to someone else.
        let mut child = self.child();
        match child.try_wait() {
            Ok(None) => kill_process(self.pid, signal)
                .map_err(|error| format!("cannot signal {}: {error}", self.name)),
            _ => Err(format!("cannot signal {}: it has ended", self.name)),
        }
    }

    /// Kills the program and all that it started at once, as a crash of the machine would, and reaps it.
    pub fn kill9(&self) {
        let mut child = self.child();
        // The group may outlive its leader; ESRCH only means that it did not.
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = child.wait();
    }

    /// Whether it has not ended yet.
    pub fn is_running(&self) -> bool {
        matches!(self.child().try_wait(), Ok(None))
    }

    /// Waits until it ends by itself.
    pub fn wait_exit(&self, timeout: Duration) -> Result<ExitStatus, String> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.child().try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < deadline => {}
                Ok(None) => {
                    return Err(format!(
                        "{} still runs after {timeout:?}; it wrote:\n{}",
                        self.name,
                        self.output()
                    ));
                }
                Err(error) => return Err(format!("cannot wait for {}: {error}", self.name)),
            }
            sleep(Duration::from_millis(5));
        }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill9();
    }
}

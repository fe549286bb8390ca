//! One process of a service, whoever started it.
//!
//! A process that an earlier dozen started is no child of this one: the kernel tells that it has ended, but not how.
//! What it writes comes through the same pipes; their ends were handed over with it.

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal};
use tokio::net::unix::pipe::Receiver;
use tokio::process::Command;
use tokio::sync::oneshot;

use super::command::Spawner;

/// A process, and the pipes that it writes to.
pub(crate) struct Process {
    pid: Pid,
    pipes: [OwnedFd; 2],
    exit: Exit,
}

enum Exit {
    Child(tokio::process::Child),
    Stranger(Stranger),
}

impl Process {
    /// Starts a process that writes to pipes of its own.
    pub(crate) async fn start(spawner: &Spawner, mut command: Command) -> io::Result<Self> {
        let ((out, to_out), (err, to_err)) = (io::pipe()?, io::pipe()?);
        command.stdout(to_out).stderr(to_err);
        let child = spawner.spawn(command).await?;
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pid = pid.ok_or_else(|| io::Error::other("it has no process id"))?;
        Ok(Self { pid, pipes: [out.into(), err.into()], exit: Exit::Child(child) })
    }

    /// Takes over a process that runs already. Fails where there is none.
    pub(crate) fn adopt(pid: Pid, pipes: [OwnedFd; 2]) -> io::Result<Self> {
        Ok(Self { pid, pipes, exit: Exit::Stranger(Stranger::of(pid)?) })
    }

    /// Its id; that of its group, too.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// What it writes. Only one reader at a time gets all of it.
    pub(crate) fn outputs(&self) -> io::Result<[Receiver; 2]> {
        let [out, err] = &self.pipes;
        Ok([Receiver::from_owned_fd(out.try_clone()?)?, Receiver::from_owned_fd(err.try_clone()?)?])
    }

    /// Waits for its end, and says how it came. Cancel-safe.
    pub(crate) async fn wait(&mut self) -> String {
        match &mut self.exit {
            Exit::Child(child) => describe(child.wait().await),
            Exit::Stranger(stranger) => {
                stranger.ended().await;
                "ended; how is not known, because an earlier dozen started it".into()
            }
        }
    }

    /// Gives it up without ending it.
    pub(crate) fn let_go(self) -> [OwnedFd; 2] {
        self.pipes
    }
}

/// A process that is not a child of this one. A thread of its own waits for its end, because that is what the kernel
/// offers without a promise that only unsafe code can make; the thread ends with the process.
struct Stranger(oneshot::Receiver<()>);

impl Stranger {
    fn of(pid: Pid) -> io::Result<Self> {
        let wait = until_ended(pid)?;
        let (sender, ended) = oneshot::channel();
        std::thread::Builder::new().name("awaits-end".into()).stack_size(64 * 1024).spawn(move || {
            wait();
            let _ = sender.send(()); // nobody waits any more if the process was let go of
        })?;
        Ok(Self(ended))
    }

    async fn ended(&mut self) {
        let _ = (&mut self.0).await;
    }
}

/// Waits for the end of `pid`. Fails where there is no such process.
#[cfg(target_os = "linux")]
fn until_ended(pid: Pid) -> io::Result<impl FnOnce() + Send + 'static> {
    use rustix::event::{PollFd, PollFlags, poll};
    let file = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    // Readable once it has ended; a signal may interrupt the wait.
    Ok(move || while poll(&mut [PollFd::new(&file, PollFlags::IN)], None) == Err(rustix::io::Errno::INTR) {})
}

/// The same, by looking again and again, where the kernel has no other answer.
#[cfg(not(target_os = "linux"))]
fn until_ended(pid: Pid) -> io::Result<impl FnOnce() + Send + 'static> {
    let is_there = move || rustix::process::test_kill_process(pid);
    is_there()?;
    Ok(move || {
        while is_there().is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
    })
}

/// How a process ended, in words.
pub(crate) fn describe(status: io::Result<ExitStatus>) -> String {
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

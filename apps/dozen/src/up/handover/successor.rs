//! The old side: starts its successor, and gives it everything once it is ready.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dozen_dataplane::Sockets;
use dozen_discovery::Registry;
use rustix::process::{Pid, Signal, kill_process};

use super::wire::Wire;
use super::{Answer, Given, Offer, PROTOCOL, Running, Socket, Standing};
use crate::up::children::{Alive, describe, find};
use crate::up::reload::{self, Reloader};
use crate::up::{Children, registry};

/// How long the new process may take until it serves.
const READY_WAIT: Duration = Duration::from_secs(60);
/// How long it may take to answer when nothing keeps it.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a process that has closed its end may take to end: only then it is known how it did.
const END_WAIT: Duration = Duration::from_secs(2);

/// What another process needs to go on where this one is.
pub(in crate::up) struct Succession {
    /// The program to start: the path by which this one was started, whatever is there now.
    pub(in crate::up) program: Option<PathBuf>,
    /// The file of the application.
    pub(in crate::up) file: PathBuf,
    pub(in crate::up) sockets: Sockets,
    pub(in crate::up) children: Arc<Children>,
    pub(in crate::up) registry: Arc<Registry>,
    pub(in crate::up) reloader: Arc<Reloader>,
}

/// Why no other process took over. What ran goes on.
#[derive(Debug, thiserror::Error)]
pub(in crate::up) enum Refused {
    #[error("this is process 1, and its end would end all others; start a new container instead")]
    First,
    #[error("it is not known which program to start; start this one by its path")]
    NoProgram,
    #[error(transparent)]
    File(#[from] reload::Refused),
    #[error("cannot start `{}`", program.display())]
    Start { program: PathBuf, source: io::Error },
    #[error("process {pid} cannot take over: {why}")]
    Failed { pid: u32, why: String },
    #[error("process {pid} {how} before it had taken over")]
    Ended { pid: u32, how: String },
    #[error("process {pid} was not ready within {}s, and was killed", READY_WAIT.as_secs())]
    Late { pid: u32 },
    #[error("this process was asked to stop meanwhile")]
    Stopping,
}

/// The program that this process was started as: a path as it was given, also if it is a link to somewhere.
pub(in crate::up) fn program() -> Option<PathBuf> {
    let name = std::env::args_os().next()?;
    let here = std::env::current_dir().ok()?;
    find(name.to_str()?, &here, std::env::var_os("PATH")).ok()
}

/// The new process. Dropping it kills it, unless it has taken over.
struct Heir {
    process: Process,
    has_taken: bool,
}

impl Heir {
    fn start(program: &Path, file: &Path) -> io::Result<(Self, Wire)> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command.args([OsString::from("up"), "--take-over".into(), "--".into(), file.into()]);
        let process = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
        Ok((Self { process, has_taken: false }, Wire::new(ours, PATIENCE)?))
    }

    /// Why nothing more is heard of it.
    fn silent(&mut self, error: &io::Error) -> Refused {
        let pid = self.process.id();
        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            return Refused::Late { pid };
        }
        // It has closed its end, and so is about to end; or it talks nonsense, and is ended.
        let deadline = Instant::now() + END_WAIT;
        while Instant::now() < deadline && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        Refused::Ended { pid, how: describe(self.process.wait()) }
    }

    fn answer(&mut self, wire: &mut Wire) -> Result<Answer, Refused> {
        match wire.receive() {
            Ok((Answer::Failed(why), _)) => Err(Refused::Failed { pid: self.process.id(), why }),
            Ok((answer, _)) => Ok(answer),
            Err(error) => Err(self.silent(&error)),
        }
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        if !self.has_taken {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

impl Succession {
    /// Has another process take over, unless `stop` completes before that one is ready. Returns its id when this one
    /// has nothing left but what is in flight. Must not be dropped: the services may belong to nobody in between.
    pub(in crate::up) async fn hand_over(&self, stop: impl Future<Output = ()>) -> Result<u32, Refused> {
        if std::process::id() == 1 {
            return Err(Refused::First);
        }
        self.reloader.check().await?;
        let program = self.program.clone().ok_or(Refused::NoProgram)?;
        let failed = |source| Refused::Start { program: program.clone(), source };
        let (heir, wire) = Heir::start(&program, &self.file).map_err(failed)?;
        let pid = Pid::from_child(&heir.process);
        let sockets = self.sockets.handles().map_err(failed)?;
        let named = sockets.iter().map(|one| Socket { setting: one.setting.clone(), asked: one.asked });
        let offer = Offer {
            protocol: PROTOCOL,
            sockets: named.collect(),
            children: self.standing(),
            registered: registry::registered(&self.registry),
        };
        let ready = blocking((heir, wire), move |(heir, wire)| {
            let files: Vec<_> = sockets.iter().map(|one| one.socket.as_fd()).collect();
            wire.send(&offer, &files).map_err(|error| heir.silent(&error))?;
            let _ = wire.wait_for(READY_WAIT);
            heir.answer(wire).map(drop)
        });
        tokio::pin!(ready);
        let pair = tokio::select! {
            pair = &mut ready => pair?,
            () = stop => {
                let _ = kill_process(pid, Signal::KILL);
                let _ = ready.await;
                return Err(Refused::Stopping);
            }
        };
        let (alive, guard) = self.children.release().await.ok_or(Refused::Stopping)?;
        let given = Given { children: self.standing(), alive: alive.iter().map(running).collect() };
        let (back, guard) = (Arc::new(alive), Arc::new(guard));
        let lent = (back.clone(), guard.clone());
        let taken = blocking(pair, move |(heir, wire)| {
            let pipes = lent.0.iter().flat_map(|one| one.pipes.iter().map(|pipe| pipe.as_fd()));
            let files: Vec<_> = std::iter::once(lent.1.as_fd()).chain(pipes).collect();
            let _ = wire.wait_for(PATIENCE);
            wire.send(&given, &files).map_err(|error| heir.silent(&error))?;
            heir.answer(wire).map(drop)
        });
        match taken.await {
            Ok((mut heir, _)) => {
                heir.has_taken = true;
                self.sockets.pass_on();
                Ok(heir.process.id())
            }
            Err(refused) => {
                let alive = Arc::into_inner(back).unwrap_or_default();
                let standing = self.children.states().borrow().clone();
                if let Err(error) = self.children.take(standing, alive, None).await {
                    tracing::error!(%error, "the services cannot be taken back");
                }
                Err(refused)
            }
        }
    }

    fn standing(&self) -> Vec<Standing> {
        self.children.states().borrow().iter().map(Standing::from).collect()
    }
}

fn running(alive: &Alive) -> Running {
    Running {
        service: alive.service.clone(),
        instance: alive.instance,
        pid: alive.pid.as_raw_nonzero().get(),
        since: alive.since.map(|since| since.0),
        is_healthy: alive.healthy,
        identity: alive.identity,
    }
}

/// Talks on a thread that may block. Nothing ends the talk early but the end of the process that is talked to.
async fn blocking(
    mut pair: (Heir, Wire),
    talk: impl FnOnce((&mut Heir, &mut Wire)) -> Result<(), Refused> + Send + 'static,
) -> Result<(Heir, Wire), Refused> {
    let talked = tokio::task::spawn_blocking(move || talk((&mut pair.0, &mut pair.1)).map(|()| pair));
    talked.await.unwrap_or(Err(Refused::Stopping))
}

//! From a command of the file to a process.
//!
//! ```text
//!  dozen up ──spawn──► dozen child -- ./orders ──exec──► ./orders
//!            (own group)     │ "+4711"
//!                            └──────────► dozen guard
//! ```
//!
//! The step in between puts itself on the guard's list (see `guard.rs`), then becomes the program; it costs one `exec`
//! and no memory. No moment is left in which the program runs and the guard does not know of it.
//!
//! A thread of its own does all the spawning: a fork of a process with much memory takes a while, and nobody else
//! should wait for it.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::sync::oneshot;

type Spawned = oneshot::Sender<io::Result<Child>>;

/// The thread that starts processes.
#[derive(Debug)]
pub(crate) struct Spawner {
    orders: mpsc::SyncSender<(Command, Spawned)>,
}

impl Spawner {
    /// Must be called inside the runtime that will wait for the processes.
    pub(crate) fn start() -> io::Result<Self> {
        let (orders, incoming) = mpsc::sync_channel::<(Command, Spawned)>(16);
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new().name("spawner".into()).stack_size(256 * 1024).spawn(move || {
            let _inside = runtime.enter();
            while let Ok((mut command, spawned)) = incoming.recv() {
                if let Err(Ok(mut unwanted)) = spawned.send(command.spawn()) {
                    let _ = unwanted.start_kill(); // it may have ended by itself
                }
            }
        })?;
        Ok(Self { orders })
    }

    pub(crate) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (sender, spawned) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts processes has ended");
        self.orders.try_send((command, sender)).map_err(|_| gone())?;
        spawned.await.map_err(|_| gone())?
    }
}

/// The process that becomes `program`, in a group of its own, once it has told the guard.
pub(crate) fn command(
    launcher: &Path,
    guard: OwnedFd,
    program: &Path,
    arguments: &[String],
    dir: &Path,
    env: &[(String, String)],
) -> Command {
    let mut command = Command::new(launcher);
    command
        .args(["child", "--"])
        .arg(program)
        .args(arguments)
        .current_dir(dir)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(guard))
        .process_group(0);
    command
}

/// This very program, also after its file was replaced by a newer one.
pub(crate) fn launcher() -> io::Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() { Ok(link.to_owned()) } else { std::env::current_exe() }
}

/// The file that `program` means: with a `/`, a path from `dir`; without, the first hit on `path`.
/// The error says where it was looked for.
pub(crate) fn find(program: &str, dir: &Path, path: Option<OsString>) -> Result<PathBuf, String> {
    if !dir.is_dir() {
        return Err(format!("there is no folder `{}` to run it in", dir.display()));
    }
    if program.contains('/') {
        let file = dir.join(program);
        return match runnable(&file) {
            Some(true) => Ok(file),
            Some(false) => Err(format!("`{}` is not executable; `chmod +x` makes it so", file.display())),
            None => Err(format!("there is no file `{program}` in {}", dir.display())),
        };
    }
    let folders: Vec<PathBuf> = path.iter().flat_map(std::env::split_paths).collect();
    let hit =
        folders.iter().map(|folder| dir.join(folder).join(program)).find(|file| runnable(file) == Some(true));
    hit.ok_or_else(|| {
        let searched: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let hint = match runnable(&dir.join(program)) {
            Some(_) => format!("; there is one in {}: write `./{program}`", dir.display()),
            None => String::new(),
        };
        format!("there is no program `{program}` in the folders of PATH: {}{hint}", searched.join(", "))
    })
}

/// Whether a file may be run; `None` where there is none.
fn runnable(file: &Path) -> Option<bool> {
    let about = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    Some(about.permissions().mode() & 0o111 != 0)
}

//! Servers that refuse root, which a test often is: another user for their programs, and folders that belong to that one.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::run::run;

/// A folder that belongs to the user of a server. It goes with its owner; and should this process be killed, or keep its
/// owner in a static to the end, a shell that waits for that ends the server and removes the folder.
pub(crate) struct Folder {
    path: PathBuf,
    guard: Option<Child>,
}

impl Folder {
    pub(crate) fn new() -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Short, because the path of a unix socket is.
        let path = std::env::temp_dir().join(format!("dozen-pg-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        give(&path)?;
        let script = r#"cat > /dev/null; cd "$0" && for file in data/postmaster.pid pgbouncer.pid; do
            test -f $file && kill -9 $(head -n 1 $file); done; rm -rf "$0""#;
        let mut guard = Command::new("sh");
        guard
            .arg("-c")
            .arg(script)
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        guard.process_group(0);
        let guard = guard.spawn().map_err(|error| format!("cannot start a shell: {error}"))?;
        Ok(Self { path, guard: Some(guard) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }
}

/// Whom servers run as that refuse root; `None` when we are not root.
fn other_user() -> Option<&'static str> {
    let exists = |user: &str| {
        let id = Command::new("id").arg(user).stdout(Stdio::null()).stderr(Stdio::null()).status();
        id.is_ok_and(|status| status.success())
    };
    rustix::process::geteuid().is_root().then(|| if exists("postgres") { "postgres" } else { "nobody" })
}

/// A command that runs as such a user.
pub(crate) fn as_server_user(program: &Path) -> Command {
    match other_user() {
        None => Command::new(program),
        Some(user) => {
            // setpriv becomes the program, so that signals reach it and not a shell in between.
            let mut command = Command::new("setpriv");
            command.args(["--reuid", user, "--regid", group_of(user), "--clear-groups", "--"]).arg(program);
            command.env("HOME", "/").current_dir("/");
            command
        }
    }
}

fn group_of(user: &str) -> &str {
    if user == "nobody" { "nogroup" } else { user }
}

/// Gives a file, or a folder with all that is in it, to such a user.
pub(crate) fn give(path: &Path) -> Result<(), String> {
    match other_user() {
        Some(user) => run(Command::new("chown").arg("-R").arg(user).arg(path)).map(drop),
        None => Ok(()),
    }
}

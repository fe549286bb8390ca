//! A PostgreSQL server of the test's own.
//!
//! PostgreSQL refuses to run as root, and a test often does: its programs then run as the user `postgres` of the
//! package (or `nobody`), to whom the folder is given. Making a cluster takes seconds, so each process makes one and copies it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Program, Signal, ensure_debian, free_port, wait_until_listening};

/// How long the server may take to start (after a crash it replays its log) and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server with a cluster of its own on 127.0.0.1 and on a unix socket in its folder. Dropped, it is killed and
/// its folder is removed.
///
/// It syncs its log (`fsync=on`) unless it is told otherwise, trusts every user from this machine, and has one superuser,
/// `test`.
pub struct Postgres {
    folder: Folder,
    port: u16,
    settings: Vec<String>,
    server: Mutex<Option<Program>>,
    databases: Mutex<u32>,
}

impl Postgres {
    /// Starts a fresh cluster. `settings` are those of postgresql.conf, as in `log_statement=all`.
    pub fn start(settings: &[&str]) -> Result<Self, String> {
        Self::start_with(settings, &[])
    }

    /// Starts a fresh cluster with these files in its data directory, which only the server may read: keys, certificates,
    /// a `pg_hba.conf` of one's own.
    pub fn start_with(settings: &[&str], files: &[(&str, &str)]) -> Result<Self, String> {
        let template = template()?;
        let folder = Folder::new()?;
        let data = folder.path().join("data");
        run(Command::new("cp").arg("-a").arg(template).arg(&data))?;
        for (name, text) in files {
            let path = data.join(name);
            std::fs::write(&path, text)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            run(Command::new("chmod").arg("600").arg(&path))?;
            if let Some(user) = other_user() {
                run(Command::new("chown").arg(user).arg(&path))?;
            }
        }
        let own = Self {
            folder,
            port: free_port(),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            server: Mutex::new(None),
            databases: Mutex::new(0),
        };
        own.resume()?;
        Ok(own)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its unix socket.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://test@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and gives its name.
    pub fn fresh_database(&self) -> Result<String, String> {
        let number = {
            let mut databases = self.databases.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            *databases += 1;
            *databases
        };
        let name = format!("test_{number}");
        self.psql("postgres", &format!("create database {name}"))?;
        Ok(name)
    }

    /// Runs SQL with psql and gives what it prints: rows by line, columns by `|`.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = self.client("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]);
        Ok(run(&mut psql)?.trim_end().to_owned())
    }

    /// A command of the package (psql, pg_dump, pg_restore, …), told how to reach this server.
    pub fn client(&self, program: &str) -> Command {
        let mut command =
            Command::new(programs().map(|folder| folder.join(program)).unwrap_or(program.into()));
        command.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.to_string()).env("PGUSER", "test");
        command
    }

    /// Kills the server and all its processes at once, as a crash would.
    pub fn kill9(&self) {
        let Some(server) = self.server().take() else { return };
        // Each of them has a process group of its own. Stopped, the first of them starts no more.
        let _ = server.signal(Signal::STOP);
        let children = children_of(server.pid());
        drop(server);
        for child in children {
            let _ = rustix::process::kill_process(child, Signal::KILL);
        }
    }

    /// Stops it in order; whoever is connected is disconnected.
    pub fn stop(&self) -> Result<(), String> {
        if let Some(server) = self.server().take() {
            server.signal(Signal::INT)?;
            server.wait_exit(PATIENCE)?;
        }
        Ok(())
    }

    /// Starts it again on the same data and the same port.
    pub fn resume(&self) -> Result<(), String> {
        let data = self.folder.path().join("data");
        let mut command = as_server_user(&programs()?.join("postgres"));
        command.arg("-D").arg(&data).arg("-k").arg(self.folder.path()).arg("-p").arg(self.port.to_string());
        for setting in ["listen_addresses=127.0.0.1", "max_connections=300", "unix_socket_permissions=0777"]
            .into_iter()
            .chain(self.settings.iter().map(String::as_str))
        {
            command.arg("-c").arg(setting);
        }
        // Processes of a server that was killed may outlive it by a moment, and keep another one from starting.
        let deadline = Instant::now() + PATIENCE;
        let server = loop {
            // Its lock file names a process that may be another one by now.
            let _ = std::fs::remove_file(data.join("postmaster.pid"));
            let server = Program::start("postgres", clone_of(&command))?;
            match server.wait_for_line("ready to accept connections", PATIENCE) {
                Ok(_) => break server,
                // It has said why, and is about to end.
                Err(_) if Instant::now() < deadline && server.wait_exit(Duration::from_secs(1)).is_ok() => {
                    sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(error),
            }
        };
        wait_until_listening(self.port, PATIENCE)?;
        *self.server() = Some(server);
        Ok(())
    }

    /// Stops it in order and starts it again.
    pub fn restart(&self) -> Result<(), String> {
        self.stop()?;
        self.resume()
    }

    /// What the server has logged, as far as it is kept.
    pub fn log(&self) -> String {
        self.server().as_ref().map(Program::output).unwrap_or_default()
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Option<Program>> {
        self.server.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill9(); // before its folder goes
    }
}

/// The processes that `parent` has started and that live.
fn children_of(parent: u32) -> Vec<rustix::process::Pid> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let listed = std::fs::read_to_string(path).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?)).collect()
}

/// A folder that belongs to the user of a server. It goes with its owner; and should this process be killed, or keep its
/// owner in a static to the end, a shell that waits for that ends the server and removes the folder.
pub(crate) struct Folder {
    path: PathBuf,
    guard: Option<Child>,
}

impl Folder {
    pub(crate) fn new() -> Result<Self, String> {
        static NUMBER: Mutex<u32> = Mutex::new(0);
        let number = {
            let mut number = NUMBER.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            *number += 1;
            *number
        };
        // Short, because the path of a unix socket is.
        let path = std::env::temp_dir().join(format!("dozen-pg-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        if let Some(user) = other_user() {
            run(Command::new("chown").arg(user).arg(&path))?;
        }
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
        std::os::unix::process::CommandExt::process_group(&mut guard, 0);
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

fn clone_of(command: &Command) -> Command {
    let mut clone = Command::new(command.get_program());
    clone.args(command.get_args());
    for (name, value) in command.get_envs() {
        clone.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = command.get_current_dir() {
        clone.current_dir(folder);
    }
    clone
}

/// The cluster that all others of this process are copied from.
fn template() -> Result<&'static Path, String> {
    static TEMPLATE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = TEMPLATE.get_or_init(|| {
        ensure_debian(&["postgresql"])?;
        // One for all test processes of this user: nothing in it ever changes.
        let version = programs()?.display().to_string().replace('/', "-");
        let path = std::env::temp_dir().join(format!("dozen-pg-template{version}"));
        let lock = std::fs::File::create(path.with_extension("lock"))
            .map_err(|error| format!("cannot open the lock of {}: {error}", path.display()))?;
        lock.lock().map_err(|error| format!("cannot lock {}: {error}", path.display()))?;
        if path.exists() {
            return Ok(path);
        }
        let making = Folder::new()?;
        let data = making.path().join("data");
        let mut initdb = as_server_user(&programs()?.join("initdb"));
        initdb.arg("-D").arg(&data).args([
            "-U",
            "test",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-N",
        ]);
        run(&mut initdb)?;
        run(Command::new("cp").arg("-a").arg(&data).arg(&path))?;
        Ok(path)
    });
    made.as_deref().map_err(Clone::clone)
}

/// Where the newest version's programs are: Debian keeps them off the path.
fn programs() -> Result<PathBuf, String> {
    let root = Path::new("/usr/lib/postgresql");
    let versions =
        std::fs::read_dir(root).map_err(|error| format!("cannot read {}: {error}", root.display()))?;
    versions
        .filter_map(|version| version.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .map(|version| root.join(version.to_string()).join("bin"))
        .ok_or_else(|| format!("there is no version of PostgreSQL in {}", root.display()))
}

/// Whom servers run as that refuse root; `None` when we are not root.
pub(crate) fn other_user() -> Option<&'static str> {
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

/// Runs a command to its end; gives its output, or a sentence about what went wrong.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_its_data_through_a_crash_and_a_restart() {
        let server = Postgres::start(&[]).unwrap();
        let database = server.fresh_database().unwrap();
        server.psql(&database, "create table t (n int); insert into t values (1)").unwrap();
        server.kill9();
        server.resume().unwrap();
        assert_eq!(server.psql(&database, "select n from t").unwrap(), "1");
        server.restart().unwrap();
        assert_eq!(server.psql(&database, "show fsync").unwrap(), "on");
        assert!(server.psql(&database, "nonsense").unwrap_err().contains("syntax error"));
    }
}

//! A PostgreSQL server of the test's own.
//!
//! PostgreSQL refuses to run as root, and a test often does: its programs then run as the user `postgres` of the
//! package (or `nobody`), to whom the folder is given. Making a cluster takes seconds, so one is made and copied.

mod cluster;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::run::run;
use crate::unprivileged::{Folder, as_server_user, give};
use crate::{Program, Signal, free_port, wait_until_listening};
use cluster::{programs, template};

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
    databases: AtomicU32,
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
            give(&path)?;
        }
        let own = Self {
            folder,
            port: free_port(),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            server: Mutex::new(None),
            databases: AtomicU32::new(1),
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
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
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

    fn server(&self) -> MutexGuard<'_, Option<Program>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
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

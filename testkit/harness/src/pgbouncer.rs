//! A PgBouncer of the test's own, before one server.

use std::time::Duration;

use crate::unprivileged::{Folder, as_server_user, give};
use crate::{Postgres, Program, ensure_debian, free_port, wait_until_listening};

/// A running pooler in transaction mode: a session has no connection of its own between two transactions.
pub struct PgBouncer {
    port: u16,
    _program: Program,
    _folder: Folder,
}

impl PgBouncer {
    /// Starts it with `connections` to each database of `server`.
    pub fn start(server: &Postgres, connections: u32) -> Result<Self, String> {
        ensure_debian(&["pgbouncer"])?;
        let folder = Folder::new()?;
        let port = free_port();
        let file = folder.path().join("pgbouncer.ini");
        let users = folder.path().join("users.txt");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
             pidfile = {}\n\
             default_pool_size = {connections}\nmax_client_conn = 500\n",
            server.port(),
            users.display(),
            folder.path().join("pgbouncer.pid").display(),
        );
        let write = |path, text: &str| std::fs::write(path, text).map_err(|error| error.to_string());
        write(&file, &text)?;
        write(&users, "\"test\" \"\"\n")?;
        give(folder.path())?;
        let mut command = as_server_user("/usr/sbin/pgbouncer".as_ref());
        command.arg(&file);
        let program = Program::start("pgbouncer", command)?;
        wait_until_listening(port, Duration::from_secs(20))
            .map_err(|error| format!("{error}: {}", program.output()))?;
        Ok(Self { port, _program: program, _folder: folder })
    }

    /// The address of a database through it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://test@127.0.0.1:{}/{database}", self.port)
    }
}

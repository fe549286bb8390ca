//! Connections to the server.

use std::sync::Arc;

use dozen_store::Error;
use tokio::sync::Mutex;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::{Doing, translate};
use crate::options::Options;
use crate::tls::{self, Attempt, Mode, Secured};

/// Makes connections, and owns the tasks that drive them.
pub(crate) struct Link {
    pub(crate) options: Options,
    tls: MakeRustlsConnect,
    pub(crate) tasks: TaskTracker,
    /// The engine was dropped.
    pub(crate) closed: CancellationToken,
}

/// A connection, and what drives it.
type Driven = (Client, Connection<Socket, Secured>);

impl Link {
    /// Reads the files that the address names; connects to nothing.
    pub(crate) async fn open(options: Options) -> Result<Arc<Self>, Error> {
        let settings = options.tls.clone();
        let tls = tokio::task::spawn_blocking(move || tls::configure(&settings)).await;
        let tls = tls.unwrap_or_else(|_| Err("the thread that reads the files for TLS ended".into()));
        let tls = tls.map_err(|problem| Error::Open { location: options.location.clone(), problem })?;
        let (tasks, closed) = (TaskTracker::new(), CancellationToken::new());
        Ok(Arc::new(Self { options, tls, tasks, closed }))
    }

    /// A connection that somebody else drives.
    pub(crate) async fn bare(&self) -> Result<Driven, Error> {
        let Options { server, tls, location, .. } = &self.options;
        let attempt = Attempt::new(&self.tls);
        let error = match server.connect(attempt.clone()).await {
            Ok(driven) => return Ok(driven),
            Err(error) => error,
        };
        // As libpq does: who only prefers TLS goes without it when that does not work out.
        if tls.mode == Mode::Prefer && attempt.may_do_without(&error) {
            let mut plain = server.clone();
            plain.ssl_mode(SslMode::Disable);
            if let Ok(driven) = plain.connect(Attempt::new(&self.tls)).await {
                tracing::debug!(%error, "TLS to PostgreSQL did not work, and this connection goes without");
                return Ok(driven);
            }
        }
        if let Some(problem) = attempt.problem(tls, &error) {
            return Err(Error::Open { location: location.clone(), problem });
        }
        Err(match error.as_db_error().map(|server| server.code().code().to_owned()).as_deref() {
            // The server would take us if we were somebody else, or named another database.
            Some("28P01" | "28000" | "3D000" | "42501") => Error::Open {
                location: location.clone(),
                problem: format!(
                    "{}; check user, password, database and `sslmode` in the address",
                    said(&error)
                ),
            },
            _ => translate(location, Doing::Working, &error),
        })
    }

    /// A connection.
    pub(crate) async fn connect(&self) -> Result<Client, Error> {
        let (client, connection) = self.bare().await?;
        self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        Ok(client)
    }
}

fn said(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or(error.to_string(), |server| server.message().to_owned())
}

/// A connection that several callers use at a time, made anew when it is lost. For calls that are a transaction each: one
/// after the other on the server, without waiting for each other on the way.
pub(crate) struct Lane {
    link: Arc<Link>,
    client: Mutex<Option<Arc<Client>>>,
}

impl Lane {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link, client: Mutex::new(None) }
    }

    pub(crate) async fn client(&self) -> Result<Arc<Client>, Error> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let new = Arc::new(self.link.connect().await?);
        *client = Some(new.clone());
        Ok(new)
    }
}

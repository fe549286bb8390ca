//! Connections to the server.

use std::sync::Arc;

use dozen_store::Error;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Connection, NoTls, Socket, tls::NoTlsStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::{Doing, translate};
use crate::options::Options;

/// Makes connections, and owns the tasks that drive them.
pub(crate) struct Link {
    pub(crate) options: Options,
    pub(crate) tasks: TaskTracker,
    /// The engine was dropped.
    pub(crate) closed: CancellationToken,
}

impl Link {
    pub(crate) fn new(options: Options) -> Arc<Self> {
        Arc::new(Self { options, tasks: TaskTracker::new(), closed: CancellationToken::new() })
    }

    /// A connection that somebody else drives.
    pub(crate) async fn bare(&self) -> Result<(Client, Connection<Socket, NoTlsStream>), Error> {
        self.options.server.connect(NoTls).await.map_err(|error| {
            let location = self.options.location.clone();
            match error.as_db_error().map(|server| server.code().code().to_owned()).as_deref() {
                // The server would take us if we were somebody else, or named another database.
                Some("28P01" | "28000" | "3D000" | "42501") => Error::Open {
                    location,
                    problem: format!("{}; check user, password and database in the address", said(&error)),
                },
                _ => translate(&location, Doing::Working, &error),
            }
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

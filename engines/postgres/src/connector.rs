//! Connections for others: who asks a database that is no store, and has to reach it as a store is reached.

use std::fmt;
use std::sync::Arc;

use dozen_store::Error;
use tokio::sync::OnceCell;
use tokio_postgres::Client;

use crate::link::Link;
use crate::options::Options;

/// Connects to one database, over TLS as its address says. Nothing is made there.
pub struct Connector {
    options: Options,
    link: OnceCell<Arc<Link>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("location", &self.options.location).finish_non_exhaustive()
    }
}

impl Connector {
    /// To the database that `options` name. Connects to nothing yet.
    pub fn new(options: Options) -> Self {
        Self { options, link: OnceCell::new() }
    }

    /// A connection. It ends when its client is dropped.
    pub async fn connect(&self) -> Result<Client, Error> {
        self.link.get_or_try_init(|| Link::open(self.options.clone())).await?.connect().await
    }
}

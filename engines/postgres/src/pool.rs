//! Connections that are lent to one caller at a time.
//!
//! A pool of our own in sixty lines, because what it must do is not what the ready-made ones do: no statement is prepared and
//! no session state is kept, so there is nothing to reset; and a transaction that is dropped half-way has to be rolled back
//! by somebody who is not its owner.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use dozen_core::Mutex;
use dozen_store::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_postgres::Client;

use crate::error::BUSY_WAIT;
use crate::link::Link;

pub(crate) struct Pool {
    link: Arc<Link>,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Client>>,
    /// Transactions that were dropped and are being rolled back.
    ending: watch::Sender<usize>,
}

/// How long a call waits for those.
const ENDING_MAX: Duration = Duration::from_secs(1);

impl Pool {
    pub(crate) fn new(link: Arc<Link>) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(link.options.pool));
        Arc::new(Self { link, places, idle: Mutex::default(), ending: watch::Sender::new(0) })
    }

    /// A connection; waits for one when all are lent.
    pub(crate) async fn lend(self: &Arc<Self>) -> Result<Loan, Error> {
        let place = tokio::time::timeout(BUSY_WAIT, self.places.clone().acquire_owned()).await;
        let place = place
            .map_err(|_| Error::Busy { location: self.link.options.location.clone(), waited: BUSY_WAIT })?
            .map_err(|_| Error::Closed)?;
        let idle = || self.idle.lock().pop();
        let client = loop {
            match idle() {
                Some(client) if client.is_closed() => {}
                Some(client) => break client,
                None => break self.link.connect().await?,
            }
        };
        Ok(Loan { pool: self.clone(), client: Some(client), place: Some(place), is_open: false })
    }

    /// Waits until what was dropped before this call holds nothing any more.
    pub(crate) async fn settled(&self) {
        if *self.ending.borrow() > 0 {
            let _ = tokio::time::timeout(ENDING_MAX, self.ending.subscribe().wait_for(|ending| *ending == 0))
                .await;
        }
    }

    fn take_back(&self, client: Client) {
        if !client.is_closed() && !self.link.closed.is_cancelled() {
            self.idle.lock().push(client);
        }
    }
}

/// A connection in one caller's hands.
pub(crate) struct Loan {
    pool: Arc<Pool>,
    client: Option<Client>,
    place: Option<OwnedSemaphorePermit>,
    /// A transaction is under way, and has to be rolled back before anybody else gets the connection.
    pub(crate) is_open: bool,
}

impl Deref for Loan {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("it is given back only when the loan is dropped")
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if !self.is_open {
            self.pool.take_back(client);
            return;
        }
        let (pool, place) = (self.pool.clone(), self.place.take());
        pool.ending.send_modify(|ending| *ending += 1);
        self.pool.link.tasks.spawn(async move {
            if client.batch_execute("rollback").await.is_ok() {
                pool.take_back(client);
            }
            pool.ending.send_modify(|ending| *ending -= 1);
            drop(place);
        });
    }
}

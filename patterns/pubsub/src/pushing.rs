//! A worker whose receiver may be away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::chain;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_messaging::{Circuit, CircuitState, CircuitStatus, Error, Worker};
use dozen_store::{Expect, Store};

use crate::remembered::Key;

/// The table of circuits that are open; a row's key is that of the subscription.
const SPACE: &str = "circuit";
/// How long a circuit counts as open without another sign: the process may have died.
const STALE: Duration = Duration::from_secs(300);
/// Between two signs of a circuit that stays open.
const SIGN: Duration = Duration::from_secs(100);
/// Between two attempts at a store that does not answer.
const AGAIN: Duration = Duration::from_secs(5);
/// Circuits that are listed.
const CIRCUITS_MAX: usize = 10_000;

/// Runs the worker of a pushed subscription: it lets go of the messages that a [`Circuit`] holds when it stops, and shows the
/// circuit to every process while it is open.
pub struct Pushing {
    worker: Arc<Worker>,
    circuit: Circuit,
    store: Store,
    key: Key,
}

impl Pushing {
    /// `worker`, whose handler asks `circuit`, for the subscription `name` of `pattern`.
    pub fn new(
        worker: Worker,
        circuit: Circuit,
        store: &Store,
        pattern: &str,
        name: &str,
    ) -> Result<Self, Error> {
        Ok(Self { worker: Arc::new(worker), circuit, store: store.clone(), key: Key::new(pattern, name)? })
    }

    /// Writes down each change between open and closed. Never ends.
    async fn show(&self) -> std::convert::Infallible {
        let mut status = self.circuit.status();
        let mut shown = false;
        loop {
            let now = status.borrow_and_update().clone();
            let is_open = now.state != CircuitState::Closed;
            if is_open || shown {
                match self.write(is_open.then_some(&now)).await {
                    Ok(()) => shown = is_open,
                    Err(error) => {
                        let name = &*self.key.name;
                        tracing::warn!(subscription = name, error = chain(&error), "cannot show its circuit");
                        tokio::time::sleep(AGAIN).await;
                        continue;
                    }
                }
            }
            let error = now.error;
            // A probe is no news; what it met is, and that the circuit closed.
            let news = async {
                let is_news = |status: &CircuitStatus| {
                    (status.state != CircuitState::Closed) != shown || shown && status.error != error
                };
                status.wait_for(is_news).await.is_ok()
            };
            if tokio::time::timeout(SIGN, news).await == Ok(false) {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn write(&self, status: Option<&CircuitStatus>) -> Result<(), dozen_store::Error> {
        let (table, row) = (self.store.table(SPACE), self.key.row());
        match status {
            Some(status) => {
                let value = serde_json::to_vec(status).unwrap_or_default();
                let expires = self.store.clock().now().after(STALE);
                table.put(&row, value, Expect::Any, Some(expires)).await.map(drop)
            }
            None => table.remove(&row, Expect::Any).await.map(drop),
        }
    }
}

/// The circuits that are open, by the row of their subscription.
pub(crate) async fn circuits(store: &Store) -> Result<BTreeMap<String, CircuitStatus>, Error> {
    let rows = store.table(SPACE).list("", CIRCUITS_MAX).await;
    let rows = rows.map_err(|error| Error::engine("look at the circuits", error))?;
    Ok(rows.into_iter().filter_map(|row| Some((row.key, serde_json::from_slice(&row.value).ok()?))).collect())
}

#[async_trait]
impl Service for Pushing {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let closing = async {
            stop.soft.cancelled().await;
            self.circuit.give_up();
            std::future::pending::<std::convert::Infallible>().await
        };
        tokio::select! { biased;
            ended = self.worker.clone().run(stop.clone(), ready) => ended,
            never = closing => match never {},
            never = self.show() => match never {},
        }
    }
}

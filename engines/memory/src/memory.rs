//! The engine.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use dozen_core::{Mutex, Token};
use dozen_store::{Answer, Capabilities, Changes, Committed, Engine, EngineTx, Error, Op, Outcome, Query};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};

use crate::state::State;

/// A store in memory.
#[derive(Default)]
pub struct Memory {
    shared: Arc<Shared>,
    /// Held by the transaction under way: there is one at a time.
    writer: Arc<AsyncMutex<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<Arc<State>>,
    hints: Mutex<HashMap<String, watch::Sender<u64>>>,
}

impl Shared {
    fn state(&self) -> Arc<State> {
        self.state.lock().clone()
    }

    /// Puts a transaction's state in place.
    fn install(&self, state: State, touched: &BTreeSet<Arc<str>>, outcomes: Vec<Outcome>) -> Committed {
        let position = state.head;
        *self.state.lock() = Arc::new(state);
        let hints = self.hints.lock();
        for stream in touched {
            if let Some(hint) = hints.get(&**stream) {
                hint.send_modify(|count| *count += 1);
            }
        }
        Committed { outcomes, token: Token { store: "memory".into(), epoch: 1, position } }
    }
}

impl Memory {
    /// An empty store.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }
}

#[async_trait]
impl Engine for Memory {
    fn capabilities(&self) -> Capabilities {
        Capabilities { engine: "memory", durable: false, shared: false, sql: false }
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Committed, Error> {
        self.begin().await?.commit(ops).await
    }

    async fn begin(&self) -> Result<Box<dyn EngineTx>, Error> {
        let turn = self.writer.clone().lock_owned().await;
        let state = (*self.shared.state()).clone();
        Ok(Box::new(MemoryTx {
            shared: self.shared.clone(),
            state,
            touched: BTreeSet::new(),
            failed: false,
            _turn: turn,
        }))
    }

    async fn query(&self, query: Query) -> Result<Answer, Error> {
        self.shared.state().answer(&query)
    }

    fn changes(&self, stream: &str) -> Changes {
        let mut hints = self.shared.hints.lock();
        hints.entry(stream.to_owned()).or_insert_with(|| watch::channel(0).0).subscribe()
    }
}

struct MemoryTx {
    shared: Arc<Shared>,
    state: State,
    touched: BTreeSet<Arc<str>>,
    failed: bool,
    _turn: OwnedMutexGuard<()>,
}

#[async_trait]
impl EngineTx for MemoryTx {
    async fn apply(&mut self, ops: Vec<Op>) -> Result<Vec<Outcome>, Error> {
        if self.failed {
            return Err(Error::Invalid("an earlier step of this transaction failed".into()));
        }
        let result = ops.iter().map(|op| self.state.apply(op, &mut self.touched)).collect();
        self.failed = Result::is_err(&result);
        result
    }

    async fn commit(mut self: Box<Self>, ops: Vec<Op>) -> Result<Committed, Error> {
        let outcomes = self.apply(ops).await?;
        let this = *self;
        Ok(this.shared.install(this.state, &this.touched, outcomes))
    }
}

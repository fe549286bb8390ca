//! An engine that fails on purpose, around any other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Answer, Capabilities, Changes, Committed, Engine, EngineTx, Error, Op, Outcome, Query};

/// What a plan makes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Let it pass.
    None,
    /// Fail before anything happens.
    Before,
    /// Let it happen, and fail nevertheless: the caller cannot know.
    After,
    /// Let it wait first.
    Delay(Duration),
}

type Plan = dyn Fn(&'static str) -> Fault + Send + Sync;

/// Asks a plan before each call, with the call's name: that of its last operation for a commit, `begin` or `query`.
pub struct Faulty {
    inner: Arc<dyn Engine>,
    plan: Arc<Plan>,
}

impl Faulty {
    /// `inner`, failing as `plan` says. A plan made from a seed gives the same faults again.
    pub fn new(inner: Arc<dyn Engine>, plan: impl Fn(&'static str) -> Fault + Send + Sync + 'static) -> Self {
        Self { inner, plan: Arc::new(plan) }
    }
}

async fn around<T>(
    fault: Fault,
    name: &'static str,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match fault {
        Fault::None => call.await,
        Fault::Before => {
            Err(Error::Failed { location: "under test".into(), problem: format!("fault before {name}") })
        }
        Fault::After => {
            call.await?;
            Err(Error::Unknown { problem: format!("fault after {name}") })
        }
        Fault::Delay(wait) => {
            tokio::time::sleep(wait).await;
            call.await
        }
    }
}

fn name_of(ops: &[Op]) -> &'static str {
    ops.last().map_or("commit", Op::name)
}

#[async_trait]
impl Engine for Faulty {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Committed, Error> {
        let name = name_of(&ops);
        around((self.plan)(name), name, self.inner.commit(ops)).await
    }

    async fn begin(&self) -> Result<Box<dyn EngineTx>, Error> {
        let inner = around((self.plan)("begin"), "begin", self.inner.begin()).await?;
        Ok(Box::new(FaultyTx { inner, plan: self.plan.clone() }))
    }

    async fn query(&self, query: Query) -> Result<Answer, Error> {
        around((self.plan)("query"), "query", self.inner.query(query)).await
    }

    fn changes(&self, stream: &str) -> Changes {
        self.inner.changes(stream)
    }
}

struct FaultyTx {
    inner: Box<dyn EngineTx>,
    plan: Arc<Plan>,
}

#[async_trait]
impl EngineTx for FaultyTx {
    async fn apply(&mut self, ops: Vec<Op>) -> Result<Vec<Outcome>, Error> {
        let name = name_of(&ops);
        around((self.plan)(name), name, self.inner.apply(ops)).await
    }

    async fn commit(self: Box<Self>, ops: Vec<Op>) -> Result<Committed, Error> {
        around((self.plan)("commit"), "commit", self.inner.commit(ops)).await
    }
}

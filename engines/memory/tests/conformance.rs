//! The memory engine keeps the promises of a store.

use std::sync::Arc;

use async_trait::async_trait;
use dozen_conformance::store::Harness;
use dozen_memory::Memory;
use dozen_store::Engine;

struct InMemory(Arc<Memory>);

#[async_trait]
impl Harness for InMemory {
    async fn fresh() -> Self {
        Self(Memory::new())
    }

    async fn open(&self) -> Arc<dyn Engine> {
        self.0.clone()
    }
}

dozen_conformance::store_suite!(InMemory);

//! The SQLite engine keeps the promises of a store.

use std::sync::Arc;

use async_trait::async_trait;
use dozen_conformance::store::Harness;
use dozen_sqlite::{Options, Sqlite};
use dozen_store::Engine;

struct OneFile(tempfile::TempDir);

#[async_trait]
impl Harness for OneFile {
    async fn fresh() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    async fn open(&self) -> Arc<dyn Engine> {
        Sqlite::open(&self.0.path().join("test.db"), Options::default()).expect("open")
    }
}

dozen_conformance::store_suite!(OneFile);

//! The whole API, served on a port of its own from a store in a file.

use std::sync::Arc;
use std::time::Duration;

use dozen_core::{Backoff, Ids, SystemClock};
use dozen_dataplane::{Limits, Server};
use dozen_harness::Part;
use dozen_messaging::{Policy, TopicSettings};
use dozen_openapi::{Face, alone, document, served};
use dozen_pubsub::Topics;
use dozen_queue::{Options, Queue};
use tokio_util::sync::CancellationToken;

/// A running API with the queue `invoices` and the topic `orders`.
pub(crate) struct Api {
    /// `http://host:port`.
    pub(crate) base: String,
    closing: CancellationToken,
    part: Part,
    _folder: tempfile::TempDir,
}

impl Api {
    /// An API whose requests wait for `wait_max` at most.
    pub(crate) async fn start(wait_max: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = dozen_open::open(&format!("sqlite:{}/store.db", folder.path().display())).await.unwrap();
        let policy = Policy {
            attempts_max: 5,
            backoff: Backoff::new(Duration::from_millis(5), Duration::from_millis(10)),
        };
        Queue::declare(&store, "invoices", &Options { policy, ..Options::default() }).await.unwrap();
        let topics = Topics::new(&store, [("orders".to_owned(), TopicSettings::default())].into());
        topics.declare().await.unwrap();
        let closing = CancellationToken::new();
        let face = Face::new(store, Ids::new(Arc::new(SystemClock), 7), None, closing.clone());
        let face = face.waiting_at_most(wait_max);
        let document = document("0.1.0", &[dozen_queue::http::OPENAPI, dozen_pubsub::http::OPENAPI]);
        let router = dozen_queue::http::router(face.clone())
            .merge(dozen_pubsub::http::router(face, topics))
            .merge(served(&document));
        let server = Server::bind(([127, 0, 0, 1], 0).into(), Limits::default()).unwrap();
        let base = format!("http://{}", server.local_addr());
        let part = Part::start(server.serving(alone(router)));
        Self { base, closing, part, _folder: folder }
    }

    pub(crate) async fn stop(self) {
        self.closing.cancel();
        self.part.stop().await.unwrap();
    }
}

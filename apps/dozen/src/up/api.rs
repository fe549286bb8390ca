//! Queues and topics over HTTP: on a port of their own, and beside every sidecar.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use dozen_core::Ids;
use dozen_dataplane::{Server, Sockets};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_openapi::{Face, alone, document, guarded, served};
use dozen_pubsub::Topics;
use dozen_store::Store;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::listening;
use crate::Error;
use crate::config::App;

/// The API of an application, to be served in several places.
pub(super) struct Api {
    store: Store,
    topics: Topics,
    ids: Ids,
    app: Arc<App>,
    document: Value,
}

impl Api {
    pub(super) fn new(app: &Arc<App>, store: &Store, topics: &Topics, ids: &Ids) -> Self {
        let fragments = [dozen_queue::http::OPENAPI, dozen_pubsub::http::OPENAPI];
        Self {
            store: store.clone(),
            topics: topics.clone(),
            ids: ids.clone(),
            app: app.clone(),
            document: document(env!("CARGO_PKG_VERSION"), &fragments),
        }
    }

    /// The API behind its token. Whoever waits is answered when `closing` does.
    pub(super) fn router(&self, closing: &Closing) -> Router {
        let keys = self.app.keys.clone();
        let face = Face::new(self.store.clone(), self.ids.clone(), keys, closing.0.clone());
        let router = dozen_queue::http::router(face.clone())
            .merge(dozen_pubsub::http::router(face, self.topics.clone()))
            .merge(served(&self.document));
        self.guarded(router)
    }

    fn guarded(&self, router: Router) -> Router {
        let token = self.app.api.as_ref().and_then(|api| api.token.as_ref());
        guarded(router, token.map(|token| token.reveal().to_owned()))
    }

    /// Binds the port of the file, unless it is off. Only there a reload can be asked for, not beside a service.
    pub(super) fn bind(&self, reload: Router, sockets: &Sockets) -> Result<Option<Arc<dyn Service>>, Error> {
        let Some(api) = &self.app.api else { return Ok(None) };
        let server = Server::bind(api.listen, listening("api.listen", sockets))
            .map_err(Error::pattern("serve the API"))?;
        let closing = Closing::default();
        let server = server.serving(alone(self.router(&closing).merge(self.guarded(reload))));
        Ok(Some(Arc::new(Listener { closing, server })))
    }
}

/// Lets go of those who wait, as soon as it is stopped: nothing else would end a long poll in time.
#[derive(Clone, Default)]
pub(super) struct Closing(CancellationToken);

#[async_trait]
impl Service for Closing {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        stop.soft.cancelled().await;
        self.0.cancel();
        Ok(())
    }
}

struct Listener {
    closing: Closing,
    server: Arc<dyn Service>,
}

#[async_trait]
impl Service for Listener {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let serving = self.server.clone().run(stop.clone(), ready);
        tokio::pin!(serving);
        tokio::select! { biased;
            ended = &mut serving => return ended,
            () = stop.soft.cancelled() => self.closing.0.cancel(),
        }
        serving.await
    }
}

//! One app's sidecar: its API and its subscriptions, and how they start and stop together.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use dozen_core::Ids;
use dozen_dataplane::{Caller, Server};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_messaging::Broker;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::channel::Channel;
use crate::metadata::Extended;
use crate::subscription::Subscription;
use crate::{Options, api, subscriptions};

/// The sidecar of one app.
pub struct Sidecar {
    pub(crate) options: Options,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) caller: Caller,
    pub(crate) ids: Ids,
    pub(crate) extended: Extended,
    /// The way to the app, if it listens.
    pub(crate) channel: Option<Arc<Channel>>,
    /// What the app subscribes to at present.
    pub(crate) wanted: watch::Sender<Vec<Subscription>>,
    on_shutdown: Box<dyn Fn() + Send + Sync>,
}

impl Sidecar {
    /// A sidecar that publishes to and subscribes from `broker`, and reaches apps, its own among them, through `caller`.
    pub fn new(options: Options, broker: Arc<dyn Broker>, caller: Caller, ids: Ids) -> Self {
        let address = options.app_address.clone();
        let channel = address.map(|address| Arc::new(Channel::new(address, caller.clone(), &options)));
        Self {
            options,
            broker,
            caller,
            ids,
            extended: Extended::default(),
            channel,
            wanted: watch::Sender::new(Vec::new()),
            on_shutdown: Box::new(|| tracing::warn!("nothing here stops on /v1.0/shutdown")),
        }
    }

    /// Calls `stop` when the app asks its sidecar to shut down. It should return at once.
    #[must_use]
    pub fn on_shutdown(mut self, stop: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_shutdown = Box::new(stop);
        self
    }

    pub(crate) fn shut_down(&self) {
        (self.on_shutdown)();
    }

    /// The API, to be served where the app expects it.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().fallback(api::answer).with_state(self.clone())
    }

    /// Says that the app has started, or started again: what it subscribes to is read now rather than at the next
    /// attempt, or when it is missed.
    pub fn app_started(&self) {
        if let Some(channel) = &self.channel {
            channel.nudge.notify_one();
        }
    }

    /// Returns when the app has said what it subscribes to. At once for a sidecar whose app does not listen.
    pub async fn app_ready(&self) {
        if let Some(channel) = &self.channel {
            channel.until_here().await;
        }
    }

    /// The part of the process that serves the API on `server` and delivers the app's events.
    ///
    /// It stops delivering first and serves for as long as that takes: an app that handles its last events may publish.
    pub fn serving(self: &Arc<Self>, server: Server) -> Arc<dyn Service> {
        self.serving_beside(server, Router::new())
    }

    /// The same with `others` on the same port; paths that they do not have are the API's.
    pub fn serving_beside(self: &Arc<Self>, server: Server, others: Router) -> Arc<dyn Service> {
        let server = server.serving(others.merge(self.router()));
        Arc::new(Serving { sidecar: self.clone(), server })
    }
}

impl std::fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sidecar").field("options", &self.options).finish_non_exhaustive()
    }
}

struct Serving {
    sidecar: Arc<Sidecar>,
    server: Arc<dyn Service>,
}

#[async_trait]
impl Service for Serving {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let api_stop = Stop { soft: Default::default(), hard: stop.hard.clone() };
        let mut api = JoinSet::new();
        api.spawn(self.server.clone().run(api_stop.clone(), ready));
        let mut work = JoinSet::new();
        if let Some(channel) = &self.sidecar.channel {
            work.spawn(subscriptions::keep(self.sidecar.clone(), channel.clone(), stop.clone()));
        }
        tokio::select! {
            () = stop.soft.cancelled() => {}
            ended = api.join_next() => return ended.unwrap_or(Ok(Ok(())))?,
        }
        tokio::select! { biased;
            () = stop.hard.cancelled() => {} // what is left is dropped with us, and its leases end by themselves
            () = async { while work.join_next().await.is_some() {} } => {}
        }
        api_stop.soft.cancel();
        match api.join_next().await {
            Some(ended) => ended?,
            None => Ok(()),
        }
    }
}

//! The parts of an application in the order in which they start, and what has to be waited for in between.

use std::sync::Arc;
use std::time::Duration;

use dozen_lifecycle::{Report, Supervisor};
use dozen_sidecar::Sidecar;

use super::bound::Bound;
use super::handover::Succession;
use super::{Children, Parts, Source, State, table};
use crate::Error;
use crate::config::App;

/// How long the registry may take to hear of a healthy service, which takes no time but that of a task.
const KNOWN_WAIT: Duration = Duration::from_secs(1);
/// How long a healthy service is waited for to answer `GET /dapr/subscribe`.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// The parts of an application, each bound to its port and none running yet.
pub(super) struct Assembly {
    pub(super) supervisor: Supervisor,
    pub(super) children: Arc<Children>,
    /// What the children need when they begin: the registry, and their sidecars.
    behind: Parts,
    /// The sidecars of services that may subscribe.
    sidecars: Vec<(String, Arc<Sidecar>)>,
    /// What needs the children: deliveries to them, the gateway, the console. Stopped before them.
    before: Parts,
    /// The rows of the parts of this process.
    pub(super) rows: Vec<table::Row>,
    /// What another process needs to take over.
    pub(super) succession: Succession,
}

impl Assembly {
    pub(super) async fn new(app: &App, source: &Source, mut bound: Bound) -> Result<Self, Error> {
        let sidecars = bound.sidecars();
        let behind = bound.behind()?;
        let before = bound.before().await?;
        let Bound { sockets, children, registry, reloader, rows, .. } = bound;
        // All that is wanted of a predecessor's sockets has been taken by now.
        sockets.close_unused();
        let succession = Succession {
            program: source.program.clone(),
            file: source.path.clone(),
            sockets,
            children: children.clone(),
            registry,
            reloader,
        };
        let supervisor = Supervisor::new(app.limits.stop_deadline);
        Ok(Self { supervisor, children, behind, sidecars, before, rows, succession })
    }

    /// Starts everything in order; returns when all of it is ready or a part never will be.
    pub(super) async fn start(&mut self) -> Result<(), Report> {
        for (name, part) in self.behind.drain(..) {
            self.supervisor.start(name, part);
        }
        self.supervisor.ready().await?;
        self.supervisor.start("services", self.children.clone());
        self.supervisor.ready().await?;
        self.known().await;
        self.subscribed().await;
        for (name, part) in self.before.drain(..) {
            self.supervisor.start(name, part);
        }
        self.supervisor.ready().await
    }

    /// Waits until the registry knows of each healthy child, so that the first request finds them. One that ends
    /// meanwhile is not waited for any longer.
    async fn known(&self) {
        let children = self.children.states().borrow().clone();
        for child in children.iter().filter(|child| child.state == State::Healthy) {
            let Some(port) = child.port else { continue };
            let id = format!("127.0.0.1:{port}");
            let mut set = self.succession.registry.watch(&child.service);
            let is_known = set.wait_for(|set| set.endpoints.iter().any(|one| one.id == id && one.healthy));
            let _ = tokio::time::timeout(KNOWN_WAIT, is_known).await;
        }
    }

    /// Waits until the healthy services have said what they subscribe to, so that none of them misses the first event
    /// that a request through the gateway causes. One that does not say is not waited for any longer.
    async fn subscribed(&self) {
        let children = self.children.states().borrow().clone();
        let healthy = |service: &str| {
            children.iter().any(|child| child.service == service && child.state == State::Healthy)
        };
        let asked = self.sidecars.iter().filter(|(service, _)| healthy(service));
        let answers = asked.map(|(service, sidecar)| async move {
            if tokio::time::timeout(ANSWER_WAIT, sidecar.app_ready()).await.is_err() {
                tracing::warn!(
                    "{service} does not say what it subscribes to; it hears of what comes after it has"
                );
            }
        });
        futures::future::join_all(answers).await;
    }
}

//! Discovery: what the file says, what children are doing, and what registers itself.

use std::sync::Arc;

use async_trait::async_trait;
use dozen_core::{Endpoint, EndpointSet, SystemClock};
use dozen_dataplane::{Limits, Server};
use dozen_discovery::Registry;
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_sidecar::Sidecar;
use tokio::sync::watch;

use super::{Child, State};
use crate::Error;
use crate::config::{App, Origin};

/// How a service's name becomes its instances: the one way in which patterns find each other.
pub(super) type Resolve = Arc<dyn Fn(&str) -> Option<watch::Receiver<Arc<EndpointSet>>> + Send + Sync>;

/// A registry that knows the services of the file. Those that are started here are not healthy yet.
pub(super) fn declared(app: &App) -> Result<Arc<Registry>, Error> {
    let registry = Registry::new(Arc::new(SystemClock));
    for service in &app.services {
        let healthy = matches!(service.origin, Origin::At(_));
        let endpoint = |address: String| Endpoint { healthy, ..Endpoint::at(address) };
        let endpoints = service.addresses().into_iter().map(endpoint).collect();
        registry.declare(&service.name, endpoints).map_err(Error::pattern("declare the services"))?;
    }
    Ok(Arc::new(registry))
}

/// Looks services up in `registry`.
pub(super) fn resolve(registry: &Arc<Registry>) -> Resolve {
    let registry = registry.clone();
    Arc::new(move |service| Some(registry.watch(service)))
}

/// The registry's HTTP face on its port.
pub(super) fn face(app: &App, registry: &Arc<Registry>) -> Result<Arc<dyn Service>, Error> {
    let limits = Limits { setting: "registry.listen".into(), ..Limits::default() };
    let server = Server::bind(app.registry, limits).map_err(Error::pattern("serve the registry"))?;
    Ok(server.serving(dozen_discovery::router(registry.clone())))
}

/// Tells the registry and the sidecars what the children are doing.
pub(super) struct Follow {
    pub(super) children: watch::Receiver<Vec<Child>>,
    pub(super) registry: Arc<Registry>,
    pub(super) sidecars: Vec<Arc<Sidecar>>,
    /// The service of each sidecar.
    pub(super) services: Vec<String>,
}

#[async_trait]
impl Service for Follow {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        let mut children = self.children.clone();
        let mut before: Vec<bool> = Vec::new();
        loop {
            let now: Vec<Child> = children.borrow_and_update().clone();
            before.resize(now.len(), false);
            for (child, was) in now.iter().zip(&mut before) {
                let is = child.state == State::Healthy;
                if is == *was {
                    continue;
                }
                *was = is;
                let Some(port) = child.port else { continue };
                if let Err(error) = self.registry.set_health(&child.service, &format!("127.0.0.1:{port}"), is)
                {
                    tracing::warn!(service = child.service, %error, "cannot record its health");
                }
                let own = self.services.iter().zip(&self.sidecars);
                for (_, sidecar) in own.filter(|(service, _)| is && **service == child.service) {
                    sidecar.app_started();
                }
            }
            tokio::select! {
                () = stop.soft.cancelled() => return Ok(()),
                changed = children.changed() => if changed.is_err() {
                    stop.soft.cancelled().await;
                    return Ok(());
                },
            }
        }
    }
}

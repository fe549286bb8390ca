//! Discovery: what the file says, what children are doing, and what registers itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dozen_core::{Endpoint, EndpointSet, SystemClock};
use dozen_dataplane::{Server, Sockets};
use dozen_discovery::{Names, Registry, SystemLookup};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_sidecar::Sidecar;
use tokio::sync::watch;

use super::handover::Registered;
use super::{Child, State, listening};
use crate::Error;
use crate::config::{App, Origin};

/// How a service's name becomes its instances: the one way in which patterns find each other.
pub(super) type Resolve = Arc<dyn Fn(&str) -> Option<watch::Receiver<Arc<EndpointSet>>> + Send + Sync>;

/// A registry that knows the services of the file, and what looks up the names among their addresses. Those that are started
/// here are not healthy yet.
pub(super) fn declared(app: &App) -> Result<(Arc<Registry>, Arc<Names>), Error> {
    let registry = Arc::new(Registry::new(Arc::new(SystemClock)));
    let names = Names::new(registry.clone(), Arc::new(SystemLookup));
    for service in &app.services {
        let healthy = matches!(service.origin, Origin::At(_));
        let endpoint = |address: String| Endpoint { healthy, ..Endpoint::at(address) };
        let endpoints = service.addresses().into_iter().map(endpoint).collect();
        names.declare(&service.name, endpoints).map_err(Error::pattern("declare the services"))?;
    }
    Ok((registry, Arc::new(names)))
}

/// Takes in the instances that had registered themselves with an earlier dozen, as if they did it now.
pub(super) fn restore(registry: &Registry, registered: &[Registered]) {
    for one in registered {
        let ttl = Duration::from_millis(one.ttl_ms);
        if let Err(error) = registry.register(&one.service, one.endpoint.clone(), ttl) {
            tracing::warn!(service = one.service, %error, "an instance has to register again");
        }
    }
}

/// What registered itself with this one.
pub(super) fn registered(registry: &Registry) -> Vec<Registered> {
    let one = |(service, endpoint, ttl): (String, Endpoint, Duration)| Registered {
        service,
        endpoint,
        ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
    };
    registry.registered().into_iter().map(one).collect()
}

/// Looks services up in `registry`.
pub(super) fn resolve(registry: &Arc<Registry>) -> Resolve {
    let registry = registry.clone();
    Arc::new(move |service| Some(registry.watch(service)))
}

/// The registry's HTTP face on its port.
pub(super) fn face(
    app: &App,
    registry: &Arc<Registry>,
    sockets: &Sockets,
) -> Result<Arc<dyn Service>, Error> {
    let limits = listening("registry.listen", sockets);
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
        let mut ready = Some(ready);
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
            if let Some(ready) = ready.take() {
                ready.ready();
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

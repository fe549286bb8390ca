//! One sidecar for each service that wants one.

use std::sync::Arc;

use axum::Router;
use dozen_core::Ids;
use dozen_dataplane::{Caller, Server, Sockets};
use dozen_lifecycle::Service;
use dozen_messaging::Broker;
use dozen_sidecar::{Options, Sidecar};

use super::listening;
use crate::Error;
use crate::config::App;

/// A sidecar that listens.
pub(super) struct Beside {
    pub(super) service: String,
    pub(super) sidecar: Arc<Sidecar>,
    server: Server,
}

impl Beside {
    /// The part of the process that serves it, with `others` on the same port.
    pub(super) fn serving(self, others: Router) -> Arc<dyn Service> {
        self.sidecar.serving_beside(self.server, others)
    }
}

/// Binds the sidecars of the file; they serve once they are started.
pub(super) fn bind(
    app: &App,
    broker: &Arc<dyn Broker>,
    caller: &Caller,
    ids: &Ids,
    sockets: &Sockets,
) -> Result<Vec<Beside>, Error> {
    let mut sidecars = Vec::new();
    for service in &app.services {
        let Some(address) = service.sidecar else { continue };
        let mut options = Options::new(&service.name, service.addresses().into_iter().next());
        options.invoke_timeout = service.timeout;
        let sidecar = Arc::new(Sidecar::new(options, broker.clone(), caller.clone(), ids.clone()));
        let limits = listening(&format!("services.{}.sidecar.port", service.name), sockets);
        let server = Server::bind(address, limits).map_err(Error::pattern("serve the sidecars"))?;
        sidecars.push(Beside { service: service.name.clone(), sidecar, server });
    }
    Ok(sidecars)
}

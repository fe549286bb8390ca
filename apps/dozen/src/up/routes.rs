//! The gateway of the file in the gateway's words.

use std::collections::BTreeMap;

use dozen_gateway::{Options, RouteOptions, ServiceOptions};

use crate::config::App;

/// What the gateway of a file is asked to be; `None` where it has none.
pub fn gateway_options(app: &App) -> Option<Options> {
    let gateway = app.gateway.as_ref()?;
    Some(Options {
        listen: gateway.listen,
        tls: gateway.tls.clone(),
        connections_max: gateway.connections_max,
        connections_per_address: gateway.connections_per_address,
        head_max: gateway.head_max,
        header_timeout: gateway.header_timeout,
        idle_timeout: gateway.idle_timeout,
        stall_timeout: gateway.stall_timeout,
        body_rate_min: gateway.body_rate_min,
        services: calling(app),
        trusted: gateway.trusted.clone(),
        access_log: gateway.access_log.clone(),
        identity: gateway.access.identity.clone(),
        consumers: gateway.access.consumers.clone(),
        plans: gateway.access.plans.clone(),
        shed: gateway.access.shed.clone(),
        routes: gateway.routes.clone(),
        ..Options::default()
    })
}

/// How each service of a file is called.
pub fn calling(app: &App) -> BTreeMap<String, ServiceOptions> {
    app.services.iter().map(|one| (one.name.clone(), one.calling.clone())).collect()
}

/// The gateway's routes, in the order of the file; none where it has no gateway.
pub fn routes(app: &App) -> Vec<RouteOptions> {
    app.gateway.as_ref().map(|gateway| gateway.routes.clone()).unwrap_or_default()
}

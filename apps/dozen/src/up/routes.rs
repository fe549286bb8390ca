//! The routes of the file in the gateway's words.

use dozen_gateway::{Match, RouteOptions};

use crate::config::App;

/// The gateway's routes, in the order of the file; none where it has no gateway.
pub fn routes(app: &App) -> Vec<RouteOptions> {
    let Some(gateway) = &app.gateway else { return Vec::new() };
    let route = |route: &crate::config::Route| {
        let service = app.service(&route.to.service).map(|service| service.timeout);
        let to = match &route.to.path {
            Some(path) => format!("{}:{path}", route.to.service),
            None => route.to.service.clone(),
        };
        let mut options = RouteOptions::new(&route.path, to);
        options.matching = Match {
            path: route.path.clone(),
            method: route.methods.clone(),
            host: route.host.clone(),
            headers: route.headers.clone(),
            query: route.query.clone(),
        };
        options.timeout = route.timeout.or(service).unwrap_or(options.timeout);
        options.body_max = route.body_max;
        options
    };
    gateway.routes.iter().map(route).collect()
}

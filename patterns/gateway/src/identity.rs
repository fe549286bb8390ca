//! What a route means to a request that is under way.

use std::hash::{Hash as _, Hasher as _};

use crate::RouteOptions;
use crate::mixed::Mixed;

impl RouteOptions {
    /// The same number as long as requests in flight have no reason to end: which requests the route takes, from
    /// whom, and what it does with them, but not its name, its limits, its shares, or what it says to those that begin.
    ///
    /// A key that is added to a route has to be added here, on one side or the other.
    pub fn identity(&self) -> u64 {
        let Self {
            name: _,
            matching,
            to: _,
            feature,
            sticky: _,
            split: _,
            rewrite,
            redirect,
            answer,
            compose,
            headers: _,
            request,
            response,
            validate: _,
            openapi: _,
            compress: _,
            cache: _,
            cors: _,
            deprecated: _,
            clients,
            auth,
            limit: _,
            in_flight: _,
            priority: _,
            timeout: _,
            total: _,
            websocket: _,
            body_max: _,
            stream_grace: _,
        } = self;
        let mut hasher = Mixed::default();
        (matching, feature, rewrite, redirect, answer, compose, request, response, clients, auth)
            .hash(&mut hasher);
        hasher.finish()
    }

    /// The same number as long as the route brings the same answers: what it matches, asks and changes.
    pub(crate) fn brings(&self) -> u64 {
        let mut hasher = Mixed::default();
        (self.identity(), &self.to, &self.headers.request, &self.cache).hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn limits_and_names_do_not_change_what_a_route_means_and_its_way_does() {
        let route = || RouteOptions::new("/a/{x}", "orders");
        let mut other = route();
        other.name = Some("b".into());
        other.timeout = Duration::from_secs(1);
        other.to[0].weight = 7;
        assert_eq!(route().identity(), other.identity());
        other.matching.host = Some("shop.example".into());
        assert_ne!(route().identity(), other.identity());
        let mut closed = route();
        closed.auth = Some(crate::auth::AuthOptions { any: vec!["web".into()], ..Default::default() });
        assert_ne!(route().identity(), closed.identity(), "who was let in by another rule is not kept");
    }
}

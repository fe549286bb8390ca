//! The door.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use dozen_gateway::access::AccessOptions;
use dozen_gateway::{AccessLogOptions, Compose, Network, QueryShown, RouteOptions, TlsOptions};

use super::super::item::Item;
use super::App;
use super::access::AccessItems;
use super::json::json;

/// The door for requests from outside.
#[derive(Clone)]
pub struct Gateway {
    /// Where it listens.
    pub listen: SocketAddr,
    /// TLS towards clients, if it speaks that.
    pub tls: Option<TlsOptions>,
    /// Connections of clients at one time.
    pub connections_max: NonZeroUsize,
    /// Of these, from one address.
    pub connections_per_address: NonZeroUsize,
    /// Bytes of a request's head.
    pub head_max: NonZeroUsize,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// How long a connection is kept without a request.
    pub idle_timeout: Duration,
    /// How long either side may neither send nor take anything of a body.
    pub stall_timeout: Duration,
    /// Bytes a second that a client has to move of a body; 0 for as slowly as it likes.
    pub body_rate_min: u32,
    /// Proxies in front of it that are believed.
    pub trusted: Vec<Network>,
    /// Where a line for each request is written.
    pub access_log: Option<AccessLogOptions>,
    /// Who is known, and what they may.
    pub access: AccessOptions,
    /// In the order of the file; what a route leaves open is filled in from its service and the limits.
    pub routes: Vec<RouteOptions>,
}

impl Gateway {
    /// What its addresses begin with.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

impl std::fmt::Debug for Gateway {
    /// The names of its routes: their headers may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let routes: Vec<String> = self.routes.iter().map(RouteOptions::name).collect();
        f.debug_struct("Gateway")
            .field("listen", &self.listen)
            .field("routes", &routes)
            .finish_non_exhaustive()
    }
}

pub(super) fn gateway(item: &Item, folder: &Path, app: &App) -> Option<Gateway> {
    let trusted = item.list("trusted").iter().map(|item| item.as_text()?.parse().ok());
    let routes = item.list("routes").iter().map(|item| {
        let mut options = route(item)?;
        if item.get("timeout").is_none() {
            let named = |name: &str| app.service(name);
            let feature = options.feature.as_ref().and_then(|feature| app.features.get(feature));
            let sides = feature.into_iter().flat_map(|feature| [feature.old.as_str(), feature.new.as_str()]);
            let names = options.to.iter().map(|one| one.service.split(':').next().unwrap_or_default());
            let names = names.chain(options.compose.iter().flat_map(Compose::services)).chain(sides);
            let longest = names.filter_map(named).map(|service| service.timeout).max();
            options.timeout = longest.unwrap_or(options.timeout);
        }
        if item.get("body-max").is_none() {
            options.body_max = app.limits.body_max;
        }
        Some(options)
    });
    Some(Gateway {
        listen: item.address("listen")?,
        tls: match item.get("tls") {
            Some(tls) => Some(super::gateway_tls(tls, folder)?),
            None => None,
        },
        connections_max: count(item, "connections-max")?,
        connections_per_address: count(item, "connections-per-address")?,
        head_max: count(item, "head-max")?,
        header_timeout: item.duration("header-timeout")?,
        idle_timeout: item.duration("idle-timeout")?,
        stall_timeout: item.duration("stall-timeout")?,
        body_rate_min: u32::try_from(item.number("body-rate-min")?).ok()?,
        trusted: trusted.collect::<Option<_>>()?,
        access_log: item.get("access-log").map(|item| access_log(item, folder)),
        access: access(item, folder)?,
        routes: routes.collect::<Option<_>>()?,
    })
}

fn count(item: &Item, name: &str) -> Option<NonZeroUsize> {
    NonZeroUsize::new(usize::try_from(item.number(name)?).ok()?)
}

fn access(item: &Item, folder: &Path) -> Option<AccessOptions> {
    let mut is_whole = true;
    let options = AccessItems { gateway: item, folder }.read(|_, _| is_whole = false);
    is_whole.then_some(options)
}

fn access_log(item: &Item, folder: &Path) -> AccessLogOptions {
    let to = item.text("to").unwrap_or("stdout");
    AccessLogOptions {
        to: if to == "stdout" { to.into() } else { folder.join(to).display().to_string() },
        query: match item.text("query") {
            Some("names") => QueryShown::Names,
            Some("values") => QueryShown::Values,
            _ => QueryShown::Hidden,
        },
    }
}

/// One route, as far as the file says something of it.
pub(crate) fn route(item: &Item) -> Option<RouteOptions> {
    serde_json::from_value(json(item)).ok()
}

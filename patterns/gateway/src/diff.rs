//! What another configuration would change, before it does.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;

use dozen_dataplane::ServicePolicy;
use serde::Serialize;
use serde_json::Value;

use crate::options::ServiceOptions;
use crate::snapshot::{services, ways};
use crate::{Compose, Options, RouteOptions};

/// The difference between two configurations. Only names are in it, no values: these may be secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Diff {
    /// Settings that a running gateway cannot change.
    pub restart: Vec<&'static str>,
    /// Other settings beside the routes that change.
    pub settings: Vec<&'static str>,
    /// Routes that are new.
    pub added: Vec<String>,
    /// Routes that go.
    pub removed: Vec<String>,
    /// Routes that stay and change.
    pub changed: Vec<Changed>,
    /// Where requests in flight, and so long streams, are ended.
    pub closes: Vec<Closes>,
    /// Services that are called in another way.
    pub services_changed: Vec<Recalled>,
    /// Services that routes lead to and did not before.
    pub services_gained: Vec<String>,
    /// Services that no route leads to any more.
    pub services_lost: Vec<String>,
}

/// A route that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Changed {
    /// Its name.
    pub route: String,
    /// The name that it had, if it is another.
    pub was: Option<String>,
    /// What of it changes, as it is written in the file: `timeout`, `match.headers.x-tenant`.
    pub keys: Vec<String>,
}

/// A service that is called in another way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Recalled {
    /// Its name; empty for all those that are not named.
    pub service: String,
    /// What changes, as it is written in the file: `retry.attempts-max`, `tls`.
    pub keys: Vec<String>,
}

/// Streams that would be ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Closes {
    /// Of this route, by the name that it has now.
    pub route: String,
    /// To this service, or where this feature wants them.
    pub service: String,
    /// How long they have, in milliseconds.
    pub grace_ms: u64,
}

impl Diff {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What changes when `new` takes the place of `old`. Both are taken to be correct.
pub fn diff(old: &Options, new: &Options) -> Diff {
    let mut diff = Diff { restart: fixed(old, new), ..Diff::default() };
    let settings = [
        ("trusted", old.trusted != new.trusted),
        ("connections-per-address", old.connections_per_address != new.connections_per_address),
        ("identity", old.identity != new.identity),
        ("consumers", old.consumers != new.consumers),
        ("plans", old.plans != new.plans),
        ("shed", old.shed != new.shed),
        ("tls", old.tls != new.tls && old.tls.is_some() == new.tls.is_some()),
    ];
    diff.settings.extend(settings.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name));
    let named = |routes: &[RouteOptions]| -> BTreeMap<String, usize> {
        routes.iter().enumerate().map(|(at, route)| (route.name(), at)).collect()
    };
    let (olds, news) = (named(&old.routes), named(&new.routes));
    let gone = olds.iter().filter(|(name, _)| !news.contains_key(*name));
    // A route that means the same under another name has been renamed.
    let mut gone: BTreeMap<u64, usize> = gone.map(|(_, at)| (old.routes[*at].identity(), *at)).collect();
    for (name, at) in &news {
        let route = &new.routes[*at];
        match olds.get(name) {
            Some(was) => diff.changed.extend(changed(&old.routes[*was], route)),
            None => match gone.remove(&route.identity()) {
                Some(was) => diff.changed.extend(changed(&old.routes[was], route)),
                None => diff.added.push(name.clone()),
            },
        }
    }
    let mut removed: Vec<String> = gone.into_values().map(|at| old.routes[at].name()).collect();
    removed.sort();
    diff.removed = removed;
    let staying: HashSet<(u64, &str)> = new.routes.iter().flat_map(ways).collect();
    for route in &old.routes {
        for (_, service) in ways(route).filter(|way| !staying.contains(way)) {
            let grace_ms = u64::try_from(route.stream_grace.as_millis()).unwrap_or(u64::MAX);
            diff.closes.push(Closes { route: route.name(), service: service.to_owned(), grace_ms });
        }
    }
    let all_services = |options: &Options| -> BTreeSet<String> {
        let to = options.routes.iter().flat_map(services);
        let composed = options.routes.iter().filter_map(|route| route.compose.as_ref());
        to.chain(composed.flat_map(Compose::services)).map(str::to_owned).collect()
    };
    diff.services_changed = recalled(old, new);
    let (before, after) = (all_services(old), all_services(new));
    diff.services_gained = after.difference(&before).cloned().collect();
    diff.services_lost = before.difference(&after).cloned().collect();
    diff
}

/// The settings that differ and that a running gateway cannot change.
pub(crate) fn fixed(old: &Options, new: &Options) -> Vec<&'static str> {
    // Every setting stands here, or is named as one that can change.
    let Options {
        listen,
        workers,
        connections_max,
        connections_per_address: _,
        head_max,
        header_timeout,
        idle_timeout,
        stall_timeout,
        body_rate_min,
        tls,
        access_log,
        trusted: _,
        identity: _,
        consumers: _,
        plans: _,
        shed: _,
        usual: _,
        services: _,
        routes: _,
    } = old;
    let differ = [
        ("listen", *listen != new.listen),
        ("workers", *workers != new.workers),
        ("connections-max", *connections_max != new.connections_max),
        ("head-max", *head_max != new.head_max),
        ("header-timeout", *header_timeout != new.header_timeout),
        ("idle-timeout", *idle_timeout != new.idle_timeout),
        ("stall-timeout", *stall_timeout != new.stall_timeout),
        ("body-rate-min", *body_rate_min != new.body_rate_min),
        // Other certificates are taken over; speaking TLS or not is not.
        ("tls", tls.is_some() != new.tls.is_some()),
        ("tls.redirect-from", redirect_from(old) != redirect_from(new)),
        ("access-log", *access_log != new.access_log),
    ];
    differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

fn redirect_from(options: &Options) -> Option<SocketAddr> {
    options.tls.as_ref()?.redirect_from
}

/// What is said of services anew. A service that is no longer named is called as usual.
fn recalled(old: &Options, new: &Options) -> Vec<Recalled> {
    let usual = |options: &Options| ServiceOptions { policy: options.usual.clone(), ..Default::default() };
    let of = |options: &Options, name: &str| options.services.get(name).cloned().unwrap_or(usual(options));
    let names: BTreeSet<&str> =
        [""].into_iter().chain(old.services.keys().chain(new.services.keys()).map(String::as_str)).collect();
    let tree = |policy: &ServicePolicy| serde_json::to_value(policy).unwrap_or_default();
    let mut all = Vec::new();
    for name in names {
        let (before, after) = (of(old, name), of(new, name));
        let mut keys = Vec::new();
        walk("", &tree(&before.policy), &tree(&after.policy), &mut keys);
        keys.extend((before.protocol != after.protocol).then(|| "protocol".to_owned()));
        keys.extend((before.tls != after.tls).then(|| "tls".to_owned()));
        if !keys.is_empty() {
            keys.sort();
            all.push(Recalled { service: name.to_owned(), keys });
        }
    }
    all
}

fn changed(old: &RouteOptions, new: &RouteOptions) -> Option<Changed> {
    if old == new {
        return None;
    }
    let mut keys = Vec::new();
    let tree = |route: &RouteOptions| serde_json::to_value(route).unwrap_or_default();
    walk("", &tree(old), &tree(new), &mut keys);
    keys.sort();
    let (was, route) = (old.name(), new.name());
    Some(Changed { was: (was != route).then_some(was), route, keys })
}

/// The paths of what differs: down through mappings, and no further.
fn walk(path: &str, old: &Value, new: &Value, keys: &mut Vec<String>) {
    if old == new {
        return;
    }
    let (Value::Object(before), Value::Object(after)) = (old, new) else { return keys.push(path.to_owned()) };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        walk(&path, before.get(name).unwrap_or(&Value::Null), after.get(name).unwrap_or(&Value::Null), keys);
    }
}

#[cfg(test)]
mod tests;

//! One configuration, and what of the one before it stays.
//!
//! ```text
//!   options ──compile──► RouteTable ─┐
//!                                    ├─► Snapshot ── swapped in whole; a request keeps the one that it began with
//!   the snapshot before ─────────────┘
//!        counters          by the route's name
//!        ends of streams   by what the route means, and the service that they go to
//!
//!   Keeper ── limits, keys, tokens, places ──► Entrance of each route that says who may pass, or how often
//! ```
//!
//! Endpoints, limits and keys live outside of all this, by their own names. A route that says nothing of who may pass
//! has no [`Entrance`], and its requests never come near one. A stream is *concerned* by a change if no
//! route of the new snapshot takes the same requests to the same service in the same way ([`RouteOptions::identity`]);
//! only such streams end, after the `stream-grace` of the route that they began with.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use dozen_dataplane::{Cutoff, Upstream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::access::{Access, Entrance, RouteAccess};
use crate::cache::Cache;
use crate::keeper::Keeper;
use crate::measure::{Measure, Measured};
use crate::route::Route;
use crate::{Error, Features, Options, RouteOptions, RouteTable};

/// One configuration.
pub(crate) struct Snapshot {
    pub(crate) options: Arc<Options>,
    pub(crate) table: RouteTable,
    /// One for each route of the table, in its order.
    pub(crate) standings: Vec<Arc<Standing>>,
    /// Counters of what no route took.
    pub(crate) unrouted: Arc<Measure>,
    /// One for each service of each route, by what the stream's way is.
    ways: HashMap<(u64, Arc<str>), Way>,
    /// Headers of clients that no service sees: credentials that are the gateway's business.
    pub(crate) withheld: Box<[String]>,
    /// Who says where the requests of features go.
    pub(crate) features: Option<Arc<dyn Features>>,
    /// Counted up with each configuration.
    pub(crate) revision: u64,
    /// Cancelled when nobody decides by it any more.
    pub(crate) over: CancellationToken,
    _over: DropGuard,
}

/// How streams of a route to one service are ended, and how long they have then.
#[derive(Clone)]
struct Way {
    cutoff: Arc<Cutoff>,
    grace: std::time::Duration,
}

/// A route at work. A request holds it to its end.
pub(crate) struct Standing {
    pub(crate) route: Arc<Route>,
    pub(crate) measure: Arc<Measure>,
    /// For each service of the route its endpoints, from the first request on.
    pub(crate) upstreams: Box<[OnceLock<Arc<Upstream>>]>,
    /// One for each service, or one for all requests of a feature.
    pub(crate) cutoffs: Box<[Arc<Cutoff>]>,
    /// The way in, unless everybody may pass at any time.
    pub(crate) entrance: Option<Arc<Entrance>>,
    /// The answers that it keeps, if it keeps any.
    pub(crate) cache: Option<Arc<Cache>>,
}

impl Standing {
    /// What the route has done.
    pub(crate) fn measured(&self) -> Measured {
        let cache = self.cache.as_ref();
        Measured {
            cached: cache.map(|cache| cache.counted()).unwrap_or_default(),
            kept_bytes: cache.map_or(0, |cache| cache.bytes()),
            ..self.measure.read(&self.route.name)
        }
    }
}

impl Snapshot {
    /// Compiles `options`, or says what is wrong. Nothing is changed in `before`; what goes on by name comes from
    /// `keeper`.
    pub(crate) fn new(options: Options, keeper: &Arc<Keeper>, before: Option<&Self>) -> Result<Self, Error> {
        let table = RouteTable::compile(&options.routes)?;
        let access = Access::compile(&options.access(), keeper)?;
        let mut withheld: Vec<String> = access.withheld().map(str::to_owned).collect();
        withheld.sort();
        withheld.dedup();
        let known: HashMap<&Arc<str>, &Arc<Measure>> = before
            .into_iter()
            .flat_map(|before| &before.standings)
            .map(|standing| (&standing.route.name, &standing.measure))
            .collect();
        let mut ways = HashMap::with_capacity(table.routes.len());
        let mut standings = Vec::with_capacity(table.routes.len());
        for (route, written) in table.routes.iter().zip(&options.routes) {
            let cutoff = |way: (u64, &str)| {
                let key = (way.0, Arc::<str>::from(way.1));
                let old = ways.get(&key).or_else(|| before.and_then(|before| before.ways.get(&key)));
                let cutoff = old.map_or_else(Arc::default, |way: &Way| way.cutoff.clone());
                ways.insert(key, Way { cutoff: cutoff.clone(), grace: route.stream_grace });
                cutoff
            };
            let says = written.access();
            let is_open = options.shed.is_none() && says == RouteAccess::default();
            let entrance = (!is_open).then(|| access.route(&route.name, &says)).transpose()?;
            let cutoffs: Box<[_]> = self::ways(written).map(cutoff).collect();
            standings.push(Arc::new(Standing {
                measure: known.get(&route.name).map_or_else(Arc::default, |measure| (*measure).clone()),
                upstreams: cutoffs.iter().map(|_| OnceLock::new()).collect(),
                cutoffs,
                route: route.clone(),
                entrance,
                cache: written.cache.as_ref().map(|cache| keeper.cache(&route.name, cache, written)),
            }));
        }
        let unrouted = before.map_or_else(Arc::default, |before| before.unrouted.clone());
        let revision = before.map_or(1, |before| before.revision + 1);
        let features = before.map_or_else(|| keeper.features(), |before| before.features.clone());
        let (withheld, options, over) = (withheld.into(), Arc::new(options), CancellationToken::new());
        let _over = over.clone().drop_guard();
        Ok(Self { options, table, standings, unrouted, ways, withheld, features, revision, over, _over })
    }

    /// Gives the streams that `next` has no place for their time to end.
    pub(crate) fn retire(&self, next: &Self) {
        for (key, way) in &self.ways {
            if !next.ways.contains_key(key) {
                way.cutoff.after(way.grace);
            }
        }
    }
}

/// The ways of a route's streams, by [`RouteOptions::identity`] and by where they lead: to each of its services, or where
/// its feature wants them.
pub(crate) fn ways(options: &RouteOptions) -> impl Iterator<Item = (u64, &str)> {
    let identity = options.identity();
    services(options).chain(options.feature.as_deref()).map(move |to| (identity, to))
}

/// The services that a route names in `to`.
pub(crate) fn services(options: &RouteOptions) -> impl Iterator<Item = &str> {
    options.to.iter().map(|one| one.service.split(':').next().unwrap_or(""))
}

//! Everything that stands between a request and its route: who asks, whether they may, how often and how much at once.
//!
//! ```text
//!              429            401 403 503             429 503           503
//!               ▲                  ▲                     ▲               ▲
//! request ─► limits by ─► Guard: methods ─► plan, limits, places ─► places of the ─► Pass
//!             address       and rule          by who asks           whole gateway
//! ```
//!
//! What the file says is compiled once ([`Access::compile`], [`Access::route`]) and then asked for each request
//! ([`Entrance::admit`]), on the thread of its worker and without waiting. Only where somebody else has to be asked
//! does it hand back a future. A request that passes carries a [`Pass`]: who it is, the headers for the service and for the
//! client, and the places that it takes until the pass is dropped.

mod entrance;
mod error;
mod options;

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::{Consumers, Guard, Identity, Method, Need, Policy as Rule};
use crate::keeper::Keeper;
use crate::limit::{InFlight, InFlightOptions, Limiter, Per, Priority, Shedder};

pub use entrance::{Admission, Counted, Entrance, Pass};
pub use error::AccessError;
pub use options::{AccessOptions, ClientsOptions, RouteAccess};

pub(crate) use options::ConsumerTable;

/// The methods, consumers and plans of one configuration.
#[derive(Debug)]
pub struct Access {
    methods: HashMap<String, Method>,
    plans: Arc<HashMap<Arc<str>, Plan>>,
    shedder: Option<Arc<Shedder>>,
    keeper: Arc<Keeper>,
}

#[derive(Debug, Default)]
struct Plan {
    limits: Vec<Arc<Limiter>>,
    in_flight: Option<Arc<InFlight>>,
    priority: Option<Priority>,
}

impl Access {
    /// Compiles what all routes share, or says what is wrong with it. Nothing outside is asked: keys are fetched while
    /// the [`Keeper`] runs.
    pub fn compile(options: &AccessOptions, keeper: &Arc<Keeper>) -> Result<Self, AccessError> {
        keeper.sweep();
        for (name, consumer) in &options.consumers {
            if let Some(plan) = consumer.plan.as_ref().filter(|plan| !options.plans.contains_key(*plan)) {
                let of = format!("consumer `{name}`");
                return Err(AccessError::unknown(of, "plan", plan, options.plans.keys()));
            }
        }
        let consumers = Consumers::compile(&options.consumers);
        let consumers = Arc::new(consumers.map_err(|problem| AccessError::Consumers { problem })?);
        let mut methods = HashMap::new();
        for (name, one) in &options.identity {
            let made = one.compile(name, &options.consumers, &consumers, keeper);
            let wrong = |problem| AccessError::Method { name: name.clone(), problem };
            methods.insert(name.clone(), made.map_err(wrong)?);
        }
        let mut plans = HashMap::new();
        for (name, one) in &options.plans {
            let wrong = |problem| AccessError::Limit { of: format!("plan `{name}`"), problem };
            let mut plan = Plan { priority: one.priority, ..Plan::default() };
            for (at, limit) in one.limit.iter().enumerate() {
                let limit = crate::limit::LimitOptions { per: Per::Consumer, ..limit.clone() };
                plan.limits.push(limiter(&format!("plan {name} {at}"), &limit, keeper).map_err(wrong)?);
            }
            if let Some(max) = one.in_flight {
                let places = InFlightOptions { max, per: Per::Consumer };
                plan.in_flight = Some(in_flight(&format!("plan {name}"), &places, keeper).map_err(wrong)?);
            }
            plans.insert(name.as_str().into(), plan);
        }
        let shedder = options.shed.as_ref().map(|shed| keeper.shedder(shed));
        Ok(Self { methods, plans: Arc::new(plans), shedder, keeper: keeper.clone() })
    }

    /// Compiles what one route says, or says what is wrong with it.
    pub fn route(&self, name: &str, options: &RouteAccess) -> Result<Arc<Entrance>, AccessError> {
        let guard = options.auth.as_ref().map(|auth| self.guard(name, auth)).transpose()?;
        if options.clients.as_ref().is_some_and(|clients| *clients == ClientsOptions::default()) {
            return Err(AccessError::Clients { route: name.to_owned() });
        }
        let of = || format!("route `{name}`");
        let (mut early, mut late) = (Vec::new(), Vec::new());
        for (at, limit) in options.limit.iter().enumerate() {
            let made = limiter(&format!("route {name} {at}"), limit, &self.keeper);
            let made = made.map_err(|problem| AccessError::Limit { of: of(), problem })?;
            if made.is_early() { early.push(made) } else { late.push(made) }
        }
        let places = options.in_flight.as_ref();
        let places =
            places.map(|places| in_flight(&format!("route {name}"), places, &self.keeper)).transpose();
        let in_flight = places.map_err(|problem| AccessError::Limit { of: of(), problem })?;
        Ok(Arc::new(Entrance {
            clients: options.clients.clone(),
            asker: guard.as_ref().map(|guard| Arc::new(guard.only_asking())),
            guard,
            early,
            late,
            in_flight,
            priority: options.priority,
            plans: self.plans.clone(),
            shedder: self.shedder.clone(),
        }))
    }

    /// Whether a header of the client's is kept from every service: [`Entrance::strips`] for who does not know the route.
    pub fn strips(&self, name: &str) -> bool {
        Identity::owns(name) || self.methods.values().any(|method| method.strips(name))
    }

    /// The names of those headers that are not the gateway's own.
    pub(crate) fn withheld(&self) -> impl Iterator<Item = &str> {
        self.methods.values().flat_map(Method::withheld)
    }

    fn guard(&self, route: &str, auth: &crate::auth::AuthOptions) -> Result<Arc<Guard>, AccessError> {
        let wrong =
            |problem: &str| AccessError::Auth { route: route.to_owned(), problem: problem.to_owned() };
        let (names, need) = match (auth.any.as_slice(), auth.all.as_slice()) {
            (any, []) => (any, Need::Any),
            ([], all) => (all, Need::All),
            _ => return Err(wrong("it has both `any` and `all`; use one of them")),
        };
        if names.is_empty() && auth.require.is_none() {
            return Err(wrong("it asks for nothing; name methods in `any` or `all`, or a rule in `require`"));
        }
        if auth.optional && need == Need::All {
            return Err(wrong("`optional` goes with `any`; half of `all` would be nothing"));
        }
        let mut methods = Vec::new();
        for name in names {
            let known = self.methods.get(name);
            methods.push(known.cloned().ok_or_else(|| {
                AccessError::unknown(format!("route `{route}`"), "method", name, self.methods.keys())
            })?);
        }
        let rule = auth.require.as_deref().map(Rule::compile).transpose();
        let rule = rule.map_err(|source| AccessError::Rule { route: route.to_owned(), source })?;
        Ok(Arc::new(Guard { methods, need, optional: auth.optional, rule }))
    }
}

fn limiter(
    name: &str,
    options: &crate::limit::LimitOptions,
    keeper: &Keeper,
) -> Result<Arc<Limiter>, String> {
    keeper.limits.get(name, options, || Limiter::compile(name, options, keeper).map(Arc::new))
}

fn in_flight(name: &str, options: &InFlightOptions, keeper: &Keeper) -> Result<Arc<InFlight>, String> {
    keeper.in_flight.get(name, options, || InFlight::compile(options).map(Arc::new))
}

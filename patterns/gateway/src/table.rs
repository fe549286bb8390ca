//! The routes, compiled.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::action::Action;
use crate::asked::{Asked, Claims, Headers};
use crate::condition::Holds;
use crate::host::{Host, without_port};
use crate::path::PathMatch;
use crate::rank;
use crate::route::Route;
use crate::target::Unsafe;
use crate::template::Captures;
use crate::text::Facts;
use crate::tree::Tree;
use crate::{Error, RouteOptions};

/// Routes by regular expression that are tried one after the other in one place.
const PATTERNS_MAX: usize = 64;

/// All routes: immutable, made whole or not at all.
#[derive(Debug, Default)]
pub struct RouteTable {
    pub(crate) routes: Vec<Arc<Route>>,
    /// One for each route, so that a look-up touches none but the one that it finds.
    gates: Vec<Gate>,
    exact: HashMap<String, Tree>,
    /// The longest suffix first.
    below: Vec<(Host, Tree)>,
    any: Tree,
}

/// What decides about most routes without a look at them.
#[derive(Clone, Copy, Debug)]
struct Gate {
    /// The methods that it takes, each one bit; see [`bit`].
    methods: u8,
    /// Whether that is all: no conditions, no regular expression, no method without a bit of its own.
    is_plain: bool,
}

/// The bit of a method; none for one that is not of the usual.
fn bit(method: &str) -> Option<u8> {
    let usual = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
    usual.iter().position(|known| *known == method).map(|at| 1 << at)
}

impl Gate {
    fn of(route: &Route) -> Self {
        let bits: Option<u8> =
            route.methods.iter().map(|method| bit(method)).try_fold(0, |all, one| Some(all | one?));
        // `GET` includes `HEAD`, whose bit is the next.
        let methods = match bits {
            Some(0) | None => u8::MAX,
            Some(bits) => bits | (bits & 1) << 1,
        };
        let is_template = matches!(route.path, PathMatch::Template(_));
        Self { methods, is_plain: bits.is_some() && is_template && route.conditions.is_empty() }
    }
}

/// What a look-up found.
#[derive(Debug)]
pub enum Found<'t> {
    /// A route.
    Route(Hit<'t>),
    /// A route of which everything holds but what it asks of the caller's token, which nobody has looked at: it says
    /// how the caller is authenticated, and then it is to be asked again.
    Identify(Hit<'t>),
    /// Routes for this path, but none for this method; these are allowed.
    Method(Vec<&'t str>),
    /// Nothing.
    Nothing,
}

/// A route that matched, and what its names stand for.
#[derive(Debug)]
pub struct Hit<'t> {
    /// The route's number in its table.
    pub(crate) at: usize,
    /// The route.
    pub route: &'t Arc<Route>,
    pub(crate) captures: Captures,
}

impl Hit<'_> {
    /// Writes what the service is asked for over `out`, which holds what the client asked for.
    pub(crate) fn target(&self, facts: &Facts<'_>, at: usize, out: &mut String) -> Result<(), Unsafe> {
        let (split, rewrite) = match &self.route.action {
            Action::Forward { split, rewrite } => (split, rewrite),
            Action::Feature { rewrite, .. } => return rewrite.write(facts, out),
            _ => return Ok(()),
        };
        match split.destinations.get(at).and_then(|destination| destination.target.as_ref()) {
            Some(target) => target.write(facts, out),
            None => rewrite.write(facts, out),
        }
    }
}

impl RouteTable {
    /// Compiles routes, or says what is wrong with them.
    pub fn compile(options: &[RouteOptions]) -> Result<Self, Error> {
        let mut table = Self::default();
        let mut names: HashMap<Arc<str>, ()> = HashMap::with_capacity(options.len());
        let mut taken: HashMap<String, usize> = HashMap::with_capacity(options.len());
        for one in options {
            let route = Arc::new(Route::compile(one)?);
            let at = table.routes.len();
            let number = u32::try_from(at).unwrap_or(u32::MAX);
            for (key, what) in keys(&route) {
                if let Some(first) = taken.insert(key, at) {
                    let (first, second) = (table.routes.get(first).unwrap_or(&route), &route);
                    let (first, second) = (first.name.to_string(), second.name.to_string());
                    return Err(Error::Conflict { first, second, what });
                }
            }
            if names.insert(route.name.clone(), ()).is_some() {
                return Err(Error::Name { name: route.name.to_string() });
            }
            if table.tree(&route.host).insert(&route.path, number) > PATTERNS_MAX {
                return Err(Error::Patterns { route: route.name.to_string(), max: PATTERNS_MAX });
            }
            table.gates.push(Gate::of(&route));
            table.routes.push(route);
        }
        table.below.sort_by_key(|(host, _)| match host {
            Host::Below(suffix) => Reverse(suffix.len()),
            _ => Reverse(0),
        });
        let routes = &table.routes;
        let below = table.below.iter_mut().map(|(_, tree)| tree);
        for tree in table.exact.values_mut().chain(below).chain([&mut table.any]) {
            tree.sort_by(|one, other| rank::order(&routes[one as usize], &routes[other as usize]));
        }
        Ok(table)
    }

    fn tree(&mut self, host: &Host) -> &mut Tree {
        match host {
            Host::Any => &mut self.any,
            Host::Exact(name) => self.exact.entry(name.clone()).or_default(),
            host => {
                let at = self.below.iter().position(|(known, _)| known == host);
                let at = at.unwrap_or_else(|| {
                    self.below.push((host.clone(), Tree::default()));
                    self.below.len() - 1
                });
                &mut self.below[at].1
            }
        }
    }

    /// The route for a request: the most specific of those whose every condition holds, by the order of [`crate::rank`].
    ///
    /// It takes a step for each segment of the path, whatever the number of routes; only routes for the same path are
    /// tried one after the other.
    pub(crate) fn find(&self, asked: &Asked<'_>) -> Found<'_> {
        let mut captures = Captures::default();
        let mut other_methods = Vec::new();
        let mut needs_claims = false;
        let method = bit(asked.method);
        let mut accept = |at: u32, captures: &mut Captures| {
            let at = at as usize;
            let gate = self.gates[at];
            if let (true, Some(method)) = (gate.is_plain, method) {
                let takes = gate.methods & method != 0;
                if !takes {
                    other_methods.push(at);
                }
                return takes;
            }
            let route = &self.routes[at];
            let pattern = match &route.path {
                PathMatch::Pattern(pattern) => Some(pattern),
                PathMatch::Template(_) => None,
            };
            if pattern.is_some_and(|pattern| !pattern.captures(asked.path, captures)) {
                return false;
            }
            let holds = match route.conditions.is_empty() {
                true => Holds::Yes,
                false => route.conditions.hold(asked),
            };
            let takes = holds != Holds::No && route.takes_method(asked.method);
            if takes {
                needs_claims = holds == Holds::Claims;
                return true;
            }
            if holds == Holds::Yes {
                other_methods.push(at);
            }
            if pattern.is_some() {
                captures.clear();
            }
            false
        };
        let mut found = None;
        if !self.exact.is_empty() || !self.below.is_empty() {
            let host = without_port(asked.host);
            let host: Cow<'_, str> = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
                true => host.to_ascii_lowercase().into(),
                false => host.into(),
            };
            let exact = self.exact.get(&*host).into_iter();
            let below = self.below.iter().filter(|(suffix, _)| suffix.matches(&host)).map(|(_, tree)| tree);
            found = exact.chain(below).find_map(|tree| tree.find(asked.path, &mut captures, &mut accept));
        }
        found = found.or_else(|| self.any.find(asked.path, &mut captures, &mut accept));
        match found {
            Some(at) => {
                let at = at as usize;
                let hit = Hit { at, route: &self.routes[at], captures };
                if needs_claims { Found::Identify(hit) } else { Found::Route(hit) }
            }
            None if other_methods.is_empty() => Found::Nothing,
            None => {
                let methods = other_methods.iter().flat_map(|at| self.routes[*at].methods.iter());
                let mut allowed: Vec<&str> = methods.map(String::as_str).collect();
                if allowed.contains(&"GET") {
                    allowed.push("HEAD");
                }
                allowed.sort_unstable();
                allowed.dedup();
                Found::Method(allowed)
            }
        }
    }

    /// The route for a request that has a method, a host and a canonical path, and neither query nor headers nor a token.
    pub fn look_up(&self, method: &str, host: &str, path: &str) -> Found<'_> {
        self.find(&Asked {
            method,
            scheme: "http",
            host,
            path,
            query: None,
            headers: Headers::Given(&[]),
            claims: Claims::None,
            consumer: None,
            address: Ipv4Addr::LOCALHOST.into(),
        })
    }

    /// All routes, in the order of the file.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }
}

/// What no other route may match as well: for each method a key, and what it is called.
fn keys(route: &Route) -> Vec<(String, String)> {
    let any = ["any method".to_owned()];
    let methods: &[String] = if route.methods.is_empty() { &any } else { &route.methods };
    let key = |method: &String| {
        let what = format!("{method} {}", route.path.shape());
        (format!("{what} {:?} {}", route.host, route.conditions), what)
    };
    methods.iter().map(key).collect()
}

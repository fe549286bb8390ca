//! The routes, compiled.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::host::{Host, without_port};
use crate::template::{Captures, Target, Template};
use crate::tree::Tree;
use crate::{Error, RouteOptions};

/// One route, checked.
#[derive(Debug)]
pub struct Route {
    /// What it is called.
    pub name: Arc<str>,
    /// The service that it leads to.
    pub service: Arc<str>,
    /// How long the service may take.
    pub timeout: Duration,
    /// How long all of it may take.
    pub total: Option<Duration>,
    /// Bytes of a request's body.
    pub body_max: u64,
    pub(crate) host: Host,
    pub(crate) template: Template,
    pub(crate) target: Option<Target>,
    pub(crate) methods: Vec<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) query: Vec<(String, String)>,
}

/// What a route looks at in a request, beside host and path.
pub(crate) struct Asked<'r, F> {
    pub(crate) method: &'r str,
    pub(crate) query: Option<&'r str>,
    /// The values of a header.
    pub(crate) fields: F,
}

impl Route {
    fn compile(options: &RouteOptions) -> Result<Self, Error> {
        let name = options.name();
        let wrong = |template: &str, problem: String| Error::Template {
            route: name.clone(),
            template: template.to_owned(),
            problem,
        };
        let matching = &options.matching;
        let template = Template::parse(&matching.path).map_err(|problem| wrong(&matching.path, problem))?;
        let (service, path) = match options.to.split_once(':') {
            Some((service, path)) => (service, Some(path)),
            None => (options.to.as_str(), None),
        };
        if service.is_empty() || service.contains('/') {
            return Err(wrong(
                &options.to,
                "names no service; write `orders` or `orders:/orders/{id}`".into(),
            ));
        }
        if path.is_some_and(|path| path.starts_with("//")) {
            let problem = "is a URL; name a service here, and say in `services` where it is";
            return Err(wrong(&options.to, problem.into()));
        }
        let target =
            path.map(|path| Target::parse(path, &template).map_err(|problem| wrong(&options.to, problem)));
        let is_method = |method: &&String| {
            !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        };
        if let Some(method) = matching.method.iter().find(|method| !is_method(method)) {
            return Err(Error::Method { route: name, method: method.clone() });
        }
        let host = Host::parse(matching.host.as_deref());
        let host = host.ok_or_else(|| Error::Host {
            route: name.clone(),
            host: matching.host.clone().unwrap_or_default(),
        })?;
        Ok(Self {
            service: service.into(),
            timeout: options.timeout,
            total: options.total,
            body_max: options.body_max,
            host,
            target: target.transpose()?,
            template,
            methods: matching.method.clone(),
            headers: matching
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect(),
            query: matching.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            name: name.into(),
        })
    }

    /// `GET` includes `HEAD`.
    pub(crate) fn takes_method(&self, method: &str) -> bool {
        let takes = |wanted: &str| self.methods.iter().any(|one| one == wanted);
        self.methods.is_empty() || takes(method) || (method == "HEAD" && takes("GET"))
    }

    /// The first condition on headers or query that does not hold.
    pub(crate) fn unmet<'f, F, I>(&self, asked: &Asked<'_, F>) -> Option<String>
    where
        F: Fn(&str) -> I,
        I: Iterator<Item = &'f [u8]>,
    {
        let holds = |wanted: &str, value: &[u8]| wanted == "*" || wanted.as_bytes() == value;
        for (name, wanted) in &self.headers {
            if !(asked.fields)(name).any(|value| holds(wanted, value)) {
                return Some(format!("header `{name}` is not `{wanted}`"));
            }
        }
        for (name, wanted) in &self.query {
            let mut pairs =
                asked.query.unwrap_or("").split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            if !pairs.any(|(key, value)| key == name && holds(wanted, value.as_bytes())) {
                return Some(format!("query parameter `{name}` is not `{wanted}`"));
            }
        }
        None
    }

    fn conditions(&self) -> usize {
        self.headers.len() + self.query.len()
    }
}

/// All routes: immutable, made whole or not at all.
#[derive(Debug, Default)]
pub struct RouteTable {
    pub(crate) routes: Vec<Route>,
    exact: HashMap<String, Tree>,
    /// The longest suffix first.
    below: Vec<(Host, Tree)>,
    any: Tree,
}

/// What a look-up found.
#[derive(Debug)]
pub enum Found<'t> {
    /// A route.
    Route(Hit<'t>),
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
    pub route: &'t Route,
    captures: Captures,
}

impl Hit<'_> {
    /// Writes the target over `out`, which holds the client's own; the query is kept.
    pub(crate) fn rewrite(&self, path: &str, query: Option<&str>, out: &mut String) {
        let Some(target) = &self.route.target else { return };
        out.clear();
        target.write(path, &self.captures, out);
        if let Some(query) = query {
            out.push('?');
            out.push_str(query);
        }
    }
}

impl RouteTable {
    /// Compiles routes, or says what is wrong with them.
    pub fn compile(options: &[RouteOptions]) -> Result<Self, Error> {
        let mut table = Self::default();
        let mut names: HashMap<Arc<str>, ()> = HashMap::new();
        let mut taken: HashMap<String, usize> = HashMap::new();
        for one in options {
            let route = Route::compile(one)?;
            let at = table.routes.len();
            let everything = vec![String::from("any method")];
            let methods = if route.methods.is_empty() { &everything } else { &route.methods };
            for method in methods {
                let conditions = format!("{:?} {:?} {:?}", route.host, route.headers, route.query);
                let what = format!("{method} {}", route.template.shape());
                if let Some(first) = taken.insert(format!("{what} {conditions}"), at) {
                    let (first, second) = (table.routes.get(first).unwrap_or(&route), &route);
                    let (first, second) = (first.name.to_string(), second.name.to_string());
                    return Err(Error::Conflict { first, second, what });
                }
            }
            if names.insert(route.name.clone(), ()).is_some() {
                return Err(Error::Name { name: route.name.to_string() });
            }
            let tree = match &route.host {
                Host::Any => &mut table.any,
                Host::Exact(name) => table.exact.entry(name.clone()).or_default(),
                host => {
                    let at = table.below.iter().position(|(known, _)| known == host);
                    let at = at.unwrap_or_else(|| {
                        table.below.push((host.clone(), Tree::default()));
                        table.below.len() - 1
                    });
                    &mut table.below[at].1
                }
            };
            tree.insert(&route.template, at);
            table.routes.push(route);
        }
        table.below.sort_by_key(|(host, _)| match host {
            Host::Below(suffix) => Reverse(suffix.len()),
            _ => Reverse(0),
        });
        let routes = &table.routes;
        // Among routes for one path, those that ask for more come first.
        let key = |at: usize| {
            let route: &Route = &routes[at];
            (Reverse(route.conditions()), route.methods.is_empty(), at)
        };
        table.any.sort_by_key(key);
        table
            .exact
            .values_mut()
            .chain(table.below.iter_mut().map(|(_, tree)| tree))
            .for_each(|tree| tree.sort_by_key(key));
        Ok(table)
    }

    /// The route for a request: the most specific of those whose every condition holds.
    ///
    /// Host before path before conditions before method; `host` as in the `Host` header, `path` canonical.
    pub(crate) fn find<'f, F, I>(&self, host: &str, path: &str, asked: &Asked<'_, F>) -> Found<'_>
    where
        F: Fn(&str) -> I,
        I: Iterator<Item = &'f [u8]>,
    {
        let mut captures = Captures::default();
        let mut other_methods = Vec::new();
        let mut accept = |at: usize| {
            let route = &self.routes[at];
            let has_conditions = route.conditions() > 0;
            if has_conditions && route.unmet(asked).is_some() {
                return false;
            }
            let takes = route.takes_method(asked.method);
            if !takes {
                other_methods.push(at);
            }
            takes
        };
        let mut found = None;
        if !self.exact.is_empty() || !self.below.is_empty() {
            let host = without_port(host);
            let host: Cow<'_, str> = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
                true => host.to_ascii_lowercase().into(),
                false => host.into(),
            };
            let exact = self.exact.get(&*host).into_iter();
            let below = self.below.iter().filter(|(suffix, _)| suffix.matches(&host)).map(|(_, tree)| tree);
            found = exact.chain(below).find_map(|tree| tree.find(path, &mut captures, &mut accept));
        }
        found = found.or_else(|| self.any.find(path, &mut captures, &mut accept));
        match found {
            Some(at) => Found::Route(Hit { at, route: &self.routes[at], captures }),
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

    /// All routes, in the order of the file.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
}

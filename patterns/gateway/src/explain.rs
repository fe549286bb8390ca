//! What would happen to a request, and why.

use dozen_dataplane::framing::{Slashes, canonical_path, canonical_query};
use dozen_dataplane::{EndpointView, Upstreams};
use serde::Serialize;

use crate::RouteTable;
use crate::host::without_port;
use crate::table::{Asked, Found, Route};

/// Routes that lost are listed up to here, the nearest first.
const CONSIDERED_MAX: usize = 50;

/// What a gateway would do with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// The method asked about.
    pub method: String,
    /// The host asked about, without its port.
    pub host: String,
    /// The canonical form of the path: what is matched, and what is forwarded unless the route rewrites it.
    pub path: String,
    /// The route that takes it.
    pub route: Option<String>,
    /// Why that route, or why none.
    pub why: String,
    /// The service that it goes to.
    pub service: Option<String>,
    /// Path and query there.
    pub target: Option<String>,
    /// The service's endpoints as they stand.
    pub endpoints: Vec<EndpointView>,
    /// The status that the gateway itself would answer with, if it would.
    pub status: Option<u16>,
    /// The routes that do not take it, and why; the nearest first.
    pub considered: Vec<Considered>,
}

/// A route that lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Considered {
    /// Its name.
    pub route: String,
    /// Why not.
    pub why_not: String,
}

impl RouteTable {
    /// Says what would become of a request. `url` is a path, or an absolute URL; `headers` are names and values.
    ///
    /// With `upstreams` the endpoints are shown as well.
    pub fn explain(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        upstreams: Option<&Upstreams>,
    ) -> Explanation {
        let (authority, rest) = split(url);
        let given = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = authority.or(given.map(|(_, value)| value.as_str())).unwrap_or("localhost");
        let host = without_port(host).to_ascii_lowercase();
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let mut explanation = Explanation {
            method: method.to_owned(),
            host: host.clone(),
            path: path.to_owned(),
            route: None,
            why: String::new(),
            service: None,
            target: None,
            endpoints: Vec::new(),
            status: Some(400),
            considered: Vec::new(),
        };
        let (mut canonical, mut canonical_query_text) = (String::new(), String::new());
        let read = canonical_path(path, Slashes::Merge, &mut canonical)
            .and_then(|()| query.map_or(Ok(()), |query| canonical_query(query, &mut canonical_query_text)));
        if let Err(refusal) = read {
            explanation.why = format!("refused before routing: {refusal}");
            return explanation;
        }
        let query = query.map(|_| canonical_query_text.as_str());
        let fields = |wanted: &str| {
            let wanted = wanted.to_owned();
            headers
                .iter()
                .filter(move |(name, _)| name.eq_ignore_ascii_case(&wanted))
                .map(|(_, value)| value.as_bytes())
        };
        let asked = Asked { method, query, fields };
        let mut winner = None;
        match self.find(&host, &canonical, &asked) {
            Found::Route(hit) => {
                winner = Some(hit.at);
                let mut target = canonical.clone();
                if let Some(query) = query {
                    target = target + "?" + query;
                }
                hit.rewrite(&canonical, query, &mut target);
                explanation.route = Some(hit.route.name.to_string());
                explanation.service = Some(hit.route.service.to_string());
                explanation.why = "the most specific route whose every condition holds".into();
                explanation.target = Some(target);
                explanation.status = None;
                if let Some(upstreams) = upstreams {
                    let upstream = upstreams.get(&hit.route.service);
                    explanation.endpoints = upstream.map(|upstream| upstream.endpoints()).unwrap_or_default();
                    if !explanation.endpoints.iter().any(|endpoint| endpoint.healthy) {
                        explanation.status = Some(503);
                        explanation.why += "; but its service has no healthy endpoint";
                    }
                }
            }
            Found::Method(allowed) => {
                explanation.status = Some(405);
                explanation.why = format!("the path is known, but only for {}", allowed.join(", "));
            }
            Found::Nothing => {
                explanation.status = Some(404);
                explanation.why = "no route matches".into();
            }
        }
        explanation.path = canonical;
        let mut losers: Vec<(u8, Considered)> = Vec::new();
        for (at, route) in self.routes.iter().enumerate().filter(|(at, _)| Some(*at) != winner) {
            let (distance, why_not) = why_not(route, &host, &explanation.path, &asked);
            let _ = at;
            losers.push((distance, Considered { route: route.name.to_string(), why_not }));
        }
        losers.sort_by_key(|(distance, _)| *distance);
        explanation.considered = losers.into_iter().take(CONSIDERED_MAX).map(|(_, loser)| loser).collect();
        explanation
    }
}

/// Why a route did not win, and how near it came.
fn why_not<'f, F, I>(route: &Route, host: &str, path: &str, asked: &Asked<'_, F>) -> (u8, String)
where
    F: Fn(&str) -> I,
    I: Iterator<Item = &'f [u8]>,
{
    if let Some(mismatch) = route.template.mismatch(path) {
        return (4, mismatch);
    }
    if !route.host.matches(host) {
        return (3, "it is for another host".into());
    }
    if let Some(unmet) = route.unmet(asked) {
        return (2, unmet);
    }
    if !route.takes_method(asked.method) {
        return (1, format!("it takes only {}", route.methods.join(", ")));
    }
    (0, "it matches too, but is less specific".into())
}

/// The authority of an absolute URL, and the rest.
fn split(url: &str) -> (Option<&str>, &str) {
    let Some(rest) = url.split_once("://").map(|(_, rest)| rest) else { return (None, url) };
    match rest.find(['/', '?']) {
        Some(at) if rest[at..].starts_with('/') => (Some(&rest[..at]), &rest[at..]),
        _ => (Some(rest), "/"),
    }
}

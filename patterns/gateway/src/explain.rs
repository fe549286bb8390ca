//! What would happen to a request, and why.

mod others;

use std::net::{IpAddr, Ipv4Addr};

use dozen_dataplane::framing::{Slashes, canonical_path, canonical_query};
use dozen_dataplane::{EndpointView, Upstreams};
use serde::Serialize;
use serde_json::Value;

use crate::RouteTable;
use crate::action::Action;
use crate::asked::{Asked, Claims, Headers};
use crate::compose::Planned;
use crate::host::without_port;
use crate::split::{Because, Split};
use crate::table::{Found, Hit};
use crate::target::Unsafe;
use crate::text::Facts;
use others::WhyNot;

/// Routes that lost are listed up to here, the nearest first.
const CONSIDERED_MAX: usize = 50;

/// A request to be explained.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'q> {
    /// The method, in capitals.
    pub method: &'q str,
    /// A path, or an absolute URL.
    pub url: &'q str,
    /// Names and values.
    pub headers: &'q [(String, String)],
    /// What the caller's token would say, if it had one.
    pub claims: Option<&'q Value>,
    /// Where the caller would be; this machine, if nothing is said.
    pub address: Option<IpAddr>,
}

/// What a gateway would do with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
    /// Why that service, where there are several.
    pub choice: Option<String>,
    /// Path and query there; or where the client is sent.
    pub target: Option<String>,
    /// The service's endpoints as they stand.
    pub endpoints: Vec<EndpointView>,
    /// The calls that its answer is made of, where it is made of several; level by level.
    pub calls: Vec<Planned>,
    /// What is done with its bodies: `validate`, `openapi`, `request`, `response`, `cache`, `compress`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shapes: Vec<&'static str>,
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
    /// Says what would become of a request. With `upstreams` the endpoints are shown as well.
    pub fn explain(&self, question: &Question<'_>, upstreams: Option<&Upstreams>) -> Explanation {
        let (authority, path, query) = parts(question.url);
        let given = question.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = authority.or(given.map(|(_, value)| value.as_str())).unwrap_or("localhost");
        let mut explanation = Explanation {
            method: question.method.to_owned(),
            host: without_port(host).to_ascii_lowercase(),
            path: path.to_owned(),
            status: Some(400),
            ..Explanation::default()
        };
        let (mut canonical, mut canonical_query_text) = (String::new(), String::new());
        let read = canonical_path(path, Slashes::Merge, &mut canonical)
            .and_then(|()| query.map_or(Ok(()), |query| canonical_query(query, &mut canonical_query_text)));
        if let Err(refusal) = read {
            explanation.why = format!("refused before routing: {refusal}");
            return explanation;
        }
        explanation.path.clone_from(&canonical);
        let asked = Asked {
            method: question.method,
            scheme: if question.url.starts_with("https://") { "https" } else { "http" },
            host,
            path: &canonical,
            query: query.map(|_| canonical_query_text.as_str()),
            headers: Headers::Given(question.headers),
            claims: question.claims.map_or(Claims::None, Claims::Are),
            consumer: None,
            address: question.address.unwrap_or(Ipv4Addr::LOCALHOST.into()),
        };
        let mut winner = None;
        match self.find(&asked) {
            Found::Route(hit) | Found::Identify(hit) => {
                winner = Some(hit.route.clone());
                taken(&hit, &asked, upstreams, &mut explanation);
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
        let others = others::of(&self.routes, winner.as_deref(), &asked);
        if let Some((next, WhyNot::LessSpecific(because))) = others.first() {
            explanation.why = format!("it wins over `{}`: {because}", next.name);
        }
        let told = others.into_iter().take(CONSIDERED_MAX);
        let told =
            told.map(|(route, why)| Considered { route: route.name.to_string(), why_not: why.to_string() });
        explanation.considered = told.collect();
        explanation
    }
}

impl Explanation {
    /// A target that could be something else than it should is refused.
    fn leads_to(&mut self, target: Result<String, Unsafe>) {
        match target {
            Ok(target) => self.target = Some(target),
            Err(Unsafe) => self.status = Some(400),
        }
    }
}

/// What the route that was found does with the request.
fn taken(hit: &Hit<'_>, asked: &Asked<'_>, upstreams: Option<&Upstreams>, explanation: &mut Explanation) {
    let route = hit.route;
    explanation.route = Some(route.name.to_string());
    explanation.why = "it is the only route whose every condition holds".into();
    explanation.status = None;
    explanation.shapes = route.shaping.as_ref().map(|shaping| shaping.explain()).unwrap_or_default();
    let facts = Facts { asked, route: &route.name, captures: &hit.captures, captured: asked.path };
    let target = |at| {
        let mut target = match asked.query {
            Some(query) => format!("{}?{query}", asked.path),
            None => asked.path.to_owned(),
        };
        hit.target(&facts, at, &mut target).map(|()| target)
    };
    match &route.action {
        Action::Redirect(redirect) => {
            explanation.status = Some(redirect.status);
            explanation.leads_to(redirect.location(&facts));
        }
        Action::Answer(answer) => explanation.status = Some(answer.status),
        Action::Compose(plan) => explanation.calls = plan.explain(),
        Action::Feature { name, .. } => {
            explanation.choice =
                Some(format!("the feature `{name}` says for each request which of its services serves it"));
            explanation.leads_to(target(0));
        }
        Action::Forward { split, .. } => {
            let (at, because) = split.choose(asked, 0, false);
            explanation.choice = choice(split, at, because);
            explanation.leads_to(target(at));
            let Some(destination) = split.destinations.get(at) else { return };
            explanation.service = Some(destination.service.to_string());
            if let Some(upstreams) = upstreams {
                let upstream = upstreams.get(&destination.service);
                explanation.endpoints = upstream.map(|upstream| upstream.endpoints()).unwrap_or_default();
                if !explanation.endpoints.iter().any(|endpoint| endpoint.healthy) {
                    explanation.status = Some(503);
                    explanation.choice = Some("its service has no healthy endpoint".into());
                }
            }
        }
    }
}

fn choice(split: &Split, at: usize, because: Because) -> Option<String> {
    let total: u64 = split.destinations.iter().map(|one| u64::from(one.weight)).sum();
    let share = |at: usize| {
        let weight = split.destinations.get(at).map_or(0, |one| u64::from(one.weight));
        format!("{:.4}", weight as f64 * 100.0 / total as f64)
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned()
    };
    let key = split.sticky.as_ref();
    Some(match because {
        Because::Only => return None,
        Because::Told => format!("chosen before, says `{}`", crate::split::HEADER),
        Because::Key(point) => {
            let key = key.map_or(String::new(), ToString::to_string);
            format!("{key} lies at {point:.4} of 1, within its {} %", share(at))
        }
        Because::Lot => {
            let all = split.destinations.iter().enumerate();
            let all: Vec<String> = all.map(|(at, one)| format!("{} {} %", one.service, share(at))).collect();
            match key {
                Some(key) => format!("by lot, for the request does not have {key}: {}", all.join(", ")),
                None => format!("by lot for each request: {}", all.join(", ")),
            }
        }
    })
}

/// The authority of an absolute URL, the path, and the query.
fn parts(url: &str) -> (Option<&str>, &str, Option<&str>) {
    let is_scheme =
        |scheme: &str| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphabetic());
    let (authority, rest) = match url.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        Some((_, rest)) => {
            let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(authority), rest)
        }
        None => (None, url),
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    // An absolute URL may leave out its path.
    (authority, if authority.is_some() && path.is_empty() { "/" } else { path }, query)
}

//! What becomes of one request, as far as that can be said without a socket.
//!
//! ```text
//!  preflight? ── answered
//!  find ──► Route(hit) ───────────────────────────┐
//!     └───► Identify(hit) ── by the hit's route ──┴─► take: gone, redirect, answer, or a service and a target
//! ```
//!
//! Between finding and taking stands whatever has to know the route first: who the caller is. What is found out there
//! goes into [`Asked`], so that taking may use it: a sticky key, a header, a target.

use std::borrow::Cow;
use std::sync::Arc;

use dozen_core::Timestamp;
use dozen_dataplane::{Answered, Changes, Outgoing, Reply};

use crate::action::Action;
use crate::asked::{Asked, Claims};
use crate::compose::{Given, Plan};
use crate::cors::{Cors, Fields};
use crate::route::Route;
use crate::snapshot::{Snapshot, Standing};
use crate::split;
use crate::table::{Found, Hit};
use crate::text::Facts;

/// A request, and what the gateway adds to it.
#[derive(Clone, Copy)]
pub(crate) struct Case<'c> {
    pub(crate) asked: Asked<'c>,
    pub(crate) now: Timestamp,
    /// Chooses where nothing else does.
    pub(crate) random: u64,
    /// Whether the caller is one of ours.
    pub(crate) is_trusted: bool,
}

/// One of the three.
pub(crate) enum Decision<'s> {
    /// It goes to the service of this number, and its answer is changed on the way back.
    Forward { standing: &'s Arc<Standing>, at: usize, amendment: Option<Amendment> },
    /// It is answered from several services, with what they will want to know of it.
    Compose { standing: &'s Arc<Standing>, plan: Arc<Plan>, given: Given, amendment: Option<Amendment> },
    /// It is answered here; by a route, if one took it.
    Reply { standing: Option<&'s Arc<Standing>>, reply: Reply },
}

impl Snapshot {
    /// Decides, and writes what is changed of the request.
    pub(crate) fn decide(&self, case: &Case<'_>, outgoing: &mut Outgoing<'_>) -> Decision<'_> {
        if case.asked.method == "OPTIONS"
            && let Some(decision) = self.preflight(&case.asked)
        {
            return decision;
        }
        match self.find(&case.asked) {
            Found::Route(hit) | Found::Identify(hit) => self.take(&hit, case, outgoing),
            Found::Method(allowed) => {
                let mut reply = Reply::new(405, "this path does not take this method");
                reply.fields.push(("allow", allowed.join(", ")));
                Decision::Reply { standing: None, reply }
            }
            Found::Nothing => {
                Decision::Reply { standing: None, reply: Reply::new(404, "no route matches this request") }
            }
        }
    }

    /// Nobody has been authenticated, so nobody has claims.
    fn find(&self, asked: &Asked<'_>) -> Found<'_> {
        match self.table.find(asked) {
            Found::Identify(_) => self.table.find(&Asked { claims: Claims::None, ..*asked }),
            found => found,
        }
    }

    /// The answer to a question about another method, if the route of that method has one.
    fn preflight(&self, asked: &Asked<'_>) -> Option<Decision<'_>> {
        let method = Cors::preflight(asked)?;
        let Found::Route(hit) = self.find(&Asked { method, ..*asked }) else { return None };
        let cors = hit.route.cors.as_ref()?;
        let mut reply = Reply::empty(204);
        reply.fields = cors.answer(asked, method, &hit.route.methods);
        Some(Decision::Reply { standing: self.standings.get(hit.at), reply })
    }

    fn take(&self, hit: &Hit<'_>, case: &Case<'_>, outgoing: &mut Outgoing<'_>) -> Decision<'_> {
        let (route, asked) = (hit.route, &case.asked);
        let standing = self.standings.get(hit.at);
        let facts = Facts { asked, route: &route.name, captures: &hit.captures, captured: asked.path };
        let answer = |mut reply: Reply| {
            reply.fields.extend(spoken(route, asked));
            Decision::Reply { standing, reply }
        };
        if route.notice.as_ref().is_some_and(|notice| notice.is_gone(case.now)) {
            return answer(Reply::new(410, "this is gone for good"));
        }
        let refused = || answer(Reply::new(400, "this request cannot be passed on as it is"));
        match &route.action {
            Action::Redirect(redirect) => match redirect.location(&facts) {
                Ok(location) => {
                    let mut reply = Reply::empty(redirect.status);
                    reply.fields.push(("location", location));
                    answer(reply)
                }
                Err(_) => refused(),
            },
            Action::Answer(written) => answer(match written.body(&facts) {
                Some(body) => Reply::bytes(written.status, written.content_type.to_string(), body),
                None if written.status >= 400 => Reply::new(written.status, "the gateway answers so"),
                None => Reply::empty(written.status),
            }),
            Action::Compose(plan) => {
                let Some(standing) = standing else { return refused() };
                let (given, amendment) = (plan.given(&facts), Amendment::of(hit, &facts));
                Decision::Compose { standing, plan: plan.clone(), given, amendment }
            }
            Action::Forward { split, rewrite } => {
                let (at, _) = split.choose(asked, case.random, case.is_trusted);
                if hit.target(&facts, at, outgoing.target).is_err() {
                    return refused();
                }
                let Some(standing) = standing else { return refused() };
                if let Some(said) = split.said(at) {
                    outgoing.add(split::HEADER, said.as_bytes());
                }
                if let Some(host) = &rewrite.host {
                    let mut text = String::new();
                    host.write(&facts, &mut text);
                    outgoing.set_host(text);
                }
                if !route.to_service.is_empty() {
                    route.to_service.dropped().for_each(|name| outgoing.remove(name.to_owned()));
                    route.to_service.write(&facts, |name, value| outgoing.add(name, value.as_bytes()));
                }
                let amendment = Amendment::of(hit, &facts);
                Decision::Forward { standing, at, amendment }
            }
        }
    }
}

/// What the gateway itself says in every answer of a route.
fn spoken(route: &Route, asked: &Asked<'_>) -> Fields {
    let mut fields = route.cors.as_ref().map(|cors| cors.fields(asked)).unwrap_or_default();
    let notice = route.notice.iter().flat_map(|notice| notice.fields());
    fields.extend(notice.map(|(name, value)| (name, value.to_owned())));
    fields
}

/// What a route changes in its service's answer, decided with the request.
#[derive(Debug, Default)]
pub(crate) struct Amendment {
    added: Vec<(Cow<'static, str>, String)>,
}

impl Amendment {
    /// None where the route changes nothing.
    pub(crate) fn of(hit: &Hit<'_>, facts: &Facts<'_>) -> Option<Self> {
        let route = hit.route;
        let amends = route.cors.is_some() || route.notice.is_some() || !route.to_client.is_empty();
        amends.then(|| Self::new(route, facts))
    }

    fn new(route: &Route, facts: &Facts<'_>) -> Self {
        let spoken = spoken(route, facts.asked).into_iter().map(|(name, value)| (name.into(), value));
        let mut added: Vec<(Cow<'static, str>, String)> = spoken.collect();
        route.to_client.write(facts, |name, value| added.push((name.to_owned().into(), value.to_owned())));
        Self { added }
    }

    /// Changes the answer of a service, or the problem document that stands in for one.
    pub(crate) fn amend(&self, route: &Route, answer: &Answered<'_>, changes: &mut Changes) {
        let speaks = route.cors.is_some();
        for (name, _) in answer.fields() {
            let ours = route.notice.iter().flat_map(|notice| notice.fields());
            let is_ours =
                ours.into_iter().any(|(known, _)| known != "link" && name.eq_ignore_ascii_case(known));
            if is_ours || (speaks && Cors::drops(name)) || route.to_client.drops(name) {
                changes.remove(name.to_owned());
            }
        }
        for (name, value) in &self.added {
            changes.add(name, value.as_bytes());
        }
    }
}

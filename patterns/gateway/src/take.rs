//! What a route does with a request that may pass.

use std::sync::Arc;

use dozen_dataplane::{Around, Outgoing, Reply};

use crate::access::Pass;
use crate::action::Action;
use crate::amendment::{Amendment, spoken};
use crate::auth::Identity;
use crate::case::Case;
use crate::decide::{Decision, What};
use crate::feature::{Course, FeatureRequest};
use crate::route::Route;
use crate::snapshot::Snapshot;
use crate::split;
use crate::table::Hit;
use crate::target::Rewriting;
use crate::text::Facts;

impl Snapshot {
    /// Does what the route does, for somebody who may.
    pub(crate) fn taken(
        &self,
        hit: &Hit<'_>,
        case: &Case<'_>,
        identity: Option<&Arc<Identity>>,
        pass: Option<Pass>,
        outgoing: &mut Outgoing<'_>,
    ) -> Decision {
        let known;
        let case = match identity {
            Some(identity) => {
                known = Case { asked: case.asked.by(identity), ..*case };
                &known
            }
            None => case,
        };
        let is_known = identity.is_some_and(|identity| !identity.method.is_empty());
        let mut decision = self.take(hit, case, is_known, outgoing);
        let Some(pass) = pass else { return decision };
        let limits = pass.response_fields();
        let cookies = pass.identity.cookies.iter().map(|cookie| ("set-cookie", cookie.clone()));
        match &mut decision.what {
            What::Forward(_, _, amendment)
            | What::Feature(_, _, amendment)
            | What::Compose(_, _, amendment) => {
                pass.add_to(outgoing);
                if !limits.is_empty() {
                    amendment.get_or_insert_default().limits = limits;
                }
                for (name, value) in cookies {
                    amendment.get_or_insert_default().added.add(name, value.as_bytes());
                }
            }
            What::Reply(reply) => reply.fields.extend(limits.into_iter().chain(cookies)),
            What::Wait(_) => {}
        }
        Decision { pass: Some(pass), ..decision }
    }

    fn take(&self, hit: &Hit<'_>, case: &Case<'_>, is_known: bool, outgoing: &mut Outgoing<'_>) -> Decision {
        let (route, asked) = (hit.route, &case.asked);
        let standing = self.standings.get(hit.at);
        let facts = Facts { asked, route: &route.name, captures: &hit.captures, captured: asked.path };
        let answer = |mut reply: Reply| {
            reply.fields.extend(spoken(route, asked));
            Decision::reply(standing, reply)
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
                if let Some(features) = &self.features {
                    features.passed(&mut plan.services().map(|one| &**one), &FeatureRequest::of(case));
                }
                let (given, amendment) = (plan.given(&facts), Amendment::of(hit, &facts));
                let decision = Decision::new(standing, What::Compose(plan.clone(), given, amendment));
                Decision { around: self.around(hit, &facts, is_known, 0), ..decision }
            }
            Action::Feature { name, sticky, rewrite } => {
                let request = FeatureRequest::of(case);
                let course = self.features.as_ref().and_then(|features| features.course(name, &request));
                let way = match course {
                    Some(Course::To(way)) => way,
                    Some(Course::Answer { status, title }) => return answer(Reply::new(status, title)),
                    None => return answer(Reply::new(503, "the service is not available at the moment")),
                };
                if hit.target(&facts, 0, outgoing.target).is_err() {
                    return refused();
                }
                for (name, value) in &way.set {
                    outgoing.remove(name);
                    outgoing.add(name, value.as_bytes());
                }
                self.on_its_way(route, rewrite, &facts, outgoing);
                let key = sticky.as_ref().and_then(|sticky| sticky.point(name, asked));
                let what = What::Feature(way, key, Amendment::of(hit, &facts));
                Decision { around: self.around(hit, &facts, is_known, 0), ..Decision::new(standing, what) }
            }
            Action::Forward { split, rewrite } => {
                let (at, _) = split.choose(asked, case.random, case.is_trusted);
                if let Some(features) = &self.features {
                    let chosen = split.destinations.get(at).map(|one| &*one.service);
                    features.passed(&mut chosen.into_iter(), &FeatureRequest::of(case));
                }
                if hit.target(&facts, at, outgoing.target).is_err() {
                    return refused();
                }
                if let Some(said) = split.said(at) {
                    outgoing.add(split::HEADER, said.as_bytes());
                }
                self.on_its_way(route, rewrite, &facts, outgoing);
                let what = What::Forward(at, split.key(asked), Amendment::of(hit, &facts));
                Decision { around: self.around(hit, &facts, is_known, at), ..Decision::new(standing, what) }
            }
        }
    }

    /// What stands around an exchange with the route's service of this number.
    fn around(&self, hit: &Hit<'_>, facts: &Facts<'_>, is_known: bool, at: usize) -> Option<Arc<dyn Around>> {
        let shaping = hit.route.shaping.as_ref()?;
        let cache = self.standings.get(hit.at).and_then(|standing| standing.cache.as_ref());
        Some(shaping.around(facts, is_known, at, cache))
    }

    /// Host and headers as the route wants the service to see them.
    fn on_its_way(&self, route: &Route, rewrite: &Rewriting, facts: &Facts<'_>, outgoing: &mut Outgoing<'_>) {
        if let Some(host) = &rewrite.host {
            let mut text = String::new();
            host.write(facts, &mut text);
            outgoing.set_host(text);
        }
        if !route.to_service.is_empty() {
            route.to_service.dropped().for_each(|name| outgoing.remove(name));
            route.to_service.write(facts, |name, value| outgoing.add(name, value.as_bytes()));
        }
    }
}

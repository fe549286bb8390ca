//! What the gateway says in the answers of a route.

use dozen_dataplane::{Answered, Changes};

use crate::asked::Asked;
use crate::cors::{Cors, Fields};
use crate::route::Route;
use crate::table::Hit;
use crate::text::Facts;

/// What the gateway itself says in every answer of a route.
pub(crate) fn spoken(route: &Route, asked: &Asked<'_>) -> Fields {
    let mut fields = route.cors.as_ref().map(|cors| cors.fields(asked)).unwrap_or_default();
    let notice = route.notice.iter().flat_map(|notice| notice.fields());
    fields.extend(notice.map(|(name, value)| (name, value.to_owned())));
    fields
}

/// What a route changes in its service's answer, decided with the request.
#[derive(Debug, Default)]
pub(crate) struct Amendment {
    pub(crate) added: Changes,
    /// What is left of the caller's limits, in the place of what the service says of its own.
    pub(crate) limits: Vec<(&'static str, String)>,
}

impl Amendment {
    /// None where the route changes nothing.
    pub(crate) fn of(hit: &Hit<'_>, facts: &Facts<'_>) -> Option<Self> {
        let route = hit.route;
        let amends = route.cors.is_some() || route.notice.is_some() || !route.to_client.is_empty();
        amends.then(|| Self::new(route, facts))
    }

    fn new(route: &Route, facts: &Facts<'_>) -> Self {
        let mut added = Changes::default();
        spoken(route, facts.asked).iter().for_each(|(name, value)| added.add(name, value.as_bytes()));
        route.to_client.write(facts, |name, value| added.add(name, value.as_bytes()));
        Self { added, limits: Vec::new() }
    }

    /// Changes the answer of a service, or the problem document that stands in for one.
    pub(crate) fn amend(&self, route: &Route, answer: &Answered<'_>, changes: &mut Changes) {
        let speaks = route.cors.is_some();
        for (name, _) in answer.fields() {
            let ours = route.notice.iter().flat_map(|notice| notice.fields());
            let is_ours =
                ours.into_iter().any(|(known, _)| known != "link" && name.eq_ignore_ascii_case(known));
            if is_ours || (speaks && Cors::drops(name)) || route.to_client.drops(name) {
                changes.remove(name);
            }
        }
        for (name, value) in &self.limits {
            changes.set(name, value.as_bytes());
        }
        changes.extend(&self.added);
    }
}

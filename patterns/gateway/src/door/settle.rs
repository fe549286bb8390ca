//! From what was decided to what the engine does.

use std::sync::Arc;

use dozen_dataplane::{Forward, Reply, Serving, Upstream, Verdict, nested};

use super::{Door, Ticket};
use crate::compose::{Composition, Given, Plan};
use crate::decide::What;
use crate::feature::Way;
use crate::snapshot::Standing;

impl Door {
    fn upstream(&self, standing: &Standing, at: usize, service: &str) -> Option<Arc<Upstream>> {
        let known = standing.upstreams.get(at)?;
        if let Some(upstream) = known.get() {
            return Some(upstream.clone());
        }
        let upstream = self.upstreams.get(service)?;
        Some(known.get_or_init(|| upstream).clone())
    }

    /// Turns a decision into what the engine does. A decision that still waits is none; nobody passes by it.
    pub(crate) fn settle(&self, what: What, random: u64, mut ticket: Ticket) -> Verdict<Ticket> {
        let at = match what {
            What::Reply(reply) => return Verdict::Reply(reply, ticket),
            What::Compose(plan, given, amendment) => {
                ticket.amendment = amendment;
                return self.compose(plan, given, ticket);
            }
            What::Feature(way, key, amendment) => {
                ticket.amendment = amendment;
                return self.escorted(way, key, random, ticket);
            }
            What::Forward(at, key, amendment) => {
                ticket.amendment = amendment;
                Some((at, key))
            }
            What::Wait(_) => None,
        };
        let place = ticket.standing.as_ref().zip(ticket.service.as_ref()).zip(at);
        let found = place.and_then(|((standing, service), (at, key))| {
            let upstream = self.upstream(standing, at, service)?;
            Some((&standing.route, upstream, key, standing.cutoffs.get(at).cloned()))
        });
        let Some((route, upstream, key, cutoff)) = found else {
            return Verdict::Reply(Reply::new(503, "the service is not available at the moment"), ticket);
        };
        Verdict::Forward(Forward {
            transport: upstream.transport(),
            upstream,
            random,
            key,
            priority: ticket.priority(),
            body_max: route.body_max,
            timeout: route.timeout,
            total: route.total,
            cutoff,
            // What a route says of bodies would not be done to what passes in a WebSocket.
            websocket: route.websocket.filter(|_| ticket.around.is_none()),
            around: ticket.around.take(),
            trail: ticket.trail(),
            ticket,
        })
    }

    /// Sends a request where its feature wants it.
    fn escorted(&self, way: Way, key: Option<u64>, random: u64, mut ticket: Ticket) -> Verdict<Ticket> {
        let Way { service, escort, witness, .. } = way;
        ticket.witness = witness;
        let found = ticket.standing.clone();
        let Some((standing, upstream)) = found.zip(self.upstreams.get(&service)) else {
            return Verdict::Reply(Reply::new(503, "the service is not available at the moment"), ticket);
        };
        let route = &standing.route;
        let shaping = ticket.around.take();
        Verdict::Forward(Forward {
            transport: upstream.transport(),
            upstream,
            random,
            key,
            priority: ticket.priority(),
            body_max: route.body_max,
            timeout: route.timeout,
            total: route.total,
            cutoff: standing.cutoffs.first().cloned(),
            websocket: route.websocket.filter(|_| shaping.is_none()),
            // The escort sees what the service sees.
            around: match (shaping, escort) {
                (Some(outer), Some(inner)) => Some(nested(outer, inner)),
                (shaping, escort) => shaping.or(escort),
            },
            trail: ticket.trail(),
            ticket,
        })
    }

    /// Has a request answered from several services.
    fn compose(&self, plan: Arc<Plan>, given: Given, mut ticket: Ticket) -> Verdict<Ticket> {
        let Some(standing) = &ticket.standing else {
            return Verdict::Reply(Reply::new(503, "the service is not available at the moment"), ticket);
        };
        let (body_max, total) = (standing.route.body_max, standing.route.total);
        let composition = Composition::new(plan, given, self.callers.clone(), self.ids.clone())
            .recorded(ticket.recording.clone());
        ticket.calls = Some(composition.attempts());
        let around = ticket.around.take();
        Verdict::Serve(Serving { service: Arc::new(composition), around, body_max, total, ticket })
    }
}

//! Decisions that wait for somebody.

use std::sync::Arc;

use dozen_dataplane::Draft;
use futures::future::BoxFuture;

use crate::case::KeptCase;
use crate::decide::{Decision, Step, What};
use crate::door::{Door, Ticket};
use crate::snapshot::Snapshot;

/// A decision that waits for somebody, and owns all that it needs: the request has gone back to its connection.
///
/// It holds a ticket of its own. Until it is made, the ticket of the request that waits is the one that counts; so
/// nothing is counted here before the end.
pub(crate) struct Waiting {
    pub(crate) door: Arc<Door>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) case: KeptCase,
    pub(crate) random: u64,
    pub(crate) ticket: Ticket,
}

impl Waiting {
    /// Asks until it is decided: who it is, and then whether they may. Each is bounded by the time-out of its method.
    pub(crate) async fn decided(
        self,
        mut step: BoxFuture<'static, Step>,
    ) -> dozen_dataplane::Decision<Ticket> {
        loop {
            let answer = step.await;
            let (draft, decision) = self.case.look(|case| {
                let mut draft = Draft::new(case.target());
                let decision = self.snapshot.decide(case, answer, &mut draft.outgoing());
                (draft, decision)
            });
            match decision.what {
                What::Wait(next) => step = next,
                what => return self.made(draft, Decision { what, ..decision }),
            }
        }
    }

    fn made(self, draft: Draft, decision: Decision) -> dozen_dataplane::Decision<Ticket> {
        let Self { door, snapshot, mut ticket, random, .. } = self;
        let Decision { standing, what, around, pass, refused } = decision;
        ticket.service = what.service(standing.as_ref());
        let measure = standing.as_ref().map_or(&snapshot.unrouted, |standing| &standing.measure);
        if !Arc::ptr_eq(measure, &ticket.measure) {
            ticket.measure.hand_over();
            measure.begin();
            ticket.measure = measure.clone();
        }
        refused.iter().for_each(|refused| measure.refuse(refused.reason));
        let route = standing.as_ref().map(|standing| &standing.route.name);
        door.journal.decided(ticket.mark, route, ticket.service.as_ref());
        (ticket.standing, ticket.pass, ticket.refused) = (standing, pass, refused);
        ticket.around = around;
        draft.decide(door.settle(what, random, ticket))
    }
}

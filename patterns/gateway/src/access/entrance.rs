//! The way into one route: who asks, whether they may, how often and how much at once.

use std::collections::HashMap;
use std::sync::Arc;

use dozen_dataplane::Outgoing;
use futures::future::BoxFuture;

use super::{ClientsOptions, Plan};
use crate::auth::{Check, Guard, Identity, Reason, Refusal, View};
use crate::limit::{Decision, InFlight, Limiter, Permit, Policy, Priority, Shedder, fields};

/// The way into one route.
#[derive(Debug)]
pub struct Entrance {
    pub(super) clients: Option<ClientsOptions>,
    pub(super) guard: Option<Arc<Guard>>,
    /// The guard without its rule, and without the right to refuse somebody who shows nothing.
    pub(super) asker: Option<Arc<Guard>>,
    pub(super) early: Vec<Arc<Limiter>>,
    pub(super) late: Vec<Arc<Limiter>>,
    pub(super) in_flight: Option<Arc<InFlight>>,
    pub(super) priority: Priority,
    pub(super) plans: Arc<HashMap<Arc<str>, Plan>>,
    pub(super) shedder: Option<Arc<Shedder>>,
}

/// Whether a request passes.
pub enum Admission {
    /// It is known.
    Now(Result<Pass, Refusal>),
    /// Somebody is asked first.
    Later(BoxFuture<'static, Result<Pass, Refusal>>),
}

/// What was counted of a request before it was known which route takes it. Limits that are in it are not asked again.
#[derive(Clone, Debug, Default)]
pub struct Counted(Vec<(Arc<Limiter>, Decision)>);

/// What a request that passed takes with it. Dropping it gives its places back.
#[derive(Debug, Default)]
pub struct Pass {
    /// Who asks; nobody in particular on a route that does not ask.
    pub identity: Arc<Identity>,
    /// How much it matters: by its plan, or else by its route.
    pub(crate) priority: Priority,
    counted: Counted,
    permits: Vec<Permit>,
}

impl Pass {
    /// Tells the service who asks.
    pub fn add_to(&self, outgoing: &mut Outgoing<'_>) {
        self.identity.add_to(outgoing);
    }

    /// Tells the client what is left: `ratelimit` and `ratelimit-policy`.
    pub fn response_fields(&self) -> Vec<(&'static str, String)> {
        self.counted.fields()
    }

    fn count(&mut self, limits: &[Arc<Limiter>], view: &View<'_>) -> Result<(), Refusal> {
        self.counted.count(limits, view, &self.identity)
    }
}

impl Counted {
    fn fields(&self) -> Vec<(&'static str, String)> {
        let limits: Vec<(&Policy, Decision)> =
            self.0.iter().map(|(limit, decision)| (&limit.policy, *decision)).collect();
        fields(&limits)
    }

    fn count(
        &mut self,
        limits: &[Arc<Limiter>],
        view: &View<'_>,
        identity: &Identity,
    ) -> Result<(), Refusal> {
        for limit in limits {
            if self.0.iter().any(|(known, _)| Arc::ptr_eq(known, limit)) {
                continue;
            }
            let decision = limit.take(view, identity).map_err(Refusal::of)?;
            self.0.push((limit.clone(), decision));
            if !decision.passes {
                return Err(Refusal { fields: self.fields(), ..Refusal::of(Reason::Limited) });
            }
        }
        Ok(())
    }
}

impl Entrance {
    /// Finds out who asks, and does not yet decide whether they may: a request with a credential that does not hold is
    /// refused, one without is nobody's. What can be counted without knowing who asks is counted first, so that nobody
    /// can try credentials faster here than elsewhere; [`Self::admit`] takes it over.
    pub fn identify(&self, view: &View<'_>) -> (Counted, Check) {
        let mut counted = Counted::default();
        if !self.is_open_to(view) {
            return (counted, Check::refused(Reason::Address));
        }
        if let Err(refusal) = counted.count(&self.early, view, &Identity::default()) {
            return (counted, Check::Now(Err(refusal)));
        }
        let nobody = || Check::Now(Ok(Arc::default()));
        (counted, self.asker.as_ref().map_or_else(nobody, |asker| asker.check(view)))
    }

    /// Whether somebody at the client's address may come here at all.
    fn is_open_to(&self, view: &View<'_>) -> bool {
        self.clients.as_ref().is_none_or(|clients| clients.admit(view.address))
    }

    /// Decides about a request, or says that it has to ask. Counts it where it passes, except by limits that have
    /// `counted` it already; a later refusal does not give back what an earlier limit counted.
    pub fn admit(self: &Arc<Self>, view: &View<'_>, counted: Counted) -> Admission {
        if !self.is_open_to(view) {
            return Admission::Now(Err(Refusal::of(Reason::Address)));
        }
        let mut pass = Pass { counted, ..Pass::default() };
        if let Err(refusal) = pass.count(&self.early, view) {
            return Admission::Now(Err(refusal));
        }
        let identity = match self.guard.as_ref().map(|guard| guard.check(view)) {
            None => Ok(Arc::default()),
            Some(Check::Now(identity)) => identity,
            Some(Check::Later(identity)) => {
                let (entrance, kept) = (self.clone(), view.keep());
                return Admission::Later(Box::pin(async move {
                    pass.identity = identity.await?;
                    kept.look(|view| entrance.enter(pass, view))
                }));
            }
        };
        Admission::Now(identity.and_then(|identity| {
            pass.identity = identity;
            self.enter(pass, view)
        }))
    }

    fn enter(&self, pass: Pass, view: &View<'_>) -> Result<Pass, Refusal> {
        let consumer = pass.identity.consumer.clone();
        self.entered(pass, view).map_err(|refusal| Refusal { consumer, ..refusal })
    }

    fn entered(&self, mut pass: Pass, view: &View<'_>) -> Result<Pass, Refusal> {
        let plan = pass.identity.consumer.as_ref().and_then(|consumer| consumer.plan.as_ref());
        let plan = plan.and_then(|plan| self.plans.get(plan));
        if let Some(plan) = plan {
            pass.count(&plan.limits, view)?;
        }
        pass.count(&self.late, view)?;
        let of_plan = plan.and_then(|plan| plan.in_flight.as_ref());
        for places in of_plan.into_iter().chain(&self.in_flight) {
            let permit = places.enter(view, &pass.identity);
            pass.permits.push(permit.ok_or_else(|| Refusal { status: 429, ..Refusal::busy() })?);
        }
        pass.priority = plan.and_then(|plan| plan.priority).unwrap_or(self.priority);
        if let Some(shedder) = &self.shedder {
            pass.permits.push(shedder.enter(pass.priority).ok_or_else(Refusal::busy)?);
        }
        Ok(pass)
    }

    /// Whether a header of the client's is kept from the service: those that only the gateway writes, on every route, and
    /// credentials that are the gateway's business.
    pub fn strips(&self, name: &str) -> bool {
        self.guard.as_ref().map_or_else(|| Identity::owns(name), |guard| guard.strips(name))
    }
}

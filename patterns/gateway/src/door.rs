//! What the HTTP engine asks of the gateway, request by request.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use dozen_core::{Ids, TraceContext};
use dozen_dataplane::{
    Answered, Changes, Forward, Handler, Incoming, Outcome, Outgoing, Reply, Serving, Upstream, Upstreams,
    Verdict,
};

use crate::access_log::{AccessLog, Ending, Line};
use crate::asked::{Asked, Claims, Headers};
use crate::auth::Callers;
use crate::compose::Composition;
use crate::decide::{Amendment, Case, Decision};
use crate::log::{Begun, Mark};
use crate::measure::Measure;
use crate::snapshot::{Snapshot, Standing};
use crate::{RequestLog, forwarded};

/// Decides for each request, on the thread of its worker.
pub(crate) struct Door {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) turn: Mutex<()>,
    pub(crate) upstreams: Upstreams,
    pub(crate) callers: Arc<Callers>,
    pub(crate) ids: Ids,
    pub(crate) journal: Arc<RequestLog>,
    pub(crate) access: Option<AccessLog>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

/// What is remembered of a request until it ends.
pub(crate) struct Ticket {
    mark: Mark,
    standing: Option<Arc<Standing>>,
    measure: Arc<Measure>,
    service: Option<Arc<str>>,
    line: Option<Line>,
    amendment: Option<Amendment>,
}

impl Door {
    fn upstream(&self, standing: &Standing, at: usize, service: &str) -> Option<Arc<Upstream>> {
        let known = standing.upstreams.get(at)?;
        if let Some(upstream) = known.get() {
            return Some(upstream.clone());
        }
        let upstream = self.upstreams.get(service)?;
        Some(known.get_or_init(|| upstream).clone())
    }

    fn trusts(snapshot: &Snapshot, request: &Incoming<'_>) -> bool {
        let trusted = &snapshot.options.trusted;
        !trusted.is_empty() && trusted.contains(&request.peer.ip().to_canonical())
    }

    /// The trace that the request belongs to: the client's, if it sent one that can be read.
    fn trace(&self, request: &Incoming<'_>) -> TraceContext {
        let sent = request.field("traceparent").and_then(|value| std::str::from_utf8(value).ok());
        match sent.and_then(|text| text.parse::<TraceContext>().ok()) {
            Some(sent) => sent.child(&self.ids),
            None => TraceContext::start(&self.ids),
        }
    }
}

impl Handler for Door {
    type Ticket = Ticket;

    fn begin(&self, request: &Incoming<'_>, outgoing: &mut Outgoing<'_>) -> Verdict<Ticket> {
        let snapshot = self.snapshot.load();
        let (trace, now, random) = (self.trace(request), self.ids.clock().now(), self.ids.random());
        let is_trusted = Self::trusts(&snapshot, request);
        let asked = Asked {
            method: request.head.method,
            scheme: if is_trusted { forwarded::scheme(request) } else { "http" },
            host: request.head.host,
            path: request.path,
            query: request.query,
            headers: Headers::Wire(request.head.fields),
            claims: Claims::NotYet,
            consumer: None,
            address: forwarded::client(request, &snapshot.options.trusted),
        };
        let decision = snapshot.decide(&Case { asked, now, random, is_trusted }, outgoing);
        let (standing, at) = match &decision {
            Decision::Forward { standing, at, .. } => (Some(*standing), Some(*at)),
            Decision::Compose { standing, .. } => (Some(*standing), None),
            Decision::Reply { standing, .. } => (*standing, None),
        };
        let service = standing.zip(at).and_then(|(standing, at)| standing.route.services().nth(at));
        let service = service.map(|(service, _)| service);
        let measure = standing.map_or(&snapshot.unrouted, |standing| &standing.measure);
        measure.begin();
        let begun = Begun {
            trace: trace.trace_id,
            time: now,
            method: request.head.method,
            path: request.path,
            route: standing.map(|standing| &standing.route.name),
            service,
        };
        let mut ticket = Ticket {
            mark: self.journal.begin(request.worker, &begun),
            standing: standing.cloned(),
            measure: measure.clone(),
            service: service.cloned(),
            line: self.access.as_ref().map(|log| log.begin(now, trace.trace_id, &asked)),
            amendment: None,
        };
        let (standing, at) = match decision {
            Decision::Forward { standing, at, amendment } => {
                ticket.amendment = amendment;
                (standing, at)
            }
            Decision::Compose { standing, plan, given, amendment } => {
                ticket.amendment = amendment;
                forwarded::add(request, is_trusted, outgoing);
                outgoing.add("traceparent", &forwarded::trace_text(&trace));
                let find = |service: &str| self.upstreams.get(service);
                let (callers, ids) = (self.callers.clone(), self.ids.clone());
                let composition = Composition::new(plan, given, find, callers, ids);
                let (body_max, total) = (standing.route.body_max, standing.route.total);
                return Verdict::Serve(Serving { service: Arc::new(composition), body_max, total, ticket });
            }
            Decision::Reply { reply, .. } => return Verdict::Reply(reply, ticket),
        };
        let Some(upstream) = service.and_then(|service| self.upstream(standing, at, service)) else {
            return Verdict::Reply(Reply::new(503, "the service is not available at the moment"), ticket);
        };
        forwarded::add(request, is_trusted, outgoing);
        outgoing.add("traceparent", &forwarded::trace_text(&trace));
        let route = &standing.route;
        Verdict::Forward(Forward {
            upstream,
            random,
            body_max: route.body_max,
            timeout: route.timeout,
            total: route.total,
            cutoff: standing.cutoffs.get(at).cloned(),
            transport: None,
            websocket: None,
            ticket,
        })
    }

    fn end(&self, ticket: Ticket, outcome: &Outcome<'_>) {
        let Ticket { mark, standing, measure, service, line, amendment: _ } = ticket;
        self.journal.end(mark, outcome);
        measure.end(outcome);
        if let (Some(log), Some(line)) = (&self.access, line) {
            let route = standing.as_ref().map(|standing| &*standing.route.name);
            log.end(line, &Ending { route, service: service.as_deref(), consumer: None, outcome });
        }
    }

    fn strips_from_request(&self, request: &Incoming<'_>, name: &str) -> bool {
        forwarded::is_replaced(name, || Self::trusts(&self.snapshot.load(), request))
    }

    fn strips_from_response(&self, name: &str) -> bool {
        forwarded::reveals(name)
    }

    fn amend(&self, ticket: &mut Ticket, answer: &Answered<'_>, changes: &mut Changes) {
        if let (Some(amendment), Some(standing)) = (&ticket.amendment, &ticket.standing) {
            amendment.amend(&standing.route, answer, changes);
        }
    }
}

//! What the HTTP engine asks of the gateway, request by request.
//!
//! A decision that waits for somebody takes a copy of its request along and comes back later; see [`Waiting`].

use std::sync::{Arc, Mutex, Weak};

use arc_swap::ArcSwap;
use dozen_core::{Ids, TraceContext};
use dozen_dataplane::resilience::Priority;
use dozen_dataplane::{
    Answered, Around, Changes, Forward, Handler, Incoming, Outcome, Outgoing, Reply, Serving, Trail,
    Upstream, Upstreams, Verdict, nested,
};

use crate::access::Pass;
use crate::access_log::{AccessLog, Ending, Line};
use crate::amendment::Amendment;
use crate::asked::{Asked, Claims, Headers};
use crate::auth::Callers;
use crate::calling::Calling;
use crate::case::Case;
use crate::compose::{Composition, Given, Plan};
use crate::decide::{Decision, Refused, Step, What};
use crate::feature::{self, Way, Witness};
use crate::log::{Begun, Mark};
use crate::measure::Measure;
use crate::snapshot::{Snapshot, Standing};
use crate::spans::{self, Recording};
use crate::waiting::Waiting;
use crate::{Keeper, RequestLog, forwarded};

/// Decides for each request, on the thread of its worker.
pub(crate) struct Door {
    pub(crate) me: Weak<Self>,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) turn: Mutex<()>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) calling: Arc<Calling>,
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
    pub(crate) mark: Mark,
    pub(crate) standing: Option<Arc<Standing>>,
    pub(crate) measure: Arc<Measure>,
    pub(crate) service: Option<Arc<str>>,
    line: Option<Line>,
    amendment: Option<Amendment>,
    /// What stands around the exchange, until it begins.
    pub(crate) around: Option<Arc<dyn Around>>,
    witness: Option<Box<dyn Witness>>,
    /// Gives its places back when the request has ended.
    pub(crate) pass: Option<Pass>,
    pub(crate) refused: Option<Refused>,
    recording: Option<Arc<Recording>>,
}

impl Ticket {
    /// How much its request matters to a service that is busy.
    fn priority(&self) -> Priority {
        self.pass.as_ref().map_or_else(Priority::default, |pass| pass.priority.of_service())
    }

    /// Who hears of each attempt.
    fn trail(&self) -> Option<Arc<dyn Trail>> {
        self.recording.clone().map(|recording| recording as Arc<dyn Trail>)
    }

    /// Another for the same request, which is not decided upon.
    fn again(&self) -> Self {
        Self {
            mark: self.mark,
            standing: self.standing.clone(),
            measure: self.measure.clone(),
            service: None,
            line: self.line.clone(),
            amendment: None,
            around: None,
            witness: None,
            pass: None,
            refused: None,
            recording: self.recording.clone(),
        }
    }
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

    /// Turns a decision into what the engine does. A decision that still waits is none; nobody passes by it.
    pub(crate) fn settle(&self, what: What, random: u64, mut ticket: Ticket) -> Verdict<Ticket> {
        let at = match what {
            What::Reply(reply) => return Verdict::Reply(reply, ticket),
            What::Compose(plan, given, amendment) => {
                ticket.amendment = amendment;
                return self.compose(plan, given, ticket);
            }
            What::Feature(way, amendment) => {
                ticket.amendment = amendment;
                return self.escorted(way, random, ticket);
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
    fn escorted(&self, way: Way, random: u64, mut ticket: Ticket) -> Verdict<Ticket> {
        let Way { service, escort, witness, .. } = way;
        ticket.witness = witness;
        let found = ticket.standing.as_ref().map(|standing| standing.route.clone());
        let Some((route, upstream)) = found.zip(self.upstreams.get(&service)) else {
            return Verdict::Reply(Reply::new(503, "the service is not available at the moment"), ticket);
        };
        let shaping = ticket.around.take();
        Verdict::Forward(Forward {
            transport: upstream.transport(),
            upstream,
            random,
            key: None,
            priority: ticket.priority(),
            body_max: route.body_max,
            timeout: route.timeout,
            total: route.total,
            cutoff: None,
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
        let around = ticket.around.take();
        Verdict::Serve(Serving { service: Arc::new(composition), around, body_max, total, ticket })
    }

    fn trusts(snapshot: &Snapshot, request: &Incoming<'_>) -> bool {
        let trusted = &snapshot.options.trusted;
        !trusted.is_empty() && trusted.contains(&request.peer.ip().to_canonical())
    }

    /// The step of the client, if it sent one that can be read.
    fn sent(request: &Incoming<'_>) -> Option<TraceContext> {
        let sent = request.field("traceparent").and_then(|value| std::str::from_utf8(value).ok());
        sent.and_then(|text| text.parse().ok())
    }
}

impl Handler for Door {
    type Ticket = Ticket;

    fn begin(&self, request: &Incoming<'_>, outgoing: &mut Outgoing<'_>) -> Verdict<Ticket> {
        let snapshot = self.snapshot.load();
        let (now, random) = (self.ids.clock().now(), self.ids.random());
        let is_trusted = Self::trusts(&snapshot, request);
        let asked = Asked {
            method: request.head.method,
            scheme: forwarded::scheme(request, is_trusted),
            host: request.head.host,
            path: request.path,
            query: request.query,
            headers: Headers::Wire(request.head.fields),
            claims: Claims::NotYet,
            consumer: None,
            address: forwarded::client(request, &snapshot.options.trusted),
        };
        let (sent, recorder) = (Self::sent(request), self.keeper.recorder());
        let spans::Begun { trace, passed, recording } =
            spans::Begun::new(recorder, &self.ids, sent, request, &asked, now);
        let (worker, started) = (request.worker, request.started);
        let case = Case { asked, worker, now, started, random, is_trusted };
        let Decision { standing, what, around, pass, refused } =
            snapshot.decide(&case, Step::Begin, outgoing);
        let service = what.service(standing.as_ref());
        let measure = standing.as_ref().map_or(&snapshot.unrouted, |standing| &standing.measure).clone();
        measure.begin();
        refused.iter().for_each(|refused| measure.refuse(refused.reason));
        let begun = Begun {
            trace: trace.trace_id,
            time: now,
            method: request.head.method,
            path: request.path,
            route: standing.as_ref().map(|standing| &standing.route.name),
            service: service.as_ref(),
        };
        let mark = self.journal.begin(worker, &begun);
        let line = self.access.as_ref().map(|log| log.begin(now, trace.trace_id, &asked));
        let (amendment, witness) = (None, None);
        let ticket = Ticket {
            mark,
            standing,
            measure,
            service,
            line,
            amendment,
            around,
            witness,
            pass,
            refused,
            recording,
        };
        if !matches!(what, What::Reply(_)) {
            // Said before anybody is asked, so that a decision that comes later need not say it.
            snapshot.withheld.iter().for_each(|name| outgoing.remove(name));
            forwarded::add(request, is_trusted, outgoing);
            outgoing.add("traceparent", &forwarded::trace_text(&passed));
        }
        let step = match what {
            What::Wait(step) => step,
            what => return self.settle(what, random, ticket),
        };
        let Some(door) = self.me.upgrade() else { return self.settle(What::Wait(step), random, ticket) };
        let snapshot = Arc::clone(&*snapshot);
        let waiting = Waiting { door, snapshot, case: case.keep(), random, ticket: ticket.again() };
        Verdict::Later(Box::pin(waiting.decided(step)), ticket)
    }

    fn end(&self, ticket: Ticket, outcome: &Outcome<'_>) {
        let Ticket { mark, standing, measure, service, line, witness, pass, refused, recording, .. } = ticket;
        if let Some(witness) = witness {
            witness.ended(feature::Ended::of(outcome), outcome.elapsed);
        }
        self.journal.end(mark, outcome);
        measure.end(outcome);
        let passed = pass.as_ref().and_then(|pass| pass.identity.consumer.as_ref());
        let consumer = passed.or(refused.as_ref().and_then(|refused| refused.consumer.as_ref()));
        let consumer = consumer.map(|consumer| &*consumer.name);
        if let Some(recording) = recording {
            let route = standing.as_ref().map(|standing| (&*standing.route.name, &standing.route.path));
            recording.end(&spans::End { route, service: service.as_deref(), consumer, outcome });
        }
        if let (Some(log), Some(line)) = (&self.access, line) {
            let route = standing.as_ref().map(|standing| &*standing.route.name);
            let refused = refused.as_ref().map(|refused| refused.reason.label());
            let service = service.as_deref();
            log.end(line, &Ending { route, service, consumer, refused, outcome });
        }
    }

    fn strips_from_request(&self, request: &Incoming<'_>, name: &str) -> bool {
        forwarded::is_replaced(name, || Self::trusts(&self.snapshot.load(), request))
    }

    fn strips_from_response(&self, name: &str) -> bool {
        forwarded::reveals(name)
    }

    fn amend(&self, ticket: &mut Ticket, answer: &Answered<'_>, changes: &mut Changes) {
        if let Some(witness) = &ticket.witness {
            feature::rewrite(&**witness, answer, changes);
        }
        if let (Some(amendment), Some(standing)) = (&ticket.amendment, &ticket.standing) {
            amendment.amend(&standing.route, answer, changes);
        }
    }
}

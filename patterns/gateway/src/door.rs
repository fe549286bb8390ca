//! What the HTTP engine asks of the gateway, request by request.
//!
//! A decision that waits for somebody takes a copy of its request along and comes back later; see [`Waiting`].

mod settle;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, Weak};

use arc_swap::ArcSwap;
use dozen_core::{Ids, TraceContext};
use dozen_dataplane::resilience::Priority;
use dozen_dataplane::{
    Answered, Around, AttemptCount, Changes, Handler, Incoming, Outcome, Outgoing, Trail, Upstreams, Verdict,
};

use crate::access::Pass;
use crate::access_log::{AccessLog, Ending, Line, Opening};
use crate::amendment::Amendment;
use crate::asked::{Asked, Claims, Headers};
use crate::auth::Callers;
use crate::calling::Calling;
use crate::case::Case;
use crate::decide::{Decision, Refused, Step, What};
use crate::feature::{self, Witness};
use crate::log::{Begun, Mark};
use crate::measure::Measure;
use crate::snapshot::{Snapshot, Standing};
use crate::spans::{self, Recording};
use crate::waiting::Waiting;
use crate::{Keeper, RequestLog, forwarded, network};

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
    /// Whether what the caller says of others is believed.
    is_trusted: bool,
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
    /// The attempts of a composition's calls.
    calls: Option<AttemptCount>,
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
            is_trusted: self.is_trusted,
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
            calls: None,
        }
    }
}

impl Door {
    fn trusts(snapshot: &Snapshot, request: &Incoming<'_>) -> bool {
        network::any(&snapshot.options.trusted, request.peer.ip())
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
        let (tls, is_whole, trace_of) = (request.tls, request.is_whole, Some(trace));
        let case = Case { asked, worker, now, started, random, is_trusted, is_whole, tls, trace: trace_of };
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
        let client = request.tls.and_then(|session| session.client.as_ref());
        let opening =
            Opening { time: now, trace: trace.trace_id, asked: &asked, version: request.version, client };
        let line = self.access.as_ref().map(|log| log.begin(&opening));
        let (amendment, witness) = (None, None);
        let ticket = Ticket {
            mark,
            is_trusted,
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
            calls: None,
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
        let Ticket {
            mark, standing, measure, service, line, witness, pass, refused, recording, calls, ..
        } = ticket;
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
            let attempts = calls.map_or(outcome.attempts, |calls| calls.get());
            log.end(line, &Ending { route, service, consumer, refused, attempts, outcome });
        }
    }

    fn strips_from_request(&self, ticket: &Ticket, name: &str) -> bool {
        forwarded::is_replaced(name, ticket.is_trusted)
    }

    fn connections_max(&self, address: IpAddr) -> Option<usize> {
        let options = &self.snapshot.load().options;
        // A proxy in front brings the connections of many.
        let is_limited = !network::any(&options.trusted, address);
        is_limited.then_some(options.connections_per_address.into())
    }

    fn strips_from_response(&self, name: &str) -> bool {
        forwarded::reveals(name)
    }

    fn amend(&self, ticket: &mut Ticket, answer: &Answered<'_>, changes: &mut Changes) {
        if let Some(witness) = &mut ticket.witness {
            feature::answered(&mut **witness, answer, changes);
        }
        if let (Some(amendment), Some(standing)) = (&ticket.amendment, &ticket.standing) {
            amendment.amend(&standing.route, answer, changes);
        }
    }
}

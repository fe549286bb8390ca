//! The gateway itself: decides, and lets the HTTP engine do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use dozen_core::{Ids, TraceContext};
use dozen_dataplane::{
    Answered, Changes, Ejection, Forward, Handler, Incoming, Outcome, Outgoing, Proxy, ProxyOptions, Reply,
    Resolve, Upstream, Upstreams, Verdict,
};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use tokio_util::sync::CancellationToken;

use crate::access::{AccessLog, Ending, Line};
use crate::asked::{Asked, Claims, Headers};
use crate::decide::{Amendment, Case, Decision};
use crate::diff::{diff, fixed};
use crate::log::{Begun, Mark};
use crate::measure::{Measure, Measured, UNROUTED};
use crate::snapshot::{Snapshot, Standing};
use crate::{Diff, Error, Explanation, Options, Question, RequestLog, forwarded};

/// A door that listens, and runs as a [`Service`].
#[derive(Debug)]
pub struct Gateway {
    proxy: Arc<Proxy<Door>>,
    door: Arc<Door>,
}

impl Gateway {
    /// Compiles the routes and listens; connections wait until it runs.
    ///
    /// `resolve` finds the endpoints of a service by its name. A service that it does not know yet is asked for again
    /// at its next request, so a gateway starts before its services.
    pub fn new(
        options: Options,
        resolve: Resolve,
        ids: Ids,
        journal: Arc<RequestLog>,
    ) -> Result<Self, Error> {
        let snapshot = Snapshot::new(options.clone(), None)?;
        let ejection =
            Ejection { failures: options.eject_after.max(1), base: options.eject_for, ..Ejection::default() };
        let defaults = ProxyOptions::default();
        let workers = options.workers.map_or(defaults.workers, usize::from);
        let door = Arc::new(Door {
            snapshot: ArcSwap::from_pointee(snapshot),
            turn: Mutex::new(()),
            upstreams: Upstreams::new(resolve, options.balance, ejection),
            ids,
            journal,
            access: options.access_log.as_ref().map(|log| AccessLog::new(log, workers)),
        });
        let proxy = ProxyOptions {
            setting: "gateway.listen".into(),
            workers,
            connections_max: options.connections_max.into(),
            head_max: options.head_max.into(),
            header_timeout: options.header_timeout,
            idle_timeout: options.idle_timeout,
            stall_timeout: options.stall_timeout,
            connect_timeout: options.connect_timeout,
            ..defaults
        };
        let proxy =
            Proxy::bind(options.listen, proxy, door.clone()).map_err(|source| Error::Listen { source })?;
        Ok(Self { proxy: Arc::new(proxy), door })
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.proxy.local_addr()
    }

    /// Takes over another configuration, all of it or nothing. Requests in flight keep the one that they began with;
    /// what is known of the endpoints, and the counters of routes that stay, stays. Only streams that the new routes
    /// have no place for are ended, each after the `stream-grace` of its route.
    ///
    /// What cannot change while it runs is refused, and so is everything with it.
    pub fn apply(&self, options: &Options) -> Result<Diff, Error> {
        // One at a time: each builds on what the one before has left.
        let _turn = self.door.turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = self.door.snapshot.load_full();
        let fixed = fixed(&before.options, options);
        if !fixed.is_empty() {
            return Err(Error::Fixed { what: fixed.join("`, `") });
        }
        let next = Snapshot::new(options.clone(), Some(&before))?;
        let diff = diff(&before.options, &next.options);
        let next = Arc::new(next);
        self.door.snapshot.store(next.clone());
        before.retire(&next);
        if let Some(log) = &self.door.access {
            log.reopen();
        }
        Ok(diff)
    }

    /// The configuration that holds for requests that begin now, and its number, counted up from 1.
    pub fn options(&self) -> (Options, u64) {
        let snapshot = self.door.snapshot.load();
        (snapshot.options.clone(), snapshot.revision)
    }

    /// What would become of a request at this moment.
    pub fn explain(&self, question: &Question<'_>) -> Explanation {
        self.door.snapshot.load().table.explain(question, Some(&self.door.upstreams))
    }

    /// What each route has done, in the order of the file; and last what no route took.
    pub fn measured(&self) -> Vec<Measured> {
        let snapshot = self.door.snapshot.load();
        let routes = snapshot.standings.iter().map(|one| one.measure.read(&one.route.name));
        routes.chain([snapshot.unrouted.read(&UNROUTED.into())]).collect()
    }

    /// Lines of the access log that were dropped because they could not be written in time.
    pub fn lines_dropped(&self) -> u64 {
        self.door.access.as_ref().map_or(0, AccessLog::dropped)
    }
}

#[async_trait]
impl Service for Gateway {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let Some(log) = &self.door.access else { return self.proxy.clone().run(stop, ready).await };
        let wrong = |source| Error::AccessLog { path: log.to().to_owned(), source };
        let out = log.open().await.map_err(wrong)?;
        let done = CancellationToken::new();
        let serving = async {
            let ended = self.proxy.clone().run(stop, ready).await;
            done.cancel();
            ended
        };
        // The last lines come with the last requests.
        let (ended, ()) = tokio::join!(serving, log.run(out, done.clone()));
        ended
    }
}

/// Decides for each request, on the thread of its worker.
struct Door {
    snapshot: ArcSwap<Snapshot>,
    turn: Mutex<()>,
    upstreams: Upstreams,
    ids: Ids,
    journal: Arc<RequestLog>,
    access: Option<AccessLog>,
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

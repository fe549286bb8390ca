//! The gateway itself: decides, and lets the HTTP engine do.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use dozen_core::{Ids, TraceContext};
use dozen_dataplane::{
    Ejection, Forward, Handler, Incoming, Outcome, Outgoing, Proxy, ProxyOptions, Reply, Resolve,
    ServicePolicy, Upstream, Upstreams, Verdict,
};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};

use crate::log::{Begun, Mark};
use crate::table::{Asked, Found};
use crate::{Error, Explanation, Options, RequestLog, RouteOptions, RouteTable, forwarded};

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
        let table = RouteTable::compile(&options.routes)?;
        let ejection =
            Ejection { failures: options.eject_after.max(1), base: options.eject_for, ..Ejection::default() };
        let usual = ServicePolicy { strategy: options.balance, ejection, ..ServicePolicy::default() };
        let door = Arc::new(Door {
            snapshot: ArcSwap::from_pointee(Snapshot::new(table)),
            upstreams: Upstreams::new(resolve, usual),
            ids,
            journal,
            trusted: options.trusted,
        });
        let defaults = ProxyOptions::default();
        let proxy = ProxyOptions {
            setting: "gateway.listen".into(),
            workers: options.workers.map_or(defaults.workers, usize::from),
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

    /// Replaces the routes, all or none. Requests in flight keep those that they began with; what is known of the
    /// endpoints stays.
    pub fn apply(&self, routes: &[RouteOptions]) -> Result<(), Error> {
        let table = RouteTable::compile(routes)?;
        self.door.snapshot.store(Arc::new(Snapshot::new(table)));
        Ok(())
    }

    /// What would become of a request at this moment.
    pub fn explain(&self, method: &str, url: &str, headers: &[(String, String)]) -> Explanation {
        self.door.snapshot.load().table.explain(method, url, headers, Some(&self.door.upstreams))
    }
}

#[async_trait]
impl Service for Gateway {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        self.proxy.clone().run(stop, ready).await
    }
}

/// One configuration.
struct Snapshot {
    table: RouteTable,
    /// For each route its service, from its first request on.
    upstreams: Vec<OnceLock<Arc<Upstream>>>,
}

impl Snapshot {
    fn new(table: RouteTable) -> Self {
        let upstreams = table.routes.iter().map(|_| OnceLock::new()).collect();
        Self { table, upstreams }
    }
}

/// Decides for each request, on the thread of its worker.
struct Door {
    snapshot: ArcSwap<Snapshot>,
    upstreams: Upstreams,
    ids: Ids,
    journal: Arc<RequestLog>,
    trusted: Vec<std::net::IpAddr>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    fn upstream(&self, snapshot: &Snapshot, at: usize) -> Option<Arc<Upstream>> {
        let known = snapshot.upstreams.get(at)?;
        if let Some(upstream) = known.get() {
            return Some(upstream.clone());
        }
        let upstream = self.upstreams.get(&snapshot.table.routes.get(at)?.service)?;
        Some(known.get_or_init(|| upstream).clone())
    }

    fn trusts(&self, request: &Incoming<'_>) -> bool {
        !self.trusted.is_empty() && self.trusted.contains(&request.peer.ip().to_canonical())
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
    type Ticket = Mark;

    fn begin(&self, request: &Incoming<'_>, outgoing: &mut Outgoing<'_>) -> Verdict<Mark> {
        let snapshot = self.snapshot.load();
        let trace = self.trace(request);
        let fields = |wanted: &str| {
            let wanted = wanted.to_owned();
            let all = request.head.fields.iter();
            all.filter(move |field| field.name.eq_ignore_ascii_case(&wanted)).map(|field| field.value)
        };
        let asked = Asked { method: request.head.method, query: request.query, fields };
        let found = snapshot.table.find(request.head.host, request.path, &asked);
        let route = match &found {
            Found::Route(hit) => Some((&hit.route.name, &hit.route.service)),
            _ => None,
        };
        let mark = self.journal.begin(
            request.worker,
            &Begun {
                trace: trace.trace_id,
                time: self.ids.clock().now(),
                method: request.head.method,
                path: request.path,
                route,
            },
        );
        let hit = match found {
            Found::Route(hit) => hit,
            Found::Method(allowed) => {
                let mut reply = Reply::new(405, "this path does not take this method");
                reply.fields.push(("allow", allowed.join(", ")));
                return Verdict::Reply(reply, mark);
            }
            Found::Nothing => return Verdict::Reply(Reply::new(404, "no route matches this request"), mark),
        };
        let Some(upstream) = self.upstream(&snapshot, hit.at) else {
            return Verdict::Reply(Reply::new(503, "the service is not available at the moment"), mark);
        };
        hit.rewrite(request.path, request.query, outgoing.target);
        forwarded::add(request, self.trusts(request), outgoing);
        outgoing.add("traceparent", &forwarded::trace_text(&trace));
        let hit = hit.route;
        Verdict::Forward(Forward {
            body_max: hit.body_max,
            timeout: hit.timeout,
            total: hit.total,
            ..Forward::new(upstream, self.ids.random(), mark)
        })
    }

    fn end(&self, mark: Mark, outcome: &Outcome<'_>) {
        self.journal.end(mark, outcome);
    }

    fn strips_from_request(&self, request: &Incoming<'_>, name: &str) -> bool {
        forwarded::is_replaced(name, self.trusts(request))
    }

    fn strips_from_response(&self, name: &str) -> bool {
        forwarded::reveals(name)
    }
}

//! The gateway itself: decides, and lets the HTTP engine do.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use dozen_core::Ids;
use dozen_dataplane::{BodyRate, Caller, Client, Probes, Proxy, ProxyOptions, Resolve, ServiceView};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use tokio_util::sync::CancellationToken;

use crate::access_log::AccessLog;
use crate::calling::Calling;
use crate::diff::{diff, fixed};
use crate::door::Door;
use crate::measure::{Measured, UNROUTED};
use crate::snapshot::Snapshot;
use crate::to_https::ToHttps;
use crate::{AcmeView, Diff, Error, Explanation, Features, Keeper, Options, Question, RequestLog};

/// A door that listens, and runs as a [`Service`].
#[derive(Debug)]
pub struct Gateway {
    proxy: Arc<Proxy<Door>>,
    door: Arc<Door>,
    /// Answers in plain HTTP with the way to TLS, where that is asked for.
    to_https: Option<Arc<Proxy<ToHttps>>>,
    /// Whether its keeper runs with it, because nobody else has it.
    runs_keeper: bool,
}

/// What changes together with a configuration.
#[derive(Default)]
pub struct Beside<'b> {
    /// Who says where requests of features go; without it, who has said so before.
    pub features: Option<Arc<dyn Features>>,
    /// Services whose place is taken by others of their name, or by nobody. A request that has begun ends with the one
    /// that was there: its endpoints, its policy, its transport.
    pub parted: Vec<String>,
    /// Done in the same moment.
    pub meanwhile: Option<Box<dyn FnOnce() + 'b>>,
}

/// A configuration that was taken over.
#[derive(Debug)]
pub struct Applied {
    /// What it changed.
    pub diff: Diff,
    before: CancellationToken,
}

impl Applied {
    /// Returns when no request is being decided upon any more by what held before: each knows then which service it
    /// goes to. That takes no time, unless one waits for somebody who says who is asking.
    pub async fn settled(&self) {
        self.before.cancelled().await;
    }
}

impl Gateway {
    /// Compiles the routes and listens; connections wait until it runs. It has a [`Keeper`] of its own, without a store.
    ///
    /// `resolve` finds the endpoints of a service by its name. A service that it does not know yet is asked for again
    /// at its next request, so a gateway starts before its services.
    pub fn new(
        options: Options,
        resolve: Resolve,
        ids: Ids,
        journal: Arc<RequestLog>,
    ) -> Result<Self, Error> {
        let keeper = Keeper::new(None, ids.clone());
        let calling = Calling::new(resolve, options.services.clone(), options.usual.clone())?;
        Ok(Self { runs_keeper: true, ..Self::beside(keeper, options, calling, ids, journal)? })
    }

    /// The same beside a keeper that is run by somebody else: keys are fetched and limits shared while it runs. Services
    /// are called through `calling`, with whoever else calls them.
    pub fn beside(
        keeper: Arc<Keeper>,
        options: Options,
        calling: Arc<Calling>,
        ids: Ids,
        journal: Arc<RequestLog>,
    ) -> Result<Self, Error> {
        let upstreams = calling.upstreams().clone();
        let caller = Caller::new(upstreams.clone(), Client::new(), ids.clone());
        let callers = keeper.ask_through(&caller);
        let snapshot = Snapshot::new(options.clone(), &keeper, None)?;
        calling.adopt(calling.prepare(&options)?, &options, &[], || ())?;
        let tls = calling.tls();
        let defaults = ProxyOptions::default();
        let sockets = keeper.sockets().cloned();
        let workers = options.workers.map_or(defaults.workers, usize::from);
        let door = Arc::new_cyclic(|me| Door {
            me: me.clone(),
            keeper,
            snapshot: ArcSwap::from_pointee(snapshot),
            turn: Mutex::new(()),
            upstreams,
            calling,
            callers,
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
            body_rate: NonZeroU32::new(options.body_rate_min)
                .map(|bytes_per_second_min| BodyRate { bytes_per_second_min, ..BodyRate::USUAL }),
            tls,
            sockets,
            ..defaults
        };
        let served = Proxy::bind(options.listen, proxy.clone(), door.clone());
        let served = served.map_err(|source| Error::Listen { source })?;
        let to_https = ToHttps::bind(&options, &proxy, served.local_addr().port())?;
        Ok(Self { proxy: Arc::new(served), door, to_https, runs_keeper: false })
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.proxy.local_addr()
    }

    /// The address where plain HTTP is answered with the way to TLS, if there is one.
    pub fn plain_addr(&self) -> Option<SocketAddr> {
        self.to_https.as_ref().map(|proxy| proxy.local_addr())
    }

    /// Takes over another configuration, all of it or nothing. Requests in flight keep the one that they began with;
    /// what is known of the endpoints, and the counters of routes that stay, stays. Only streams that the new routes
    /// have no place for are ended, each after the `stream-grace` of its route.
    ///
    /// What cannot change while it runs is refused, and so is everything with it.
    pub fn apply(&self, options: &Options) -> Result<Diff, Error> {
        self.apply_beside(options, Beside::default()).map(|applied| applied.diff)
    }

    /// The same with what changes beside it: once all has been judged, and before the first request of the new
    /// configuration. An error leaves that as it was, too.
    pub fn apply_beside(&self, options: &Options, beside: Beside<'_>) -> Result<Applied, Error> {
        // One at a time: each builds on what the one before has left.
        let _turn = self.door.turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = self.door.snapshot.load_full();
        let fixed = fixed(&before.options, options);
        if !fixed.is_empty() {
            return Err(Error::Fixed { what: fixed.join("`, `") });
        }
        let mut next = Snapshot::new(options.clone(), &self.door.keeper, Some(&before))?;
        let prepared = self.door.calling.prepare(options)?;
        let Beside { features, parted, meanwhile } = beside;
        let meanwhile = || meanwhile.into_iter().for_each(|change| change());
        self.door.calling.adopt(prepared, options, &parted, meanwhile)?;
        if features.is_some() {
            next.features = features;
        }
        let diff = diff(&before.options, &next.options);
        let next = Arc::new(next);
        self.door.snapshot.store(next.clone());
        before.retire(&next);
        if let Some(log) = &self.door.access {
            log.reopen();
        }
        Ok(Applied { diff, before: before.over.clone() })
    }

    /// The configuration that holds for requests that begin now.
    pub fn options(&self) -> Arc<Options> {
        self.door.snapshot.load().options.clone()
    }

    /// Its number, counted up from 1.
    pub fn revision(&self) -> u64 {
        self.door.snapshot.load().revision
    }

    /// Asks the endpoints of services that are to be probed, while it runs.
    pub fn probes(&self) -> Arc<Probes> {
        Arc::new(Probes::new(self.door.upstreams.clone(), self.door.ids.clone()))
    }

    /// The services that it calls, as they stand, by name.
    pub fn services(&self) -> Vec<ServiceView> {
        self.door.upstreams.views()
    }

    /// What would become of a request at this moment.
    pub fn explain(&self, question: &Question<'_>) -> Explanation {
        self.door.snapshot.load().table.explain(question, Some(&self.door.upstreams))
    }

    /// What each route has done, in the order of the file; and last what no route took.
    pub fn measured(&self) -> Vec<Measured> {
        let snapshot = self.door.snapshot.load();
        let routes = snapshot.standings.iter().map(|one| one.measured());
        routes.chain([snapshot.unrouted.read(&UNROUTED.into())]).collect()
    }

    /// How it stands with the certificate of an authority, if it asks one.
    pub fn acme(&self) -> Option<AcmeView> {
        let calling = &self.door.calling;
        calling.asks().then(|| calling.standing().view())
    }

    /// Lines of the access log that were dropped because they could not be written in time.
    pub fn lines_dropped(&self) -> u64 {
        self.door.access.as_ref().map_or(0, AccessLog::dropped)
    }
}

impl Gateway {
    async fn serve(&self, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        tokio::select! {
            ended = self.serve_both(stop, ready) => ended,
            () = self.door.calling.watch() => Ok(()),
            () = self.obtain() => Ok(()),
        }
    }

    /// Never ends.
    async fn obtain(&self) {
        #[cfg(feature = "acme")]
        crate::acme::keep(&self.door.calling, &self.door.ids).await;
        #[cfg(not(feature = "acme"))]
        std::future::pending::<()>().await;
    }

    /// With whoever answers in plain HTTP, if there is one.
    async fn serve_both(&self, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        let Some(plain) = self.to_https.clone() else { return self.serve_logged(stop, ready).await };
        let sending_on = plain.run(stop.clone(), Ready::channel().0);
        tokio::try_join!(self.serve_logged(stop, ready), sending_on).map(drop)
    }

    async fn serve_logged(&self, stop: Stop, ready: Ready) -> Result<(), BoxError> {
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

#[async_trait]
impl Service for Gateway {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        if !self.runs_keeper {
            return self.serve(stop, ready).await;
        }
        let keeping = self.door.keeper.clone().run(stop.clone(), Ready::channel().0);
        let serving = self.serve(stop, ready);
        tokio::pin!(serving);
        // A keeper ends when the gateway shall stop; the gateway then still has requests to finish.
        tokio::select! {
            ended = &mut serving => return ended,
            ended = keeping => ended?,
        }
        serving.await
    }
}

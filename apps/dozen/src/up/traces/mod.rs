//! Traces: the steps of requests, on their way to a collector.
//!
//! ```text
//!  workers of the gateway ──try──► a queue, bounded ──► one task: gathers, sends a batch by OTLP over HTTP
//!                            │ full: the step is dropped, and counted
//! ```
//!
//! Nobody who serves a request waits for any of it, and no request fails of it. A collector that is away is asked again a few
//! times; what cannot be told by then is dropped, and counted, too. The log says so once, and again when it is there. Where the
//! file wants none, a request makes no steps.
//!
//! A trace that began elsewhere is kept if whoever began it says so (`traceparent`). Of those that begin here a share is kept, by
//! the trace's own number: every program that goes by it keeps the same ones.

mod otlp;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use dozen_core::span::{Recorder, Span};
use dozen_core::{Backoff, Ids};
use dozen_dataplane::{Body, Client, Transport};
use dozen_lifecycle::{BoxError, Ready, Service, Stop};
use dozen_metrics::{Collector, Page};
use http::{Request, header};
use tokio::sync::{Mutex, mpsc};
use tokio::time::{sleep, timeout};

use crate::config;

/// Steps that wait to be sent.
const QUEUE_MAX: usize = 8192;
/// Steps that are sent at once.
const BATCH: usize = 512;
/// How long they are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a batch is sent at most, and how long it waits in between.
const TRIES: u32 = 4;
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(500), cap: Duration::from_secs(5) };
/// The most of an answer that is read.
const ANSWER_MAX: usize = 64 * 1024;

/// Keeps steps, and sends them where the file says.
pub(super) struct Traces {
    /// The name of the application.
    service: String,
    wanted: ArcSwapOption<config::Traces>,
    queue: mpsc::Sender<Span>,
    queued: Mutex<mpsc::Receiver<Span>>,
    client: Client,
    ids: Ids,
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// What came of a batch.
enum Told {
    Taken,
    /// It may be taken later.
    Away(String),
    Refused(String),
}

impl Traces {
    pub(super) fn new(service: &str, wanted: Option<&config::Traces>, ids: &Ids) -> Arc<Self> {
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        Arc::new(Self {
            service: service.to_owned(),
            wanted: ArcSwapOption::from_pointee(wanted.cloned()),
            queue,
            queued: Mutex::new(queued),
            client: Client::new(),
            ids: ids.clone(),
            sent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    /// Takes over what a changed file says. Gives whether that is something else.
    pub(super) fn apply(&self, wanted: Option<&config::Traces>) -> bool {
        let before = self.wanted.swap(wanted.cloned().map(Arc::new));
        before.as_deref() != wanted
    }

    /// What it counts.
    pub(super) fn measured(self: &Arc<Self>) -> Arc<dyn Collector> {
        Arc::new(Measured(self.clone()))
    }

    fn lose(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Sends a batch until it is taken, or it cannot be. When all stops there is one try.
    async fn send(&self, batch: &[Span], stop: &Stop) -> Result<(), String> {
        let Some(wanted) = self.wanted.load_full() else { return Err("the file wants none any more".into()) };
        let document = otlp::document(&self.service, batch).to_string();
        let mut tries = 1;
        loop {
            let why = match timeout(PATIENCE, self.tell(&wanted, &document)).await {
                Ok(Told::Taken) => return Ok(()),
                Ok(Told::Refused(why)) => return Err(why),
                Ok(Told::Away(why)) => why,
                Err(_) => "the collector takes too long".into(),
            };
            if tries == TRIES || stop.is_stopping() {
                return Err(why);
            }
            tokio::select! {
                () = sleep(BACKOFF.delay(tries, self.ids.random())) => tries += 1,
                () = stop.soft.cancelled() => {}
            }
        }
    }

    async fn tell(&self, wanted: &config::Traces, document: &str) -> Told {
        let to = &wanted.to;
        let transport = match wanted.is_tls.then(Transport::web).transpose() {
            Ok(transport) => transport,
            Err(error) => return Told::Refused(dozen_core::chain(&error)),
        };
        let request = Request::post(otlp::PATH)
            .header(header::HOST, to)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(document.to_owned()));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Told::Refused(error.to_string()),
        };
        let answer = match self.client.over(transport).send(to, request, PATIENCE).await {
            Ok(answer) => answer,
            Err(error) => return Told::Away(dozen_core::chain(&error)),
        };
        let status = answer.status();
        // Read to its end, so that the connection can be used again.
        let _ = answer.into_body().collect(ANSWER_MAX).await;
        match status.as_u16() {
            200..=299 => Told::Taken,
            429 | 502..=504 => Told::Away(format!("the collector answers {status}")),
            _ => Told::Refused(format!("the collector answers {status}")),
        }
    }
}

impl Recorder for Traces {
    fn samples(&self, trace_id: u128, sent: Option<bool>) -> Option<bool> {
        let wanted = self.wanted.load();
        let percent = wanted.as_ref()?.sample_percent;
        Some(sent.unwrap_or_else(|| is_kept(trace_id, percent)))
    }

    fn record(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.lose(1);
        }
    }
}

/// Whether a trace is among so many of a hundred: by its last 56 bits, which are drawn by lot (W3C Trace Context level 2).
fn is_kept(trace_id: u128, percent: u8) -> bool {
    let drawn = trace_id & ((1 << 56) - 1);
    drawn * 100 >= u128::from(100 - percent.min(100)) << 56
}

#[async_trait]
impl Service for Traces {
    async fn run(self: Arc<Self>, stop: Stop, ready: Ready) -> Result<(), BoxError> {
        ready.ready();
        let mut queued = self.queued.lock().await;
        let mut batch = Vec::with_capacity(BATCH);
        let mut fails = false;
        loop {
            tokio::select! {
                _ = queued.recv_many(&mut batch, BATCH) => {}
                () = stop.soft.cancelled() => {}
            }
            let gathering = async {
                while batch.len() < BATCH {
                    let room = BATCH - batch.len();
                    queued.recv_many(&mut batch, room).await;
                }
            };
            tokio::select! { biased;
                () = gathering => {}
                () = stop.soft.cancelled() => {}
                () = sleep(GATHER) => {}
            }
            if !batch.is_empty() {
                match self.send(&batch, &stop).await {
                    Ok(()) => {
                        self.sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
                        if std::mem::take(&mut fails) {
                            tracing::info!("the collector of traces takes them again");
                        }
                    }
                    Err(why) => {
                        self.lose(batch.len());
                        if !std::mem::replace(&mut fails, true) {
                            tracing::warn!("traces are dropped, and requests go on: {why}");
                        }
                        if stop.is_stopping() {
                            return Ok(());
                        }
                    }
                }
                batch.clear();
            } else if stop.is_stopping() {
                return Ok(());
            }
        }
    }
}

struct Measured(Arc<Traces>);

#[async_trait]
impl Collector for Measured {
    fn name(&self) -> &'static str {
        "traces"
    }

    async fn collect(&self, page: &mut Page) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Traces { sent, dropped, .. } = &*self.0;
        page.counter("dozen_traces_spans_sent_total", "Steps of traces that the collector has taken.")
            .sample(&[], sent.load(Ordering::Relaxed) as f64);
        page.counter("dozen_traces_spans_dropped_total", "Steps of traces that could not be sent in time.")
            .sample(&[], dropped.load(Ordering::Relaxed) as f64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dozen_core::{SystemClock, TraceContext};

    use super::*;

    #[test]
    fn a_share_is_a_share_and_who_keeps_less_keeps_nothing_else() {
        let ids = Ids::new(Arc::new(SystemClock), 7);
        let traces: Vec<u128> = (0..10_000).map(|_| TraceContext::start(&ids).trace_id).collect();
        let kept = |percent: u8| traces.iter().filter(|trace| is_kept(**trace, percent)).count();
        assert_eq!((kept(0), kept(100)), (0, 10_000));
        assert!((800..1200).contains(&kept(10)), "{}", kept(10));
        assert!(traces.iter().all(|trace| !is_kept(*trace, 10) || is_kept(*trace, 50)));
    }

    #[test]
    fn who_began_a_trace_decides_and_nobody_does_where_the_file_wants_none() {
        let ids = Ids::new(Arc::new(SystemClock), 7);
        let wanted = config::Traces { to: "127.0.0.1:1".into(), is_tls: false, sample_percent: 0 };
        let traces = Traces::new("shop", Some(&wanted), &ids);
        assert_eq!((traces.samples(1, None), traces.samples(1, Some(true))), (Some(false), Some(true)));
        assert!(traces.apply(None) && !traces.apply(None));
        assert_eq!(traces.samples(1, Some(true)), None);
    }
}

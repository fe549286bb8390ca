//! One attempt: from a picked endpoint to the head of its answer.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Uri, header, uri};
use tokio::time::timeout;

use super::account::{failure_of, refusal_of};
use super::dial::{Unconnected, link, stream};
use super::forward::Call;
use super::paced::{Pace, Paced, Watched};
use super::pool::Key;
use super::{Failure, Handler};
use crate::attempts::{Answered, Ended, Failed};
use crate::client::{self, Connection, Outgoing};
use crate::framing::Refusal;
use crate::resilience::Cause;
use crate::{Body, BoxError, Error, Lease, Protocol, Transport, streams};

impl From<Unconnected> for Failed<Failure> {
    /// Other endpoints have been tried already.
    fn from((failure, lease): Unconnected) -> Self {
        Self { failure, cause: None, lease, is_told: true }
    }
}

impl Failed<Failure> {
    fn on(lease: Lease, failure: Failure) -> Self {
        let cause = match failure {
            Failure::Broken | Failure::Refused(_) => Some(Cause::Reset),
            Failure::TimedOut => Some(Cause::Timeout),
            _ => None,
        };
        Self { failure, cause, lease: Some(lease), is_told: false }
    }
}

impl<H: Handler> Call<H> {
    /// Makes one.
    pub(super) async fn one(&self) -> Ended<Failure> {
        let step = self.route.trail.as_ref().map(|trail| trail.begin(self.errand.tried.count() + 1));
        let trace = step.as_ref().map(|step| step.traceparent());
        let ended = self.told(trace.as_ref()).await;
        if let Some(step) = step {
            match &ended {
                Ok(Answered { response, lease }) => {
                    step.ended(Some(lease.address()), Ok(response.status().as_u16()));
                }
                Err(Failed { lease, failure, .. }) => {
                    step.ended(lease.as_ref().map(|lease| &**lease.address()), Err(*failure));
                }
            }
        }
        ended
    }

    /// Makes one that says so of its trace.
    async fn told(&self, trace: Option<&HeaderValue>) -> Ended<Failure> {
        let (worker, errand) = (&self.worker, &self.errand);
        let alarm = worker.ticker.alarm();
        let total = errand.deadline.map(|end| end.saturating_duration_since(std::time::Instant::now()));
        alarm.set_last(total);
        let wait = if errand.tried.count() == 0 { self.route.timeout } else { errand.left() };
        let pace = Arc::new(Pace::new(alarm, worker.options.stall_timeout, wait));
        let protocol = self.route.transport.as_ref().map_or(Protocol::Http1, |transport| transport.protocol);
        let ended = match protocol {
            Protocol::Http1 => self.over_http1(&pace, wait, trace).await,
            Protocol::Http2 => self.over_http2(&pace, wait, trace).await,
        };
        // If the request itself broke off, the endpoint could only do so, too.
        ended.map_err(|failed| match pace.refused() {
            Some(refusal) => Failed { failure: Failure::Request(refusal), cause: None, ..failed },
            None if self.route.is_hurried && errand.is_over() && failed.failure == Failure::TimedOut => {
                Failed { failure: Failure::NoTime, cause: None, ..failed }
            }
            None => failed,
        })
    }

    async fn over_http1(
        &self,
        pace: &Arc<Pace>,
        wait: Duration,
        trace: Option<&HeaderValue>,
    ) -> Ended<Failure> {
        let (worker, route) = (&self.worker, &self.route);
        let per_try = self.errand.per_try();
        let within = per_try.unwrap_or(wait);
        let mut outgoing = None;
        let mut replaced = false;
        loop {
            let (lease, link) = link(worker, route, &pace.alarm, &self.errand.tried, within).await?;
            let key = Key::new(&lease, route.transport.as_deref());
            let sending = match outgoing.take() {
                Some(sending) => sending,
                None => match self.written(pace, trace) {
                    Some(sending) => sending,
                    None => return Err(Failed::on(lease, Failure::Request(Refusal::Malformed))),
                },
            };
            let again = if link.is_kept && !replaced { sending.again() } else { None };
            let keeper = worker.clone();
            let keep = move |connection: Connection| {
                keeper.pool.put(key, connection.stream, keeper.ticker.now());
            };
            pace.alarm.set(wait);
            let connection = Connection::new(link.stream);
            let stall = worker.options.stall_timeout;
            let address = lease.address().clone();
            let exchanged = client::exchange(connection, sending, &address, stall, Box::new(keep));
            let exchanged = in_time(per_try, pace, exchanged).await;
            let is_untouched = matches!(&exchanged, Some(Err(failed)) if failed.untouched && again.is_some());
            if !is_untouched {
                self.errand.depart();
            }
            match exchanged {
                Some(Ok(response)) => return Ok(Answered { response, lease }),
                Some(Err(_)) if is_untouched => {
                    // It was dead before we wrote to it. The others that were kept are likely to be, too.
                    replaced = true;
                    outgoing = again;
                    self.errand.tried.take_back();
                    worker.pool.forget(key);
                }
                Some(Err(failed)) => return Err(Failed::on(lease, failure_in(failed.error))),
                None => return Err(Failed::on(lease, Failure::TimedOut)),
            }
        }
    }

    fn written(&self, pace: &Arc<Pace>, trace: Option<&HeaderValue>) -> Option<Outgoing> {
        Outgoing::new("", self.errand.request(trace, |body| Paced::around(body, pace))?).ok()
    }

    async fn over_http2(
        &self,
        pace: &Arc<Pace>,
        wait: Duration,
        trace: Option<&HeaderValue>,
    ) -> Ended<Failure> {
        let (worker, route) = (&self.worker, &self.route);
        let transport = route.transport.as_deref();
        let per_try = self.errand.per_try();
        let mut unsent = None;
        loop {
            let within = per_try.unwrap_or(wait);
            let (lease, mut stream) = stream(worker, route, &pace.alarm, &self.errand.tried, within).await?;
            let is_first = unsent.is_none();
            let made =
                || Some(addressed(self.errand.request(trace, |body| Paced::around(body, pace))?, transport));
            let Some(request) = unsent.take().or_else(made) else {
                return Err(Failed::on(lease, Failure::Request(Refusal::Malformed)));
            };
            pace.alarm.set(wait);
            match in_time(per_try, pace, stream.sender.try_send_request(request)).await {
                Some(Ok(response)) => {
                    self.errand.depart();
                    let stall = worker.options.stall_timeout;
                    let response = response.map(|body| Body::new(Watched::new(body, stall, stream)));
                    return Ok(Answered { response, lease });
                }
                Some(Err(mut error)) => match error.take_message() {
                    // It was never sent: the connection had ended.
                    Some(message) if stream.is_kept && is_first => {
                        unsent = Some(message);
                        self.errand.tried.take_back();
                        worker.streams.forget(&Key::new(&lease, transport), &stream);
                    }
                    unsent if unsent.is_some() || streams::is_unprocessed(error.error()) => {
                        // An end that goes away says so to those whom it does not serve any more. That is no fault of it.
                        worker.streams.forget(&Key::new(&lease, transport), &stream);
                        let (failure, cause) = (Failure::Broken, Some(Cause::Connect));
                        return Err(Failed { failure, cause, lease: Some(lease), is_told: true });
                    }
                    _ => {
                        self.errand.depart();
                        return Err(Failed::on(lease, Failure::Broken));
                    }
                },
                None => {
                    self.errand.depart();
                    return Err(Failed::on(lease, Failure::TimedOut));
                }
            }
        }
    }
}

/// `work`, unless the alarm goes off or one attempt has taken its time.
async fn in_time<T>(per_try: Option<Duration>, pace: &Pace, work: impl Future<Output = T>) -> Option<T> {
    let work = pace.alarm.bound(work);
    match per_try {
        None => work.await,
        Some(per_try) => timeout(per_try, work).await.unwrap_or(None),
    }
}

fn failure_in(error: Error) -> Failure {
    match error {
        Error::Body { source } => Failure::Request(refusal_of(&source).unwrap_or(Refusal::Truncated)),
        Error::Request { .. } => Failure::Request(Refusal::Malformed),
        other => failure_of(&(Box::new(other) as BoxError)),
    }
}

/// In HTTP/2 a request's target is its whole address; the host that the client asked for is its authority.
fn addressed(mut request: Request<Body>, transport: Option<&Transport>) -> Request<Body> {
    let host = request.headers_mut().remove(header::HOST);
    let is_tls = transport.is_some_and(Transport::is_tls);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(if is_tls { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
    let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    parts.authority = host.parse().ok();
    if parts.authority.is_none() {
        parts.authority = Some(uri::Authority::from_static("localhost"));
    }
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = http::Version::HTTP_2;
    request
}

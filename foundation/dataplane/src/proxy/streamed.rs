//! An answer's body on a stream of HTTP/2, whose end is reported.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep, sleep_until};

use super::account::{Account, failure_of};
use super::patience::Patience;
use super::tasks::{Progress, progress};
use super::worker::Worker;
use super::{Cutoff, Failure, Handler, answer, grpc};
use crate::{Body, BoxError};

/// How often an answer that says nothing is looked at for whether it is cut.
const LOOK: Duration = Duration::from_millis(250);

type Owned<H> = Account<H, Arc<Worker<H>>>;

/// What ends an answer before its time.
pub(super) struct Ends {
    /// Whether it may say little for long.
    pub(super) is_stream: bool,
    pub(super) deadline: Option<Instant>,
    /// What it is if the deadline comes first.
    pub(super) late: Failure,
    pub(super) cutoff: Option<Arc<Cutoff>>,
}

/// The waits for a client to take what there is for it.
struct Waits {
    patience: Patience,
    progress: Progress,
    since: u64,
}

impl Waits {
    fn for_nobody() -> Self {
        Self { patience: Patience::new(None, Duration::MAX), progress: Progress::default(), since: 0 }
    }

    /// So many bytes are handed over, and nothing more until they are taken.
    fn begin(&mut self, now: u64, bytes: usize) {
        self.patience.moved(bytes);
        self.since = now.max(1);
        let left = u64::try_from(self.patience.left().as_millis()).unwrap_or(u64::MAX);
        self.progress.store(self.since.saturating_add(left), Ordering::Relaxed);
    }

    /// They were taken.
    fn end(&mut self, now: u64) {
        if self.progress.swap(0, Ordering::Relaxed) != 0 {
            self.patience.waited(Duration::from_millis(now.saturating_sub(self.since)));
        }
    }
}

/// An answer's body that tells the handler how it ended.
pub(super) struct Reported<H: Handler> {
    body: Body,
    account: Option<Owned<H>>,
    deadline: Option<Pin<Box<Sleep>>>,
    late: Failure,
    /// Looked at now and then, while the answer goes on.
    cutoff: Option<(Arc<Cutoff>, Pin<Box<Sleep>>)>,
    waits: Waits,
    is_grpc: bool,
}

// Nothing in it is pinned where it stands.
impl<H: Handler> Unpin for Reported<H> {}

impl<H: Handler> Reported<H> {
    /// A body of which nobody has to hear the end.
    pub(super) fn alone(body: Body) -> Self {
        Self {
            body,
            account: None,
            deadline: None,
            late: Failure::TimedOut,
            cutoff: None,
            waits: Waits::for_nobody(),
            is_grpc: false,
        }
    }

    pub(super) fn new(
        body: Body,
        mut account: Owned<H>,
        ends: Ends,
        is_grpc: bool,
        worker: &Arc<Worker<H>>,
    ) -> Self {
        let status = account.status.unwrap_or(200);
        if body.is_end_stream() {
            account.answered(status);
            return Self::alone(body);
        }
        let rate = worker.options.body_rate.filter(|_| !ends.is_stream);
        let mut waits =
            Waits { patience: Patience::new(rate, worker.options.stall_timeout), ..Waits::for_nobody() };
        waits.progress = progress();
        waits.begin(worker.ticker.now(), 0);
        let deadline = ends.deadline.map(|deadline| Box::pin(sleep_until(deadline.into())));
        let cutoff = ends.cutoff.map(|cutoff| (cutoff, Box::pin(sleep(LOOK))));
        Self { body, account: Some(account), deadline, late: ends.late, cutoff, waits, is_grpc }
    }

    /// Ready when it is cut from outside.
    fn poll_cutoff(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((cutoff, timer)) = &mut self.cutoff else { return Poll::Pending };
        while !cutoff.is_due() {
            ready!(timer.as_mut().poll(cx));
            timer.as_mut().reset(tokio::time::Instant::now() + LOOK);
        }
        Poll::Ready(())
    }

    fn done(&mut self) {
        if let Some(mut account) = self.account.take() {
            let status = account.status.unwrap_or(200);
            account.answered(status);
        }
    }

    fn cut(&mut self, failure: Failure) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(mut account) = self.account.take() {
            account.failed(failure);
        }
        self.body = Body::empty();
        match self.is_grpc {
            // A caller of gRPC reads the outcome behind the messages.
            true => {
                self.is_grpc = false;
                Poll::Ready(Some(Ok(Frame::trailers(grpc::outcome(failure)))))
            }
            false => Poll::Ready(Some(Err(Box::new(failure)))),
        }
    }
}

impl<H: Handler> HttpBody for Reported<H> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(account) = &this.account {
            this.waits.end(account.now());
        }
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        let frame = match polled {
            Poll::Pending => {
                if this.deadline.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
                    return this.cut(this.late);
                }
                ready!(this.poll_cutoff(cx));
                return this.cut(Failure::Cutoff);
            }
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(error = %dozen_core::chain(&*error), "an answer broke off");
                return this.cut(failure_of(&error));
            }
            Poll::Ready(None) => {
                this.done();
                return Poll::Ready(None);
            }
        };
        if this.deadline.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
            return this.cut(this.late);
        }
        if this.cutoff.as_ref().is_some_and(|(cutoff, _)| cutoff.is_due()) {
            return this.cut(Failure::Cutoff);
        }
        if let Some(account) = &mut this.account {
            let count = frame.data_ref().map_or(0, Bytes::len);
            account.bytes_out += count as u64;
            this.waits.begin(account.now(), count);
        }
        let is_last = frame.is_trailers() || this.body.is_end_stream();
        let frame = match (frame.into_trailers(), &this.account) {
            (Ok(mut trailers), Some(account)) => {
                answer::remove(&mut trailers, |name| !account.passes(name));
                Frame::trailers(trailers)
            }
            (Ok(trailers), None) => Frame::trailers(trailers),
            (Err(data), _) => data,
        };
        if is_last {
            this.done();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

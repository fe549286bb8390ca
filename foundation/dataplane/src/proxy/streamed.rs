//! The bodies of a stream of HTTP/2: the client's within its limits, and the answer's with its end reported.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming as Received;
use tokio::time::{Sleep, sleep, sleep_until};

use super::account::{Account, failure_of};
use super::stall::Stall;
use super::tasks::{Progress, progress};
use super::worker::Worker;
use super::{Cutoff, Failure, Handler, answer, grpc};
use crate::framing::{self, Refusal};
use crate::{Body, BoxError};

/// How often an answer that says nothing is looked at for whether it is cut.
const LOOK: Duration = Duration::from_millis(250);

type Owned<H> = Account<H, Arc<Worker<H>>>;

/// A request's body within its limits.
pub(super) struct Limited {
    body: Received,
    body_max: u64,
    taken: Arc<AtomicU64>,
    stall: Stall,
}

impl Limited {
    /// `taken` is set to how much of it has come.
    pub(super) fn new(body: Received, body_max: u64, taken: Arc<AtomicU64>, stall: Duration) -> Self {
        Self { body, body_max, taken, stall: Stall::new(stall) }
    }
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let refuse = |refusal: Refusal| Poll::Ready(Some(Err(Box::new(refusal) as BoxError)));
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.stall.moved();
                if let Some(trailers) = frame.trailers_ref() {
                    // As of HTTP/1.1: what would have changed a decision must stand in the head.
                    let passed = trailers.iter().filter(|(name, _)| framing::may_trail(name.as_str()));
                    let passed = passed.map(|(name, value)| (name.clone(), value.clone())).collect();
                    return Poll::Ready(Some(Ok(Frame::trailers(passed))));
                }
                let count = frame.data_ref().map_or(0, Bytes::len) as u64;
                let taken = this.taken.fetch_add(count, Ordering::Relaxed) + count;
                if taken > this.body_max {
                    refuse(Refusal::BodyTooLarge)
                } else {
                    Poll::Ready(Some(Ok(frame)))
                }
            }
            Poll::Ready(Some(Err(_))) => refuse(Refusal::Truncated),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                ready!(this.stall.poll(cx));
                refuse(Refusal::Truncated)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What ends an answer before its time.
pub(super) struct Ends {
    pub(super) deadline: Option<Instant>,
    /// What it is if the deadline comes first.
    pub(super) late: Failure,
    pub(super) cutoff: Option<Arc<Cutoff>>,
}

/// An answer's body that tells the handler how it ended.
pub(super) struct Reported<H: Handler> {
    body: Body,
    account: Option<Owned<H>>,
    deadline: Option<Pin<Box<Sleep>>>,
    late: Failure,
    /// Looked at now and then, while the answer goes on.
    cutoff: Option<(Arc<Cutoff>, Pin<Box<Sleep>>)>,
    progress: Progress,
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
            progress: Progress::default(),
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
        let progress = progress();
        progress.store(worker.ticker.now().max(1), Ordering::Relaxed);
        let deadline = ends.deadline.map(|deadline| Box::pin(sleep_until(deadline.into())));
        let cutoff = ends.cutoff.map(|cutoff| (cutoff, Box::pin(sleep(LOOK))));
        Self { body, account: Some(account), deadline, late: ends.late, cutoff, progress, is_grpc }
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
        this.progress.store(0, Ordering::Relaxed);
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
            account.bytes_out += frame.data_ref().map_or(0, Bytes::len) as u64;
            this.progress.store(account.now().max(1), Ordering::Relaxed);
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

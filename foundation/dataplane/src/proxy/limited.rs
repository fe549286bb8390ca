//! A request's body on a stream of HTTP/2, within its limits.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming as Received;

use super::patience::Patience;
use super::stall::Stall;
use crate::BoxError;
use crate::framing::{self, Refusal};

/// A request's body within its limits.
pub(super) struct Limited {
    body: Received,
    body_max: u64,
    taken: Arc<AtomicU64>,
    stall: Stall,
}

impl Limited {
    /// `taken` is set to how much of it has come.
    pub(super) fn new(body: Received, body_max: u64, taken: Arc<AtomicU64>, patience: Patience) -> Self {
        Self { body, body_max, taken, stall: Stall::new(patience) }
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
                let count = frame.data_ref().map_or(0, Bytes::len);
                this.stall.moved(count);
                if let Some(trailers) = frame.trailers_ref() {
                    // As of HTTP/1.1: what would have changed a decision must stand in the head.
                    let passed = trailers.iter().filter(|(name, _)| framing::may_trail(name.as_str()));
                    let passed = passed.map(|(name, value)| (name.clone(), value.clone())).collect();
                    return Poll::Ready(Some(Ok(Frame::trailers(passed))));
                }
                let count = count as u64;
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
                refuse(Refusal::BodyTooSlow)
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

//! The bodies of a forwarded exchange, and how long each may take.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::Failure;
use super::account::refusal_of;
use super::patience::Patience;
use super::stall::Stall;
use crate::framing::Refusal;
use crate::streams::Claim;
use crate::ticker::Alarm;
use crate::{Body, BoxError};

/// How a request's body comes along, seen from the wait for its answer.
pub(super) struct Pace {
    pub(super) alarm: Alarm,
    stall: Duration,
    timeout: Duration,
    refused: OnceLock<Refusal>,
}

impl Pace {
    pub(super) fn new(alarm: Alarm, stall: Duration, timeout: Duration) -> Self {
        Self { alarm, stall, timeout, refused: OnceLock::new() }
    }

    /// Why the request broke off by itself, if it did.
    pub(super) fn refused(&self) -> Option<Refusal> {
        self.refused.get().copied()
    }
}

/// A request's body that sets the alarm: to the stall while it is sent, and to the time for the answer behind its end.
pub(super) struct Paced {
    body: Body,
    pace: Arc<Pace>,
}

impl Paced {
    pub(super) fn around(body: Body, pace: &Arc<Pace>) -> Body {
        // What is at hand is sent with the head.
        if body.size_hint().exact() == Some(0) || body.is_full() {
            return body;
        }
        Body::new(Self { body, pace: pace.clone() })
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, pace } = &mut *self;
        pace.alarm.set(pace.stall);
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        match &frame {
            Some(Err(error)) => {
                let _ = pace.refused.set(refusal_of(error).unwrap_or(Refusal::Truncated));
            }
            None => pace.alarm.set(pace.timeout),
            Some(Ok(_)) if body.is_end_stream() => pace.alarm.set(pace.timeout),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An endpoint's answer that fails when nothing comes for too long.
pub(super) struct Watched {
    body: hyper::body::Incoming,
    stall: Stall,
    /// Its place on its connection.
    _stream: Claim,
}

impl Watched {
    pub(super) fn new(body: hyper::body::Incoming, stall: Duration, stream: Claim) -> Self {
        Self { body, stall: Stall::new(Patience::new(None, stall)), _stream: stream }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.stall.moved(0);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(Box::new(Failure::Broken)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                ready!(this.stall.poll(cx));
                Poll::Ready(Some(Err(Box::new(Failure::TimedOut))))
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

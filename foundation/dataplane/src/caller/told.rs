//! The body of an answer, which tells the service how it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::{Body, BoxError, Lease, Upstream};

/// Tells a service of an answer that has come whole.
pub(super) fn judge(upstream: &Upstream, lease: &Lease, status: StatusCode) {
    match status.as_u16() {
        502..=504 => upstream.failed(lease),
        _ => upstream.succeeded(lease),
    }
}

/// The body of an answer. The request is in flight until it has ended.
pub(super) struct Told {
    body: Body,
    status: StatusCode,
    under_way: Option<(Option<Arc<Upstream>>, Lease)>,
}

impl Told {
    /// Tells `upstream`, if there is somebody to tell.
    pub(super) fn new(body: Body, status: StatusCode, upstream: Option<Arc<Upstream>>, lease: Lease) -> Self {
        Self { body, status, under_way: Some((upstream, lease)) }
    }

    fn end(&mut self, is_whole: bool) {
        if let Some((Some(upstream), lease)) = self.under_way.take() {
            match is_whole {
                true => judge(&upstream, &lease, self.status),
                false => upstream.failed(&lease),
            }
        }
    }
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Err(_)) => self.end(false),
            None => self.end(true),
            Some(Ok(_)) if self.body.is_end_stream() => self.end(true),
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

//! The one body type.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use dozen_lifecycle::BoxError;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::sync::mpsc;

use crate::Error;

/// A message's body: bytes at hand, or a stream of them.
pub struct Body(Inner);

enum Inner {
    Full(Bytes),
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self(Inner::Full(Bytes::new()))
    }

    /// Any other body, boxed.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Inner::Stream(body.map_err(Into::into).boxed_unsync()))
    }

    /// A body of what is sent into the sender; it ends when the sender is dropped, and fails with an error sent.
    /// At most `waiting_max` pieces wait to be read.
    pub fn channel(waiting_max: usize) -> (mpsc::Sender<Result<Bytes, BoxError>>, Self) {
        let (sender, receiver) = mpsc::channel(waiting_max.max(1));
        (sender, Self(Inner::Stream(Channel(receiver).boxed_unsync())))
    }

    /// A body of the frames that are sent into the sender; `length` is what they hold together, if that is known.
    pub(crate) fn frames(
        waiting_max: usize,
        length: Option<u64>,
    ) -> (mpsc::Sender<Result<Frame<Bytes>, BoxError>>, Self) {
        let (sender, receiver) = mpsc::channel(waiting_max.max(1));
        (sender, Self(Inner::Stream(Frames { receiver, left: length }.boxed_unsync())))
    }

    /// Whether all of it is at hand.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self.0, Inner::Full(_))
    }

    /// The bytes, if they are at hand; the body is empty then.
    pub(crate) fn take_full(&mut self) -> Option<Bytes> {
        match &mut self.0 {
            Inner::Full(bytes) => Some(std::mem::take(bytes)),
            Inner::Stream(_) => None,
        }
    }

    /// The whole body, if it is at most `limit` bytes.
    pub async fn collect(self, limit: usize) -> Result<Bytes, Error> {
        if self.size_hint().lower() > limit as u64 {
            return Err(Error::BodyTooLarge { limit });
        }
        let mut left = limit;
        let fits = |count: usize| {
            let rest = left.checked_sub(count);
            left = rest.unwrap_or(0);
            rest.is_some()
        };
        let whole = self.gather(fits).await.map_err(|source| Error::Body { source })?;
        whole.ok_or(Error::BodyTooLarge { limit })
    }

    /// The whole body, as long as `fits` says so of the length of each piece; `None` when it does not.
    pub async fn gather(mut self, mut fits: impl FnMut(usize) -> bool) -> Result<Option<Bytes>, BoxError> {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {
            let Ok(data) = frame?.into_data() else { continue };
            if !fits(data.len()) {
                return Ok(None);
            }
            // One piece, the usual case, is handed on without a copy.
            if first.is_empty() && rest.is_empty() {
                first = data;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&std::mem::take(&mut first));
                }
                rest.extend_from_slice(&data);
            }
        }
        Ok(Some(if rest.is_empty() { first } else { rest.freeze() }))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Inner::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inner::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Inner::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Full(bytes) => bytes.is_empty(),
            Inner::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Stream(body) => body.size_hint(),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self(Inner::Full(bytes.into()))
    }
}

struct Frames {
    receiver: mpsc::Receiver<Result<Frame<Bytes>, BoxError>>,
    left: Option<u64>,
}

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.receiver.poll_recv(cx));
        if let (Some(Ok(frame)), Some(left)) = (&frame, &mut self.left) {
            *left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

struct Channel(mpsc::Receiver<Result<Bytes, BoxError>>);

impl HttpBody for Channel {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

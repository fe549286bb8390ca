//! A body that is read as a whole, if it is not too long for that, and passes on if it is.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use dozen_dataplane::{Body, BoxError, Failure};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// A body that turned out to be longer than what is kept: what has come, and the rest of it.
pub(super) struct Beyond {
    come: Option<Bytes>,
    rest: Body,
}

/// The whole of a body, if it is at most `max` bytes.
pub(super) async fn whole(mut body: Body, max: usize) -> Result<Result<Bytes, Beyond>, Failure> {
    let mut come = BytesMut::new();
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        match frame {
            None => return Ok(Ok(come.freeze())),
            Some(Ok(frame)) => {
                // Trailers are not kept; they say how the exchange went.
                let Ok(data) = frame.into_data() else { continue };
                come.extend_from_slice(&data);
                if come.len() > max {
                    return Ok(Err(Beyond { come: Some(come.freeze()), rest: body }));
                }
            }
            Some(Err(error)) => {
                return Err(error.downcast_ref::<Failure>().copied().unwrap_or(Failure::Broken));
            }
        }
    }
}

impl HttpBody for Beyond {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.come.take() {
            Some(come) => Poll::Ready(Some(Ok(Frame::data(come)))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.come.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let come = self.come.as_ref().map_or(0, Bytes::len) as u64;
        match self.rest.size_hint().exact() {
            Some(rest) => SizeHint::with_exact(come + rest),
            None => SizeHint::default(),
        }
    }
}

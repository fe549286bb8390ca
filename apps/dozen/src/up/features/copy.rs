//! Bodies that are looked at as they pass: copied within bounds, or rewritten. Neither waits for anything.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dozen_dataplane::{Body, BoxError};
use dozen_strangler::Reserved;
use dozen_strangler::rewrite::BodyRewriter;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a body may take of which a copy is made.
const AGE_MAX: Duration = Duration::from_secs(30);

/// What became of a copy: the bytes, or `None` where they were too many.
pub(super) type Done = Box<dyn FnOnce(Option<(Bytes, Option<Reserved>)>) + Send>;

/// A body of which a copy is made. Whoever waits for the copy hears of it when the body has ended, and not at all if it does not.
pub(super) struct Copied {
    inner: Body,
    kept: Option<Kept>,
    done: Option<Done>,
}

/// The copy so far.
pub(super) struct Kept {
    bytes: BytesMut,
    bytes_max: usize,
    until: Instant,
    /// Wakes it at that moment; none before it has to wait for anything.
    timer: Option<Pin<Box<Sleep>>>,
    /// Pays for it; without, somebody has already.
    reserved: Option<Reserved>,
}

impl Kept {
    pub(super) fn new(bytes_max: usize, reserved: Option<Reserved>) -> Self {
        Self { bytes: BytesMut::new(), bytes_max, until: Instant::now() + AGE_MAX, timer: None, reserved }
    }

    /// Whether it has taken too long. If not, whoever polls is woken when it has.
    fn is_too_old(&mut self, cx: &mut Context<'_>) -> bool {
        let until = self.until;
        self.timer.get_or_insert_with(|| Box::pin(sleep_until(until))).as_mut().poll(cx).is_ready()
    }

    fn takes(&mut self, piece: &Bytes) -> bool {
        let fits = self.bytes.len() + piece.len() <= self.bytes_max
            && Instant::now() < self.until
            && self.reserved.as_mut().is_none_or(|reserved| reserved.grow(piece.len()));
        if fits {
            self.bytes.extend_from_slice(piece);
        }
        fits
    }
}

impl Copied {
    pub(super) fn around(inner: Body, kept: Kept, done: Done) -> Body {
        if inner.is_end_stream() || inner.size_hint().exact() == Some(0) {
            done(Some((Bytes::new(), kept.reserved)));
            return inner;
        }
        Body::new(Self { inner, kept: Some(kept), done: Some(done) })
    }

    fn end(&mut self) {
        if let Some(done) = self.done.take() {
            done(self.kept.take().map(|kept| (kept.bytes.freeze(), kept.reserved)));
        }
    }
}

impl HttpBody for Copied {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(piece), Some(kept)) = (frame.data_ref(), &mut self.kept)
                    && !kept.takes(piece)
                {
                    self.kept = None;
                }
                // Whoever sends it on need not ask again once all is there.
                if self.inner.is_end_stream() || self.inner.size_hint().exact() == Some(0) {
                    self.end();
                }
            }
            Poll::Ready(None) => self.end(),
            Poll::Ready(Some(Err(_))) => self.done = None,
            Poll::Pending => {
                // A body that goes on for ever must not hold for ever what others may need.
                if self.kept.as_mut().is_some_and(|kept| kept.is_too_old(cx)) {
                    (self.kept, self.done) = (None, None);
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A text body whose links are rewritten.
pub(super) struct Rewritten {
    inner: Body,
    rewriter: Option<BodyRewriter>,
    /// What comes behind the body, until all of the body has passed.
    trailers: Option<Frame<Bytes>>,
}

impl Rewritten {
    pub(super) fn around(inner: Body, rewriter: BodyRewriter) -> Body {
        Body::new(Self { inner, rewriter: Some(rewriter), trailers: None })
    }
}

impl HttpBody for Rewritten {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let this = &mut *self;
            let Some(rewriter) = &mut this.rewriter else { return Poll::Ready(this.trailers.take().map(Ok)) };
            let passed = match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => rewriter.push(&piece),
                    Err(trailers) => {
                        this.trailers = Some(trailers);
                        finish(&mut this.rewriter)
                    }
                },
                Poll::Ready(None) => finish(&mut this.rewriter),
                other => return other,
            };
            if !passed.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(passed.into()))));
            }
        }
    }
}

/// What a rewriter still holds back.
fn finish(rewriter: &mut Option<BodyRewriter>) -> Vec<u8> {
    rewriter.take().map(BodyRewriter::finish).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::poll_fn;

    use dozen_strangler::rewrite::Addresses;
    use http::HeaderMap;

    use super::*;

    /// A body of these frames.
    struct Frames(VecDeque<Frame<Bytes>>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    #[tokio::test]
    async fn what_is_held_back_of_a_body_passes_before_its_trailers() {
        let piece = |text: &'static str| Frame::data(Bytes::from_static(text.as_bytes()));
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", http::HeaderValue::from_static("1"));
        let frames = [piece("see http://old.int"), piece("ernal/a"), Frame::trailers(trailers)];
        let facade = "https://shop.example".to_owned();
        let addresses = Addresses { hosts: vec!["old.internal".into()], facade, prefix: None };
        let mut body = Rewritten::around(Body::new(Frames(frames.into())), BodyRewriter::new(&addresses));
        let (mut text, mut ended) = (Vec::new(), false);
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            match frame.expect("it passes").into_data() {
                Ok(piece) => {
                    assert!(!ended, "nothing of a body comes behind its trailers");
                    text.extend_from_slice(&piece);
                }
                Err(_) => ended = true,
            }
        }
        assert_eq!((text, ended), (b"see https://shop.example/a".to_vec(), true));
    }
}

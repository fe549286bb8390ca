//! A request's body that may have to be sent more than once.
//!
//! What is at hand is sent again as often as wanted. Of what comes in pieces the pieces are kept as they pass, up to a bound;
//! beyond it they are let go of, and the request cannot be sent again. Nothing waits: the first attempt gets each piece
//! as soon as it comes.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::{Body, BoxError};

/// Bytes of one body that are kept for another attempt.
const KEPT_MAX: usize = 64 * 1024;

/// A body, and what is left to send it again.
pub(crate) enum Replay {
    Full(Bytes),
    /// For one attempt.
    Once(Mutex<Option<Body>>),
    Kept(Arc<Mutex<Kept>>),
}

/// The pieces that have passed, and those still to come.
pub(crate) struct Kept {
    rest: Body,
    length: Option<u64>,
    pieces: Vec<Bytes>,
    size: usize,
    trailers: Option<HeaderMap>,
    is_over: bool,
    /// Something of it is gone, or it broke off.
    is_spoilt: bool,
    /// How often it was given. Only who has it last may read on.
    turn: u64,
}

impl Replay {
    /// Keeps nothing of a stream unless `keeps` says that it may be wanted again.
    pub(crate) fn new(mut body: Body, keeps: bool) -> Self {
        if let Some(bytes) = body.take_full() {
            return Self::Full(bytes);
        }
        if !keeps {
            return Self::Once(Mutex::new(Some(body)));
        }
        let length = body.size_hint().exact();
        let (pieces, size, trailers) = (Vec::new(), 0, None);
        let kept =
            Kept { rest: body, length, pieces, size, trailers, is_over: false, is_spoilt: false, turn: 0 };
        Self::Kept(Arc::new(Mutex::new(kept)))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Full(bytes) if bytes.is_empty())
    }

    /// Whether all of it is there, or has not passed yet.
    pub(crate) fn is_replayable(&self) -> bool {
        match self {
            Self::Full(_) => true,
            Self::Once(body) => body.lock().unwrap_or_else(PoisonError::into_inner).is_some(),
            Self::Kept(kept) => !lock(kept).is_spoilt,
        }
    }

    /// The body from its beginning. The one that was given before ends with an error, if somebody still reads it: a stream
    /// of HTTP/2 that was given up is let go of by the task of its connection, and a moment later.
    pub(crate) fn body(&self) -> Option<Body> {
        match self {
            Self::Full(bytes) => Some(Body::from(bytes.clone())),
            Self::Once(body) => body.lock().unwrap_or_else(PoisonError::into_inner).take(),
            Self::Kept(kept) => {
                let turn = {
                    let mut kept = lock(kept);
                    kept.turn += 1;
                    (!kept.is_spoilt).then_some(kept.turn)
                }?;
                Some(Body::new(Reader { kept: kept.clone(), turn, at: 0, given: 0, is_over: false }))
            }
        }
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One attempt's view of it.
struct Reader {
    kept: Arc<Mutex<Kept>>,
    turn: u64,
    /// Pieces that were given.
    at: usize,
    /// Their bytes.
    given: u64,
    is_over: bool,
}

impl Kept {
    /// The next piece of the stream, which is kept if there is room.
    fn next(&mut self, at: &mut usize, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        loop {
            let frame = match ready!(Pin::new(&mut self.rest).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    self.is_spoilt = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.is_over = true;
                    return Poll::Ready(None);
                }
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(other) => {
                    self.trailers = other.into_trailers().ok();
                    continue;
                }
            };
            self.size += data.len();
            if self.size > KEPT_MAX {
                self.is_spoilt = true;
                self.pieces = Vec::new();
                *at = 0;
            } else {
                self.pieces.push(data.clone());
                *at += 1;
            }
            return Poll::Ready(Some(Ok(data)));
        }
    }
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let mut kept = lock(&this.kept);
        if kept.turn != this.turn {
            return Poll::Ready(Some(Err("another attempt has the body".into())));
        }
        let data = match kept.pieces.get(this.at) {
            Some(piece) => {
                this.at += 1;
                piece.clone()
            }
            None => match ready!(kept.next(&mut this.at, cx)) {
                Some(data) => data?,
                None => {
                    let trailers = kept.trailers.clone().filter(|_| !this.is_over);
                    this.is_over = true;
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
            },
        };
        this.given += data.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        match lock(&self.kept).length {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.given)),
            None => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(body: Option<Body>) -> String {
        String::from_utf8(body.unwrap().collect(1 << 20).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn what_passed_is_given_again_and_what_has_not_comes_behind_it() {
        let (sender, body) = Body::channel(4);
        let replay = Replay::new(body, true);
        sender.send(Ok(Bytes::from("one "))).await.unwrap();
        let mut first = replay.body().unwrap();
        let frame = std::future::poll_fn(|cx| Pin::new(&mut first).poll_frame(cx)).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "one ");
        drop(first);
        sender.send(Ok(Bytes::from("two"))).await.unwrap();
        drop(sender);
        assert!(replay.is_replayable());
        assert_eq!(text(replay.body()).await, "one two");
        assert_eq!(text(replay.body()).await, "one two");
    }

    #[tokio::test]
    async fn who_was_given_up_takes_nothing_from_who_has_it_now() {
        let (sender, body) = Body::channel(4);
        let replay = Replay::new(body, true);
        let mut first = replay.body().unwrap();
        let second = replay.body();
        for _ in 0..2 {
            sender.send(Ok(Bytes::from(vec![b'x'; KEPT_MAX]))).await.unwrap();
        }
        drop(sender);
        let frame = std::future::poll_fn(|cx| Pin::new(&mut first).poll_frame(cx)).await.unwrap();
        assert!(frame.is_err());
        assert_eq!(text(second).await.len(), 2 * KEPT_MAX);
    }

    #[tokio::test]
    async fn what_is_too_much_to_keep_passes_once() {
        let (sender, body) = Body::channel(4);
        let replay = Replay::new(body, true);
        for _ in 0..2 {
            sender.send(Ok(Bytes::from(vec![b'x'; KEPT_MAX]))).await.unwrap();
        }
        drop(sender);
        assert_eq!(text(replay.body()).await.len(), 2 * KEPT_MAX);
        assert!(!replay.is_replayable() && replay.body().is_none());
    }

    #[tokio::test]
    async fn a_body_that_broke_off_is_not_sent_again() {
        let (sender, body) = Body::channel(4);
        let replay = Replay::new(body, true);
        sender.send(Err("gone".into())).await.unwrap();
        assert!(replay.body().unwrap().collect(1).await.is_err());
        assert!(!replay.is_replayable());
    }

    #[tokio::test]
    async fn nothing_is_kept_of_a_stream_that_is_sent_once_and_everything_of_what_is_at_hand() {
        let (_sender, body) = Body::channel(1);
        let once = Replay::new(body, false);
        assert!(once.is_replayable() && once.body().is_some());
        assert!(!once.is_replayable() && once.body().is_none());
        let full = Replay::new(Body::from(Bytes::from("a")), false);
        assert_eq!((text(full.body()).await, text(full.body()).await), ("a".into(), "a".into()));
    }
}

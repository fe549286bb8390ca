//! A request's body that is lent to each round of a call, and taken back whole as long as no round has begun to read it.

use std::pin::Pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use dozen_core::Mutex;
use dozen_dataplane::{Body, BoxError};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// A request's body that can be sent again as long as nobody has begun to read it.
pub(super) struct Kept(Option<Arc<Mutex<Reading>>>);

struct Reading {
    body: Body,
    begun: bool,
}

impl Kept {
    pub(super) fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() || body.size_hint().exact() == Some(0) {
            return Self(None);
        }
        Self(Some(Arc::new(Mutex::new(Reading { body: Body::new(body), begun: false }))))
    }

    pub(super) fn lend(&self) -> Body {
        match &self.0 {
            None => Body::empty(),
            Some(reading) => Body::new(Lent(reading.clone())),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        let begun = |reading: &Arc<Mutex<Reading>>| lock(reading).begun;
        !self.0.as_ref().is_some_and(begun)
    }
}

fn lock(reading: &Mutex<Reading>) -> MutexGuard<'_, Reading> {
    reading.lock()
}

struct Lent(Arc<Mutex<Reading>>);

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut reading = lock(&self.0);
        reading.begun = true;
        Pin::new(&mut reading.body).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).body.size_hint()
    }
}

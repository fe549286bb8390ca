//! Moving bodies, and keeping an eye on the other direction meanwhile.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Failure;
use super::patience::Patience;
use crate::buffer::{Buffer, LARGE};
use crate::framing::{self, Decoder, Refusal};
use crate::stream::{ReadHalf, WriteHalf};
use crate::ticker::Alarm;

/// Pipelined requests are read ahead up to here; beyond, the client waits.
const AHEAD_MAX: usize = 8 * 1024;

/// What the client's side does while its answer is awaited or relayed.
pub(super) enum Side<'s> {
    /// All of the request was sent: notice if the client goes away, or what it sends next.
    Watch(&'s mut Buffer, ReadHalf<'s>),
    /// The body is on its way. Boxed, because few requests have one that does not come along with the head.
    Upload(Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 's>>),
    /// Nothing more.
    Done,
    /// The endpoint stopped reading the body; it may still answer.
    Stuck,
}

impl Side<'_> {
    /// Whether the whole request has been sent on.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Watch(..) | Self::Done)
    }

    /// Ready only with a reason to give the exchange up.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        let next = match self {
            Self::Watch(buffer, _) if buffer.len() >= AHEAD_MAX || !buffer.has_room() => {
                return Poll::Pending;
            }
            Self::Watch(buffer, read) => match ready!(buffer.poll_fill(cx, read)) {
                Ok(count) if count > 0 => Self::Done,
                _ => return Poll::Ready(Failure::ClientGone),
            },
            Self::Upload(upload) => match ready!(upload.as_mut().poll(cx)) {
                Ok(()) => Self::Done,
                Err(Failure::Broken) => Self::Stuck,
                Err(failure) => return Poll::Ready(failure),
            },
            Self::Done | Self::Stuck => return Poll::Pending,
        };
        *self = next;
        Poll::Pending
    }
}

/// `work`, unless the client's side or the alarm ends it first.
pub(super) async fn beside<T>(
    alarm: &Alarm,
    side: &mut Side<'_>,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        // The side goes first while it has a body to send: nothing comes back before it is sent.
        if let Side::Upload(_) = side
            && let Poll::Ready(failure) = side.poll(cx)
        {
            return Poll::Ready(Err(failure));
        }
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        if let Poll::Ready(failure) = side.poll(cx) {
            return Poll::Ready(Err(failure));
        }
        alarm.poll(cx).map(|()| Err(if alarm.is_cut() { Failure::Cutoff } else { Failure::TimedOut }))
    })
    .await
}

/// Where a request's body comes from and how it is sent on.
pub(super) struct Upload<'u> {
    pub(super) decoder: Decoder,
    pub(super) chunked: bool,
    /// The trailers that are sent on with it.
    pub(super) announced: &'u str,
    pub(super) body_max: u64,
    pub(super) sent: &'u mut u64,
    /// How slowly it may come.
    pub(super) patience: Patience,
    /// How long its receiver may take nothing.
    pub(super) stall: Duration,
    /// How long the answer may take once all is sent.
    pub(super) timeout: Duration,
}

impl Upload<'_> {
    pub(super) async fn run(
        mut self,
        alarm: &Alarm,
        client: &mut Buffer,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
    ) -> Result<(), Failure> {
        let mut out = Vec::new();
        let mut trailers = Vec::new();
        client.grow(LARGE);
        loop {
            while !client.is_empty() && !self.decoder.is_done() {
                let piece = self.decoder.take(client.filled()).map_err(Failure::Request)?;
                *self.sent += piece.data.len() as u64;
                if *self.sent > self.body_max {
                    return Err(Failure::Request(Refusal::BodyTooLarge));
                }
                match self.chunked {
                    true => framing::chunk(piece.data, &mut out),
                    false => out.extend_from_slice(piece.data),
                }
                trailers.extend_from_slice(piece.trailer);
                let consumed = piece.consumed;
                client.consume(consumed);
            }
            let is_done = self.decoder.is_done();
            if is_done && self.chunked {
                framing::last_chunk_with(&trailers, self.announced, &mut out).map_err(Failure::Request)?;
            }
            alarm.set(self.stall);
            if to.send(&out).await.is_err() {
                alarm.set(self.timeout);
                return Err(Failure::Broken);
            }
            out.clear();
            if is_done {
                alarm.set(self.timeout);
                return Ok(());
            }
            let (mark, left) = (alarm.mark(), self.patience.left());
            alarm.set(left);
            // The alarm wakes this; it may have been set anew meanwhile, for the other direction.
            let filled = poll_fn(|cx| match client.poll_fill(cx, &mut from) {
                Poll::Pending if alarm.since(mark) > left => Poll::Ready(None),
                polled => polled.map(Some),
            });
            match filled.await {
                Some(Ok(count)) if count > 0 => {
                    self.patience.waited(alarm.since(mark));
                    self.patience.moved(count);
                }
                Some(_) => return Err(Failure::ClientGone),
                None => return Err(Failure::Request(Refusal::BodyTooSlow)),
            }
        }
    }
}

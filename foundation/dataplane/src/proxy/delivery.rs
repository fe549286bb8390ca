//! An answer's body on its way to the client.
//!
//! ```text
//!                     ┌─ read ──► buffer ──► decoder ──► out ─┐      chunks, TLS, what is small
//!  endpoint's socket ─┤                                       ├──► client's socket
//!                     └──────────────── pipe ─────────────────┘      the rest of a large body of known length
//! ```
//! The head leaves with the first bytes of the body if they are there, and without them if they are not. It is always
//! clear who is waited for: the endpoint has the stall's time for its next piece, the client what its patience gives it.

use std::io;
use std::time::Duration;

use super::Failure;
use super::answer::Answer;
use super::patience::Patience;
use super::relay::{Side, beside};
use crate::buffer::{Buffer, LARGE};
use crate::framing::{self, Decoder, Piece};
use crate::pipe::{PASSED_MIN, Pipes};
use crate::stream::{ReadHalf, WriteHalf};
use crate::ticker::Alarm;

/// From this size on, data is written from where it was read instead of being copied behind the head.
const COPY_MAX: usize = 4096;

pub(super) struct Delivery<'d, 's> {
    pub(super) answer: &'d Answer,
    pub(super) waits: Waits<'d, 's>,
    pub(super) pipes: &'d Pipes,
    pub(super) from: ReadHalf<'d>,
    pub(super) to: WriteHalf<'d>,
    /// What was read and not used yet: the beginning of the body, at first.
    pub(super) buffer: &'d mut Buffer,
    /// What is written next: the head, at first.
    pub(super) out: &'d mut Vec<u8>,
    pub(super) decoder: Decoder,
    /// How much of the body went to the client.
    pub(super) sent: &'d mut u64,
}

impl Delivery<'_, '_> {
    /// Delivers all of it.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let mut trailers = Vec::new();
        let mut is_closed = false;
        loop {
            self.decode(&mut trailers).await?;
            let is_done = self.decoder.is_done() || is_closed;
            if is_done && self.answer.chunked {
                framing::last_chunk_with(&trailers, &self.answer.announced, self.out)
                    .map_err(Failure::Refused)?;
            }
            if self.pass().await? {
                continue;
            }
            if !self.out.is_empty() {
                self.waits.for_client(self.out.len(), self.to.send(self.out)).await?;
                self.out.clear();
            }
            if is_done {
                return Ok(());
            }
            if self.waits.for_endpoint(self.buffer.fill(&mut self.from)).await? == 0 {
                self.decoder.closed().map_err(|_| Failure::Broken)?;
                is_closed = true;
            }
        }
    }

    /// Takes what was read; large pieces of it go out at once.
    async fn decode(&mut self, trailers: &mut Vec<u8>) -> Result<(), Failure> {
        while !self.buffer.is_empty() && !self.decoder.is_done() {
            let Piece { consumed, data, trailer } =
                self.decoder.take(self.buffer.filled()).map_err(Failure::Refused)?;
            *self.sent += data.len() as u64;
            trailers.extend_from_slice(trailer);
            if self.answer.chunked {
                framing::chunk(data, self.out);
            } else if data.len() < COPY_MAX {
                self.out.extend_from_slice(data);
            } else {
                let written = self.to.send_both(self.out, data);
                self.waits.for_client(self.out.len() + data.len(), written).await?;
                self.out.clear();
            }
            self.buffer.consume(consumed);
        }
        Ok(())
    }

    /// Passes on what has come, or comes next, without reading it. `false` where it has to be read.
    async fn pass(&mut self) -> Result<bool, Failure> {
        let Some(left) = self.decoder.left().filter(|left| *left >= PASSED_MIN) else {
            return Ok(false);
        };
        let sockets = self.from.socket().zip(self.to.socket());
        let Some(((from, to), mut pipe)) = sockets.and_then(|sockets| Some((sockets, self.pipes.lend()?)))
        else {
            self.buffer.grow(LARGE);
            return Ok(false);
        };
        let mut count = pipe.fill_now(from, left).map_err(|_| Failure::Broken)?;
        if count == 0 {
            // What is written already does not wait for what has not come.
            self.waits.for_client(self.out.len(), pipe.drain(self.out, to)).await?;
            self.out.clear();
            count = self.waits.for_endpoint(pipe.fill(from, left)).await?;
            if count == 0 {
                return Err(Failure::Broken);
            }
        }
        *self.sent += count as u64;
        self.decoder.passed(count as u64);
        self.waits.for_client(self.out.len() + count, pipe.drain(self.out, to)).await?;
        self.out.clear();
        Ok(true)
    }
}

/// Waits for one side and keeps an eye on the other.
pub(super) struct Waits<'d, 's> {
    pub(super) alarm: &'d Alarm,
    pub(super) side: &'d mut Side<'s>,
    pub(super) patience: Patience,
    pub(super) stall: Duration,
}

impl Waits<'_, '_> {
    /// While `work` gives the client so many bytes.
    async fn for_client(
        &mut self,
        bytes: usize,
        work: impl Future<Output = io::Result<()>>,
    ) -> Result<(), Failure> {
        self.patience.moved(bytes);
        self.alarm.set(self.patience.left());
        let mark = self.alarm.mark();
        let given = beside(self.alarm, self.side, work).await;
        self.patience.waited(self.alarm.since(mark));
        match given {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(Failure::TimedOut) => Err(Failure::ClientGone),
            Err(failure) => Err(failure),
        }
    }

    /// While `work` takes bytes from the endpoint: how many, and none at their end.
    async fn for_endpoint(
        &mut self,
        work: impl Future<Output = io::Result<usize>>,
    ) -> Result<usize, Failure> {
        self.alarm.set(self.stall);
        beside(self.alarm, self.side, work).await?.map_err(|_| Failure::Broken)
    }
}

//! One attempt at an exchange, on one connection to an endpoint.

use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::answer::{self, Answer};
use super::dial::Link;
use super::patience::Patience;
use super::plan::Asked;
use super::pool::Key;
use super::relay::{Side, Upload, beside};
use super::worker::{Scratch, Worker};
use super::{Cutoff, Failure, Handler, tunnel};
use crate::buffer::{LARGE, SMALL};
use crate::framing::{self, Decoder, HeadScan, Length, Refusal};
use crate::pipe::PASSED_MIN;
use crate::stream::Stream;
use crate::ticker::Alarm;

/// Interim answers that are skipped before an endpoint is taken for a broken one.
const INTERIM_MAX: usize = 8;
/// From this size on, data is written from where it was read instead of being copied behind the head.
const COPY_MAX: usize = 4096;

/// How far an exchange got before it failed.
pub(super) enum Ended {
    /// All of the answer was relayed. Whether the client's connection can go on.
    Answered { status: u16, reusable: bool },
    /// The client has seen nothing of an answer.
    Unanswered { failure: Failure, untouched: bool },
    /// The client has seen a part of the answer.
    Cut { status: u16, failure: Failure },
}

impl Ended {
    /// The same, if its time was over because the client gave no more.
    pub(super) fn hurried(self) -> Self {
        match self {
            Self::Unanswered { failure: Failure::TimedOut, untouched } => {
                Self::Unanswered { failure: Failure::NoTime, untouched }
            }
            Self::Cut { status, failure: Failure::TimedOut } => {
                Self::Cut { status, failure: Failure::NoTime }
            }
            other => other,
        }
    }
}

/// One attempt on one connection.
pub(super) struct Talk<'t, H> {
    pub(super) worker: &'t Worker<H>,
    pub(super) alarm: &'t Alarm,
    pub(super) asked: Asked,
    pub(super) key: Key,
    pub(super) websocket: Option<Duration>,
    pub(super) cutoff: Option<&'t Arc<Cutoff>>,
}

impl<H: Handler> Talk<'_, H> {
    pub(super) async fn run(
        &self,
        client: &mut Stream,
        link: Link,
        scratch: &mut Scratch,
        upload: Upload<'_>,
        has_upload: bool,
        account: &mut Account<H, &Worker<H>>,
    ) -> Ended {
        let Link { mut stream, .. } = link;
        let unanswered = |failure, untouched| Ended::Unanswered { failure, untouched };
        let Scratch { client: ahead, upstream: buffer, request, answer: out, .. } = scratch;
        buffer.clear();
        out.clear();
        let (from_client, mut to_client) = client.split();
        let (mut from_upstream, mut to_upstream) = stream.split();
        let stall = self.worker.options.stall_timeout;

        self.alarm.set(upload.timeout);
        match self.alarm.bound(to_upstream.send(request)).await {
            Some(Ok(())) => {}
            Some(Err(_)) => return unanswered(Failure::Broken, true),
            None => return unanswered(Failure::TimedOut, true),
        }
        let mut side = match has_upload {
            true => Side::Upload(Box::pin(upload.run(self.alarm, ahead, from_client, to_upstream))),
            false => Side::Watch(&mut *ahead, from_client),
        };

        // The head of the answer; interim ones are skipped, because the client was told what it needs already.
        let mut scan = HeadScan::default();
        let mut interim = 0;
        let answer: Answer = loop {
            let end = match scan.end(buffer.filled(), SMALL - 1) {
                Ok(end) => end,
                Err(refusal) => return unanswered(Failure::Refused(refusal), false),
            };
            if let Some(end) = end {
                let read = answer::response(self.worker, self.asked, account, &buffer.filled()[..end], out);
                buffer.consume(end);
                match read {
                    Ok(answer) if answer.status >= 200 || answer.status == 101 => break answer,
                    Ok(_) if interim < INTERIM_MAX => {
                        interim += 1;
                        scan = HeadScan::default();
                        continue;
                    }
                    Ok(_) => return unanswered(Failure::Refused(Refusal::Malformed), false),
                    Err(refusal) => return unanswered(Failure::Refused(refusal), false),
                }
            }
            let untouched = buffer.is_empty() && interim == 0;
            match beside(self.alarm, &mut side, buffer.fill(&mut from_upstream)).await {
                Ok(Ok(count)) if count > 0 => {}
                Ok(_) => return unanswered(Failure::Broken, untouched),
                Err(failure) => return unanswered(failure, false),
            }
        };

        // Its body.
        let mut decoder = Decoder::new(answer.length);
        let cut = |failure| Ended::Cut { status: answer.status, failure };
        account.status = Some(answer.status);
        if matches!(answer.length, Length::Exactly(bytes) if bytes > SMALL as u64) {
            buffer.grow(LARGE);
        }
        // Only an answer that goes on can be cut.
        if !matches!(answer.length, Length::Exactly(bytes) if bytes <= buffer.len() as u64)
            || answer.status == 101
        {
            self.alarm.set_cutoff(self.cutoff.cloned());
        }
        if let (101, Some(idle)) = (answer.status, self.websocket) {
            drop(side);
            let ends = tunnel::Ends { client, ahead, upstream: &mut stream, behind: buffer };
            return match Box::pin(tunnel::run(ends, out, idle, self.alarm, account)).await {
                Ok(()) => Ended::Answered { status: 101, reusable: false },
                Err(failure) => cut(failure),
            };
        }
        let rate = self.worker.options.body_rate.filter(|_| !answer.is_stream);
        let mut patience = Patience::new(rate, stall);
        let pause = |patience: &mut Patience, bytes| {
            patience.moved(bytes);
            self.alarm.set(patience.left());
            self.alarm.mark()
        };
        let mut trailers = Vec::new();
        let mut is_closed = false;
        loop {
            while !buffer.is_empty() && !decoder.is_done() {
                let piece = match decoder.take(buffer.filled()) {
                    Ok(piece) => piece,
                    Err(refusal) => return cut(Failure::Refused(refusal)),
                };
                account.bytes_out += piece.data.len() as u64;
                trailers.extend_from_slice(piece.trailer);
                if answer.chunked {
                    framing::chunk(piece.data, out);
                } else if piece.data.len() < COPY_MAX {
                    out.extend_from_slice(piece.data);
                } else {
                    let mark = pause(&mut patience, out.len() + piece.data.len());
                    let written = to_client.send_both(out, piece.data);
                    match beside(self.alarm, &mut side, written).await {
                        Ok(Ok(())) => out.clear(),
                        Ok(Err(_)) | Err(Failure::TimedOut) => return cut(Failure::ClientGone),
                        Err(failure) => return cut(failure),
                    }
                    patience.waited(self.alarm.since(mark));
                }
                let consumed = piece.consumed;
                buffer.consume(consumed);
            }
            let is_done = decoder.is_done() || is_closed;
            if is_done
                && answer.chunked
                && let Err(refusal) = framing::last_chunk_with(&trailers, &answer.announced, out)
            {
                return cut(Failure::Refused(refusal));
            }
            if !out.is_empty() {
                let mark = pause(&mut patience, out.len());
                match beside(self.alarm, &mut side, to_client.send(out)).await {
                    Ok(Ok(())) => out.clear(),
                    Ok(Err(_)) | Err(Failure::TimedOut) => return cut(Failure::ClientGone),
                    Err(failure) => return cut(failure),
                }
                patience.waited(self.alarm.since(mark));
            }
            if is_done {
                break;
            }
            self.alarm.set(stall);
            if let Some(left) = decoder.left().filter(|left| *left >= PASSED_MIN)
                && let (Some(from), Some(to)) = (from_upstream.socket(), to_client.socket())
                && let Some(mut pipe) = self.worker.pipes.lend()
            {
                let count = match beside(self.alarm, &mut side, pipe.fill(from, left)).await {
                    Ok(Ok(count)) if count > 0 => count,
                    Ok(_) => return cut(Failure::Broken),
                    Err(failure) => return cut(failure),
                };
                decoder.passed(count as u64);
                account.bytes_out += count as u64;
                let mark = pause(&mut patience, count);
                match beside(self.alarm, &mut side, pipe.drain(to)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(Failure::TimedOut) => return cut(Failure::ClientGone),
                    Err(failure) => return cut(failure),
                }
                patience.waited(self.alarm.since(mark));
                continue;
            }
            match beside(self.alarm, &mut side, buffer.fill(&mut from_upstream)).await {
                Ok(Ok(0)) if decoder.closed().is_ok() => is_closed = true,
                Ok(Ok(count)) if count > 0 => {}
                Ok(_) => return cut(Failure::Broken),
                Err(failure) => return cut(failure),
            }
        }

        // An odd end leaves a connection that nobody should use again.
        let is_complete = side.is_complete();
        drop(side);
        if answer.keep_alive && is_complete && buffer.is_empty() {
            self.worker.pool.put(self.key, stream, self.worker.ticker.now());
        }
        Ended::Answered { status: answer.status, reusable: !answer.close && is_complete }
    }
}

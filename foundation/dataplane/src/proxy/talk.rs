//! One attempt at an exchange, on one connection to an endpoint.

use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::answer::{self, Answer};
use super::delivery::{Delivery, Waits};
use super::dial::Link;
use super::patience::Patience;
use super::plan::Asked;
use super::pool::Key;
use super::relay::{Side, Upload, beside};
use super::worker::{Scratch, Worker};
use super::{Cutoff, Failure, Handler, tunnel};
use crate::buffer::SMALL;
use crate::framing::{Decoder, HeadScan, Length, Refusal};
use crate::pipe::{self, PASSED_MIN};
use crate::stream::Stream;
use crate::ticker::Alarm;

/// Interim answers that are skipped before an endpoint is taken for a broken one.
const INTERIM_MAX: usize = 8;

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
        let (from_client, to_client) = client.split();
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

        let may_pass = from_upstream.socket().is_some() && to_client.socket().is_some();
        let is_large = may_pass && account.upstream.as_ref().is_some_and(|service| service.is_large());
        let first = if is_large { pipe::HEAD } else { SMALL };
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
            match beside(self.alarm, &mut side, buffer.fill_some(first, &mut from_upstream)).await {
                Ok(Ok(count)) if count > 0 => {}
                Ok(_) => return unanswered(Failure::Broken, untouched),
                Err(failure) => return unanswered(failure, false),
            }
        };

        // Its body.
        let decoder = Decoder::new(answer.length);
        let cut = |failure| Ended::Cut { status: answer.status, failure };
        account.status = Some(answer.status);
        if may_pass && let Some(service) = &account.upstream {
            service.note_large(decoder.left().is_some_and(|all| all >= 2 * PASSED_MIN));
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
        let patience = Patience::new(rate, stall);
        let delivery = Delivery {
            answer: &answer,
            waits: Waits { alarm: self.alarm, side: &mut side, patience, stall },
            pipes: &self.worker.pipes,
            from: from_upstream,
            to: to_client,
            buffer: &mut *buffer,
            out,
            decoder,
            sent: &mut account.bytes_out,
        };
        if let Err(failure) = delivery.run().await {
            return cut(failure);
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

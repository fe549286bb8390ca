//! One request and its answer, between two sockets.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::connection::Next;
use super::plan::{self, Answer, Asked, Plan};
use super::relay::{Side, Upload, beside, write_both};
use super::worker::{Scratch, Worker};
use super::{Answered, Changes, Cutoff, Failure, Forward, Handler, Outcome, Reply, Verdict, pool};
use crate::Lease;
use crate::buffer::{LARGE, SMALL};
use crate::framing::{self, Decoder, HeadScan, Length, Refusal};
use crate::ticker::Alarm;

/// Endpoints that are tried while none accepts a connection.
const CONNECTS_MAX: usize = 3;
/// Interim answers that are skipped before an endpoint is taken for a broken one.
const INTERIM_MAX: usize = 8;
/// From this size on, data is written from where it was read instead of being copied behind the head.
const COPY_MAX: usize = 4096;

/// How far an exchange got before it failed.
enum Ended {
    /// All of the answer was relayed. Whether the client's connection can go on.
    Answered { status: u16, bytes_out: u64, reusable: bool },
    /// The client has seen nothing of an answer.
    Unanswered { failure: Failure, untouched: bool },
    /// The client has seen a part of the answer.
    Cut { status: u16, bytes_out: u64, failure: Failure },
}

/// A connection to an endpoint.
struct Link {
    stream: TcpStream,
    is_kept: bool,
}

pub(super) async fn run<H: Handler>(
    worker: &Worker<H>,
    client: &mut TcpStream,
    alarm: &Alarm,
    scratch: &mut Scratch,
    plan: Plan<H::Ticket>,
    started: Instant,
) -> Next {
    let Plan { verdict, length, keep_alive, expects_continue, is_v11, is_head, is_idempotent } = plan;
    let asked = Asked { is_v11, is_head, keep_alive };
    let end = |ticket, status, address: Option<&Arc<str>>, bytes: (u64, u64), failure| {
        let (bytes_in, bytes_out) = bytes;
        let elapsed = started.elapsed();
        let outcome =
            Outcome { worker: worker.index, status, address, elapsed, bytes_in, bytes_out, failure };
        worker.handler.end(ticket, &outcome);
    };
    let forward = match verdict {
        Verdict::Forward(forward) => forward,
        Verdict::Reply(reply, ticket) => {
            // A body that came along is passed over; one that did not is not waited for.
            let is_read = matches!(length, Length::Exactly(bytes) if bytes <= scratch.client.len() as u64);
            if let (true, Length::Exactly(bytes)) = (is_read, length) {
                scratch.client.consume(usize::try_from(bytes).unwrap_or(usize::MAX));
            }
            end(ticket, reply.status, None, (0, 0), None);
            return send(worker, client, alarm, asked, &reply, &Changes::default(), is_read).await;
        }
    };
    let Forward { upstream, random, body_max, timeout, total, cutoff, mut ticket } = forward;
    alarm.set_last(total);

    // A body that is already here is sent together with the head, and again with it if it comes to that.
    let mut bytes_in = 0;
    let mut body = Some(Decoder::new(length));
    if let Length::Exactly(bytes) = length {
        if bytes > body_max {
            let failure = Failure::Request(Refusal::BodyTooLarge);
            let apology = amended(worker, &mut ticket, failure);
            end(ticket, 413, None, (0, 0), Some(failure));
            return apologise(worker, client, alarm, asked, apology, false).await;
        }
        if bytes <= scratch.client.len() as u64 {
            let count = usize::try_from(bytes).unwrap_or(0);
            scratch.request.extend_from_slice(&scratch.client.filled()[..count]);
            scratch.client.consume(count);
            bytes_in = bytes;
            body = None;
        }
    }
    let whole = body.is_none();

    let mut avoid = [0; CONNECTS_MAX];
    let mut connects = 0;
    let mut is_blamed = false;
    let mut replaced = false;
    let (ended, lease) = loop {
        let Some(lease) = upstream.pick(random, &avoid[..connects]) else {
            break (Ended::Unanswered { failure: Failure::NoEndpoint, untouched: true }, None);
        };
        let link = match worker.pool.take(lease.id()) {
            Some(stream) => Link { stream, is_kept: true },
            None => {
                alarm.set(worker.options.connect_timeout);
                match alarm.bound(pool::connect(&lease.state)).await {
                    Some(Ok(stream)) => Link { stream, is_kept: false },
                    tried => {
                        upstream.failed(&lease);
                        avoid[connects] = lease.id();
                        connects += 1;
                        if connects < CONNECTS_MAX && alarm.is_before_last() {
                            continue;
                        }
                        is_blamed = true;
                        let failure = if tried.is_none() { Failure::TimedOut } else { Failure::Connect };
                        break (Ended::Unanswered { failure, untouched: true }, Some(lease));
                    }
                }
            }
        };
        if expects_continue && !whole && client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
            break (Ended::Unanswered { failure: Failure::ClientGone, untouched: true }, Some(lease));
        }
        let is_kept = link.is_kept;
        let upload = Upload {
            decoder: body.unwrap_or(Decoder::Exactly(0)),
            chunked: length == Length::Chunked,
            body_max,
            sent: &mut bytes_in,
            stall: worker.options.stall_timeout,
            timeout,
        };
        let talk = Talk { worker, alarm, asked, lease: &lease, cutoff: cutoff.as_ref() };
        let ended = talk.run(&mut ticket, client, link, scratch, upload, !whole).await;
        alarm.set_cutoff(None);
        match ended {
            Ended::Unanswered { failure: Failure::Broken, untouched: true }
                if is_kept && whole && is_idempotent && !replaced =>
            {
                // It was dead before we wrote to it. The others that were kept are likely to be, too.
                replaced = true;
                worker.pool.forget(lease.id());
            }
            ended => break (ended, Some(lease)),
        }
    };

    let address = lease.as_ref().map(|lease| lease.address());
    match ended {
        Ended::Answered { status, bytes_out, reusable } => {
            if let Some(lease) = &lease {
                match status {
                    502..=504 => upstream.failed(lease),
                    _ => upstream.succeeded(lease),
                }
            }
            end(ticket, status, address, (bytes_in, bytes_out), None);
            if reusable { Next::Request } else { Next::Close }
        }
        Ended::Unanswered { failure, .. } => {
            if let Some(lease) = &lease
                && failure.is_of_endpoint()
                && !is_blamed
            {
                upstream.failed(lease);
            }
            let status = failure.reply().map_or(499, |reply| reply.status);
            let apology = amended(worker, &mut ticket, failure);
            end(ticket, status, address, (bytes_in, 0), Some(failure));
            apologise(worker, client, alarm, asked, apology, whole).await
        }
        Ended::Cut { status, bytes_out, failure } => {
            if let Some(lease) = &lease
                && failure.is_of_endpoint()
            {
                upstream.failed(lease);
            }
            end(ticket, status, address, (bytes_in, bytes_out), Some(failure));
            Next::Close
        }
    }
}

/// Sends the problem document of a failure, if there is anybody to read it.
async fn apologise<H: Handler>(
    worker: &Worker<H>,
    client: &mut TcpStream,
    alarm: &Alarm,
    asked: Asked,
    apology: Option<(Reply, Changes)>,
    is_read: bool,
) -> Next {
    match apology {
        Some((reply, changes)) => send(worker, client, alarm, asked, &reply, &changes, is_read).await,
        None => Next::Close,
    }
}

/// The problem document of a failure, and what the handler changes in it.
fn amended<H: Handler>(
    worker: &Worker<H>,
    ticket: &mut H::Ticket,
    failure: Failure,
) -> Option<(Reply, Changes)> {
    let reply = failure.reply()?;
    let mut changes = Changes::default();
    let answered = Answered { status: reply.status, failure: Some(failure), fields: &[] };
    worker.handler.amend(ticket, &answered, &mut changes);
    Some((reply, changes))
}

/// Sends an answer of our own. `is_read` says whether all of the request was.
async fn send<H: Handler>(
    worker: &Worker<H>,
    client: &mut TcpStream,
    alarm: &Alarm,
    asked: Asked,
    reply: &Reply,
    changes: &Changes,
    is_read: bool,
) -> Next {
    let keep_alive = asked.keep_alive && asked.is_v11 && is_read && !worker.is_draining();
    let mut out = Vec::new();
    reply.write(keep_alive, !asked.is_head, changes, &mut out);
    alarm.set_last(None);
    alarm.set(worker.options.header_timeout);
    match alarm.bound(client.write_all(&out)).await {
        Some(Ok(())) if keep_alive => Next::Request,
        Some(Ok(())) if !is_read => Next::Linger,
        _ => Next::Close,
    }
}

/// One attempt on one connection.
struct Talk<'t, H> {
    worker: &'t Worker<H>,
    alarm: &'t Alarm,
    asked: Asked,
    lease: &'t Lease,
    cutoff: Option<&'t Arc<Cutoff>>,
}

impl<H: Handler> Talk<'_, H> {
    async fn run(
        &self,
        ticket: &mut H::Ticket,
        client: &mut TcpStream,
        link: Link,
        scratch: &mut Scratch,
        upload: Upload<'_>,
        has_upload: bool,
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
        match self.alarm.bound(to_upstream.write_all(request)).await {
            Some(Ok(())) => {}
            Some(Err(_)) => return unanswered(Failure::Broken, true),
            None => return unanswered(Failure::TimedOut, true),
        }
        let mut side = match has_upload {
            true => Side::Upload(Box::pin(upload.run(self.alarm, ahead, from_client, to_upstream))),
            false => Side::Watch(ahead, from_client),
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
                let read = plan::response(
                    self.worker,
                    ticket,
                    self.asked,
                    self.lease.address(),
                    &buffer.filled()[..end],
                    out,
                );
                buffer.consume(end);
                match read {
                    Ok(answer) if answer.status >= 200 => break answer,
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
        let mut bytes_out = 0;
        let cut = |failure, bytes_out| Ended::Cut { status: answer.status, bytes_out, failure };
        if matches!(answer.length, Length::Exactly(bytes) if bytes > SMALL as u64) {
            buffer.grow(LARGE);
        }
        // Only an answer that goes on can be cut.
        if !matches!(answer.length, Length::Exactly(bytes) if bytes <= buffer.len() as u64) {
            self.alarm.set_cutoff(self.cutoff.cloned());
        }
        let mut is_closed = false;
        loop {
            while !buffer.is_empty() && !decoder.is_done() {
                let piece = match decoder.take(buffer.filled()) {
                    Ok(piece) => piece,
                    Err(refusal) => return cut(Failure::Refused(refusal), bytes_out),
                };
                bytes_out += piece.data.len() as u64;
                if answer.chunked {
                    framing::chunk(piece.data, out);
                } else if piece.data.len() < COPY_MAX {
                    out.extend_from_slice(piece.data);
                } else {
                    self.alarm.set(stall);
                    let written = write_both(&mut to_client, out, piece.data);
                    match beside(self.alarm, &mut side, written).await {
                        Ok(Ok(())) => out.clear(),
                        Ok(Err(_)) | Err(Failure::TimedOut) => return cut(Failure::ClientGone, bytes_out),
                        Err(failure) => return cut(failure, bytes_out),
                    }
                }
                let consumed = piece.consumed;
                buffer.consume(consumed);
            }
            let is_done = decoder.is_done() || is_closed;
            if is_done && answer.chunked {
                framing::last_chunk(out);
            }
            if !out.is_empty() {
                self.alarm.set(stall);
                match beside(self.alarm, &mut side, to_client.write_all(out)).await {
                    Ok(Ok(())) => out.clear(),
                    Ok(Err(_)) | Err(Failure::TimedOut) => return cut(Failure::ClientGone, bytes_out),
                    Err(failure) => return cut(failure, bytes_out),
                }
            }
            if is_done {
                break;
            }
            self.alarm.set(stall);
            match beside(self.alarm, &mut side, buffer.fill(&mut from_upstream)).await {
                Ok(Ok(0)) if decoder.closed().is_ok() => is_closed = true,
                Ok(Ok(count)) if count > 0 => {}
                Ok(_) => return cut(Failure::Broken, bytes_out),
                Err(failure) => return cut(failure, bytes_out),
            }
        }

        // An odd end leaves a connection that nobody should use again.
        let is_complete = side.is_complete();
        drop(side);
        if answer.keep_alive && is_complete && buffer.is_empty() {
            self.worker.pool.put(self.lease.id(), stream, self.worker.ticker.now());
        }
        Ended::Answered { status: answer.status, bytes_out, reusable: !answer.close && is_complete }
    }
}

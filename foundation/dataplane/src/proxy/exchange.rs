//! One request and its answer, between two connections.

use std::sync::Arc;
use std::time::Instant;

use super::account::{Account, report};
use super::connection::Next;
use super::plan::{self, Answer, Asked, Facts, Origin, Plan, Settled};
use super::pool::Key;
use super::relay::{Side, Upload, beside};
use super::worker::{Scratch, Worker};
use super::{Changes, Failure, Forward, Handler, Reply, serve, tunnel};
use crate::buffer::{LARGE, SMALL};
use crate::framing::{self, Decoder, HeadScan, Length, Refusal};
use crate::stream::Stream;
use crate::ticker::Alarm;
use crate::tls::connect;
use crate::{Lease, Transport, Upstream};

/// Endpoints that are tried while none accepts a connection.
const CONNECTS_MAX: usize = 3;
/// Interim answers that are skipped before an endpoint is taken for a broken one.
const INTERIM_MAX: usize = 8;
/// From this size on, data is written from where it was read instead of being copied behind the head.
const COPY_MAX: usize = 4096;

/// How far an exchange got before it failed.
enum Ended {
    /// All of the answer was relayed. Whether the client's connection can go on.
    Answered { status: u16, reusable: bool },
    /// The client has seen nothing of an answer.
    Unanswered { failure: Failure, untouched: bool },
    /// The client has seen a part of the answer.
    Cut { status: u16, failure: Failure },
}

/// A connection to an endpoint.
pub(super) struct Link {
    pub(super) stream: Stream,
    pub(super) is_kept: bool,
}

/// What an exchange on a client's connection works with.
pub(super) struct Client<'c, H> {
    pub(super) worker: &'c Arc<Worker<H>>,
    pub(super) stream: &'c mut Stream,
    pub(super) origin: &'c Origin,
    pub(super) alarm: &'c Alarm,
    pub(super) scratch: &'c mut Scratch,
    pub(super) started: Instant,
}

pub(super) async fn run<H: Handler>(mut client: Client<'_, H>, plan: Plan<H::Ticket>) -> Next {
    let Plan { settled, facts } = plan;
    match settled {
        Settled::Wire(forward) => relay(client, forward, facts).await,
        // Boxed, so that a connection that only relays does not carry its state.
        Settled::Value(order, request) => Box::pin(serve::run(client, order, request, facts)).await,
        Settled::Reply(reply, ticket) => {
            // A body that came along is passed over; one that did not is not waited for.
            let ahead = &mut client.scratch.client;
            let is_read = matches!(facts.length, Length::Exactly(bytes) if bytes <= ahead.len() as u64);
            if let (true, Length::Exactly(bytes)) = (is_read, facts.length) {
                ahead.consume(usize::try_from(bytes).unwrap_or(usize::MAX));
            }
            let mut account = Account::new(&**client.worker, ticket, client.started);
            account.answered(reply.status);
            drop(account);
            client.send(facts.asked, &reply, &Changes::default(), is_read).await
        }
    }
}

impl<H: Handler> Client<'_, H> {
    /// Ends a request of which the client has seen no answer, and tells it why, if it is there to read that.
    pub(super) async fn fail<W>(
        &mut self,
        asked: Asked,
        mut account: Account<H, W>,
        failure: Failure,
        is_read: bool,
    ) -> Next
    where
        W: std::ops::Deref<Target = Worker<H>>,
    {
        account.failed(failure);
        let apology = account.apology(failure);
        drop(account);
        match apology {
            Some((reply, changes)) => self.send(asked, &reply, &changes, is_read).await,
            None => Next::Close,
        }
    }

    /// Sends an answer of our own. `is_read` says whether all of the request was.
    async fn send(&mut self, asked: Asked, reply: &Reply, changes: &Changes, is_read: bool) -> Next {
        let keep_alive = asked.keep_alive && asked.is_v11 && is_read && !self.worker.is_draining();
        let mut out = Vec::new();
        reply.write(keep_alive, !asked.is_head, changes, &mut out);
        self.alarm.set_last(None);
        self.alarm.set(self.worker.options.header_timeout);
        let (_, mut write) = self.stream.split();
        match self.alarm.bound(write.send(&out)).await {
            Some(Ok(())) if keep_alive => Next::Request,
            Some(Ok(())) if !is_read => Next::Linger,
            _ => Next::Close,
        }
    }
}

/// Endpoints that accepted no connection.
#[derive(Default)]
pub(super) struct Tried {
    ids: [u64; CONNECTS_MAX],
    count: usize,
}

impl Tried {
    pub(super) fn ids(&self) -> &[u64] {
        &self.ids[..self.count]
    }

    /// Whether another may be tried.
    pub(super) fn add(&mut self, id: u64) -> bool {
        self.ids[self.count.min(CONNECTS_MAX - 1)] = id;
        self.count = (self.count + 1).min(CONNECTS_MAX);
        self.count < CONNECTS_MAX
    }
}

/// Why there is no connection, and the endpoint that was tried last. It has been reported already.
pub(super) type Unconnected = (Failure, Option<Lease>);

/// Picks an endpoint and takes or opens a connection of HTTP/1.1 to it.
pub(super) async fn link<H: Handler>(
    worker: &Worker<H>,
    alarm: &Alarm,
    upstream: &Upstream,
    transport: Option<&Transport>,
    random: u64,
    tried: &mut Tried,
) -> Result<(Lease, Link), Unconnected> {
    loop {
        let Some(lease) = upstream.pick(random, tried.ids()) else { return Err((Failure::NoEndpoint, None)) };
        if let Some(stream) = worker.pool.take(Key::new(&lease, transport)) {
            return Ok((lease, Link { stream, is_kept: true }));
        }
        alarm.set(worker.options.connect_timeout);
        match alarm.bound(connect(&lease.state, transport)).await {
            Some(Ok(stream)) => return Ok((lease, Link { stream, is_kept: false })),
            outcome => {
                upstream.failed(&lease);
                if !tried.add(lease.id()) || !alarm.is_before_last() {
                    return Err((
                        unconnected(outcome.as_ref().and_then(|tried| tried.as_ref().err())),
                        Some(lease),
                    ));
                }
            }
        }
    }
}

/// What a connection that could not be opened is to the client; without an error it was too slow.
pub(super) fn unconnected(error: Option<&std::io::Error>) -> Failure {
    if error.is_some() { Failure::Connect } else { Failure::TimedOut }
}

/// Relays between the client's connection and an endpoint's, both of HTTP/1.1.
async fn relay<H: Handler>(mut client: Client<'_, H>, forward: Forward<H::Ticket>, facts: Facts) -> Next {
    let Forward { upstream, random, body_max, timeout, total, transport, websocket, ticket } = forward;
    let Facts { asked, length, expects_continue, is_idempotent, announced } = facts;
    let transport = transport.as_deref();
    let worker = client.worker;
    let mut account = Account::new(&**worker, ticket, client.started);
    client.alarm.set_last(total);

    // A body that is already here is sent together with the head, and again with it if it comes to that.
    let mut bytes_in = 0;
    let mut body = Some(Decoder::new(length));
    if let Length::Exactly(bytes) = length {
        if bytes > body_max {
            return client.fail(asked, account, Failure::Request(Refusal::BodyTooLarge), false).await;
        }
        let Scratch { client: ahead, request, .. } = &mut *client.scratch;
        if bytes <= ahead.len() as u64 {
            let count = usize::try_from(bytes).unwrap_or(0);
            request.extend_from_slice(&ahead.filled()[..count]);
            ahead.consume(count);
            bytes_in = bytes;
            body = None;
        }
    }
    let whole = body.is_none();

    let mut tried = Tried::default();
    let mut replaced = false;
    let ended = loop {
        let link = link(worker, client.alarm, &upstream, transport, random, &mut tried).await;
        let (lease, link) = match link {
            Ok(linked) => linked,
            Err((failure, lease)) => {
                account.lease = lease;
                account.bytes_in = bytes_in;
                return client.fail(asked, account, failure, whole).await;
            }
        };
        let key = Key::new(&lease, transport);
        account.lease = Some(lease);
        if expects_continue && !whole {
            let (_, mut write) = client.stream.split();
            if write.send(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
                break Ended::Unanswered { failure: Failure::ClientGone, untouched: true };
            }
        }
        let is_kept = link.is_kept;
        let upload = Upload {
            decoder: body.unwrap_or(Decoder::Exactly(0)),
            chunked: length == Length::Chunked,
            announced: &announced,
            body_max,
            sent: &mut bytes_in,
            stall: worker.options.stall_timeout,
            timeout,
        };
        let talk = Talk { worker, alarm: client.alarm, asked, key, websocket };
        match talk.run(client.stream, link, client.scratch, upload, !whole, &mut account).await {
            Ended::Unanswered { failure: Failure::Broken, untouched: true }
                if is_kept && whole && is_idempotent && !replaced =>
            {
                // It was dead before we wrote to it. The others that were kept are likely to be, too.
                replaced = true;
                worker.pool.forget(key);
            }
            ended => break ended,
        }
    };

    // A WebSocket has counted for itself.
    if account.bytes_in == 0 {
        account.bytes_in = bytes_in;
    }
    let (status, failure) = match &ended {
        Ended::Answered { status, .. } => (*status, None),
        Ended::Unanswered { failure, .. } => (0, Some(*failure)),
        Ended::Cut { status, failure } => (*status, Some(*failure)),
    };
    if let Some(lease) = &account.lease {
        report(&upstream, lease, status, failure);
    }
    match ended {
        Ended::Answered { status, reusable } => {
            account.answered(status);
            drop(account);
            if reusable { Next::Request } else { Next::Close }
        }
        Ended::Unanswered { failure, .. } => client.fail(asked, account, failure, whole).await,
        Ended::Cut { status, failure } => {
            account.status = Some(status);
            account.failed(failure);
            drop(account);
            Next::Close
        }
    }
}

/// One attempt on one connection.
struct Talk<'t, H> {
    worker: &'t Worker<H>,
    alarm: &'t Alarm,
    asked: Asked,
    key: Key,
    websocket: Option<std::time::Duration>,
}

impl<H: Handler> Talk<'_, H> {
    async fn run<'w>(
        &self,
        client: &mut Stream,
        link: Link,
        scratch: &mut Scratch,
        upload: Upload<'_>,
        has_upload: bool,
        account: &mut Account<H, &'w Worker<H>>,
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
                let read = plan::response(self.worker, self.asked, account, &buffer.filled()[..end], out);
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
        if let (101, Some(idle)) = (answer.status, self.websocket) {
            drop(side);
            let ends = tunnel::Ends { client, ahead, upstream: &mut stream, behind: buffer };
            return match Box::pin(tunnel::run(ends, out, idle, self.alarm, account)).await {
                Ok(()) => Ended::Answered { status: 101, reusable: false },
                Err(failure) => cut(failure),
            };
        }
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
                    self.alarm.set(stall);
                    let written = to_client.send_both(out, piece.data);
                    match beside(self.alarm, &mut side, written).await {
                        Ok(Ok(())) => out.clear(),
                        Ok(Err(_)) | Err(Failure::TimedOut) => return cut(Failure::ClientGone),
                        Err(failure) => return cut(failure),
                    }
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
                self.alarm.set(stall);
                match beside(self.alarm, &mut side, to_client.send(out)).await {
                    Ok(Ok(())) => out.clear(),
                    Ok(Err(_)) | Err(Failure::TimedOut) => return cut(Failure::ClientGone),
                    Err(failure) => return cut(failure),
                }
            }
            if is_done {
                break;
            }
            self.alarm.set(stall);
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

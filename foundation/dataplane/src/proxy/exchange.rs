//! One request and its answer, between two connections.

use std::sync::Arc;
use std::time::Instant;

use super::account::Account;
use super::connection::Next;
use super::deadline::{tell, too_late};
use super::dial::link;
use super::order::Route;
use super::patience::Patience;
use super::plan::{Asked, Facts, Origin, Plan, Settled};
use super::pool::Key;
use super::relay::Upload;
use super::talk::{Ended, Talk};
use super::worker::{Scratch, Worker};
use super::{Changes, Failure, Forward, Handler, Reply, serve};
use crate::attempts::Tried;
use crate::framing::{Decoder, Length, Refusal};
use crate::stream::Stream;
use crate::ticker::Alarm;

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
            account.bytes_out = reply.body_length(facts.asked.is_head);
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
        account.bytes_out = apology.as_ref().map_or(0, |(reply, _)| reply.body_length(asked.is_head));
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

/// Relays between the client's connection and an endpoint's, both of HTTP/1.1.
async fn relay<H: Handler>(mut client: Client<'_, H>, forward: Forward<H::Ticket>, facts: Facts) -> Next {
    let Forward {
        upstream,
        random,
        key,
        priority,
        body_max,
        timeout,
        total,
        cutoff,
        transport,
        websocket,
        ticket,
        ..
    } = forward;
    let Facts { asked, length, expects_continue, is_idempotent, announced, is_hurried, fields_end } = facts;
    let route = Route { upstream, random, key, priority, timeout, is_hurried, transport, trail: None };
    let worker = client.worker;
    let mut account = Account::new(&**worker, ticket, client.started);
    account.upstream = Some(route.upstream.clone());
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

    let tried = Tried::default();
    let mut replaced = false;
    let mut told = 0;
    let ended = loop {
        let link = link(worker, &route, client.alarm, &tried, timeout).await;
        let (lease, link) = match link {
            Ok(linked) => linked,
            Err((failure, lease)) => {
                account.lease = lease;
                account.attempts = tried.count();
                account.bytes_in = bytes_in;
                return client.fail(asked, account, failure, whole).await;
            }
        };
        let key = Key::new(&lease, route.transport.as_deref());
        account.lease = Some(lease);
        account.attempts = tried.count();
        if expects_continue && !whole {
            let (_, mut write) = client.stream.split();
            if write.send(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
                break Ended::Unanswered { failure: Failure::ClientGone, untouched: true };
            }
        }
        if let Some(total) = total {
            let left = total.saturating_sub(client.started.elapsed());
            if left.is_zero() {
                break Ended::Unanswered { failure: too_late(is_hurried), untouched: true };
            }
            told = tell(left, &mut client.scratch.request, fields_end, told);
        }
        let is_kept = link.is_kept;
        let upload = Upload {
            decoder: body.unwrap_or(Decoder::Exactly(0)),
            chunked: length == Length::Chunked,
            announced: &announced,
            body_max,
            sent: &mut bytes_in,
            patience: Patience::new(worker.options.body_rate, worker.options.stall_timeout),
            stall: worker.options.stall_timeout,
            timeout,
        };
        let talk = Talk { worker, alarm: client.alarm, asked, key, websocket, cutoff: cutoff.as_ref() };
        let ended = talk.run(client.stream, link, client.scratch, upload, !whole, &mut account).await;
        client.alarm.set_cutoff(None);
        match ended {
            Ended::Unanswered { failure: Failure::Broken, untouched: true }
                if is_kept && whole && is_idempotent && !replaced =>
            {
                // It was dead before we wrote to it. The others that were kept are likely to be, too.
                replaced = true;
                tried.take_back();
                worker.pool.forget(key);
            }
            ended => break ended,
        }
    };

    let ended = match total {
        Some(total) if is_hurried && client.started.elapsed() >= total => ended.hurried(),
        _ => ended,
    };
    // A WebSocket has counted for itself.
    if account.bytes_in == 0 {
        account.bytes_in = bytes_in;
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

//! One client's connection, request after request.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::worker::{Scratch, Worker};
use super::{Handler, exchange, plan, pool};
use crate::buffer::SMALL;
use crate::framing::{HeadScan, Refusal};
use crate::problem::problem;
use crate::ticker::Alarm;

/// How long a refused client is listened to, so that it reads why before its connection is reset.
const LINGER: Duration = Duration::from_secs(1);
/// How long a connection without a request is kept when the worker is asked to stop.
const DRAIN_GRACE: Duration = Duration::from_millis(250);
/// How much of what it still sends is thrown away.
const LINGER_BYTES: usize = 1024 * 1024;

/// What follows an exchange.
pub(super) enum Next {
    /// Another request may.
    Request,
    /// The end.
    Close,
    /// The end, after the rest of a request that was not read.
    Linger,
}

pub(super) async fn serve<H: Handler>(worker: Arc<Worker<H>>, mut stream: TcpStream, peer: SocketAddr) {
    // Without it, an answer of two small writes waits for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let alarm = worker.ticker.alarm();
    let mut is_new = true;
    while is_ready(&worker, &stream, &alarm, is_new).await {
        is_new = false;
        let mut scratch = worker.borrow();
        let next = loop {
            match exchange(&worker, &mut stream, peer, &alarm, &mut scratch).await {
                Next::Request if !scratch.client.is_empty() => {}
                next => break next,
            }
        };
        let scratch = match next {
            Next::Request => scratch,
            Next::Close => {
                let _ = stream.shutdown().await;
                return worker.give_back(scratch);
            }
            Next::Linger => {
                linger(&mut stream, &alarm, &mut scratch).await;
                return worker.give_back(scratch);
            }
        };
        worker.give_back(scratch);
    }
    let _ = stream.shutdown().await;
}

/// Waits, without holding a buffer, for the next request. `false` when there will be none.
///
/// A draining worker gives a connection that it only just accepted a moment: its request may be on the way.
async fn is_ready<H: Handler>(worker: &Worker<H>, stream: &TcpStream, alarm: &Alarm, is_new: bool) -> bool {
    alarm.set_last(None);
    let options = &worker.options;
    alarm.set(if is_new { options.header_timeout } else { options.idle_timeout });
    let mut is_hurried = false;
    let mut readable = std::pin::pin!(pool::readable(stream));
    poll_fn(|cx| {
        if let Poll::Ready(readable) = readable.as_mut().poll(cx) {
            return Poll::Ready(readable.is_ok());
        }
        if worker.is_draining() && !is_hurried {
            is_hurried = true;
            alarm.set(DRAIN_GRACE);
        }
        let timed_out = alarm.poll(cx).is_ready();
        if timed_out || (worker.is_draining() && !is_new) { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}

/// One request, from its first byte to the last of its answer.
async fn exchange<H: Handler>(
    worker: &Worker<H>,
    stream: &mut TcpStream,
    peer: SocketAddr,
    alarm: &Alarm,
    scratch: &mut Scratch,
) -> Next {
    let end = match read_head(worker, stream, alarm, scratch).await {
        Ok(Head::Complete(end)) => end,
        Ok(Head::NotYet) => return Next::Request,
        Ok(Head::Closed) => return Next::Close,
        Err(refusal) => return refuse(stream, alarm, refusal).await,
    };
    let started = Instant::now();
    match plan::request(worker, peer, started, scratch, end) {
        Ok(plan) => exchange::run(worker, stream, alarm, scratch, plan, started).await,
        Err(refusal) => refuse(stream, alarm, refusal).await,
    }
}

/// What came of waiting for a head.
enum Head {
    /// All of it, and its length.
    Complete(usize),
    /// The socket was said to be readable, and had nothing to read.
    NotYet,
    /// The client is done, or too slow.
    Closed,
}

/// Reads until a head is complete. Only a head that has begun is waited for.
async fn read_head<H: Handler>(
    worker: &Worker<H>,
    stream: &mut TcpStream,
    alarm: &Alarm,
    scratch: &mut Scratch,
) -> Result<Head, Refusal> {
    let client = &mut scratch.client;
    alarm.set_last(None);
    let mut scan = HeadScan::default();
    let mut may_be_empty = true;
    let mut waits = false;
    loop {
        // One empty line before a request is tolerated: old clients send it behind a body.
        if may_be_empty && client.filled().starts_with(b"\r\n") {
            client.consume(2);
            may_be_empty = false;
        }
        if !client.is_empty()
            && let Some(end) = scan.end(client.filled(), worker.options.head_max)?
        {
            return Ok(Head::Complete(end));
        }
        if !client.has_room() {
            client.grow(worker.options.head_max + SMALL);
        }
        if !waits {
            alarm.set(worker.options.header_timeout);
            waits = true;
        }
        let filled = match client.is_empty() {
            true => match poll_fn(|cx| Poll::Ready(client.poll_fill(cx, stream))).await {
                Poll::Ready(filled) => Some(filled),
                Poll::Pending => return Ok(Head::NotYet),
            },
            false => alarm.bound(client.fill(stream)).await,
        };
        match filled {
            Some(Ok(count)) if count > 0 => {}
            _ => return Ok(Head::Closed),
        }
    }
}

/// Tells a client why its request is not even read.
async fn refuse(stream: &mut TcpStream, alarm: &Alarm, refusal: Refusal) -> Next {
    let mut out = Vec::new();
    problem(refusal.status(), &refusal.to_string(), &[], false, true, &mut out);
    alarm.set(LINGER);
    match alarm.bound(stream.write_all(&out)).await {
        Some(Ok(())) => Next::Linger,
        _ => Next::Close,
    }
}

/// Closing a socket with unread bytes resets it, and a reset can overtake the answer.
async fn linger(stream: &mut TcpStream, alarm: &Alarm, scratch: &mut Scratch) {
    if stream.shutdown().await.is_err() {
        return;
    }
    alarm.set_last(None);
    alarm.set(LINGER);
    let mut left = LINGER_BYTES;
    loop {
        scratch.client.clear();
        match alarm.bound(scratch.client.fill(stream)).await {
            Some(Ok(count)) if count > 0 && count < left => left -= count,
            _ => return,
        }
    }
}

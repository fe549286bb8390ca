//! One client's connection, request after request.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::account::Account;
use super::exchange::{self, Client};
use super::plan::{self, Origin, Planned};
use super::relay::{Side, beside};
use super::worker::{Scratch, Worker};
use super::{Changes, Handler, Reply, http2};
use crate::buffer::SMALL;
use crate::framing::{HeadScan, Refusal};
use crate::stream::{Rewound, Stream};
use crate::ticker::Alarm;

/// How long a refused client is listened to, so that it reads why before its connection is reset.
const LINGER: Duration = Duration::from_secs(1);
/// How long a connection without a request is kept when the worker is asked to stop.
const DRAIN_GRACE: Duration = Duration::from_millis(250);
/// The same when another process has taken over. A request that is on its way when its connection is closed is lost, so
/// a client that has one within this time gets it answered, and is told that it is the last.
const RELIEVED_GRACE: Duration = Duration::from_secs(2);
/// How much of what it still sends is thrown away.
const LINGER_BYTES: usize = 1024 * 1024;

/// What a client sends first that speaks HTTP/2 without having asked (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// What follows an exchange.
pub(super) enum Next {
    /// Another request may.
    Request,
    /// The same: there was none yet.
    Nothing,
    /// The end.
    Close,
    /// The end, after the rest of a request that was not read.
    Linger,
    /// The client speaks HTTP/2.
    Http2,
}

pub(super) async fn serve<H: Handler>(worker: Arc<Worker<H>>, stream: TcpStream, peer: SocketAddr) {
    // Without it, an answer of two small writes waits for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let alarm = worker.ticker.alarm();
    let mut origin = Origin { peer, tls: None, is_http2: false };
    let mut stream = match worker.options.tls.clone() {
        None => Stream::Plain(stream),
        Some(tls) => {
            // Boxed: a handshake holds more state than a connection that waits.
            alarm.set(tls.handshake_timeout());
            let Some(Ok((stream, session, is_http2))) = alarm.bound(Box::pin(tls.accept(stream))).await
            else {
                return;
            };
            origin.tls = Some(Arc::new(session));
            if is_http2 {
                return Box::pin(http2::serve(worker, Rewound::new(&[], stream), origin, alarm)).await;
            }
            stream
        }
    };
    let mut is_new = true;
    while is_ready(&worker, &mut stream, &alarm, is_new).await {
        let mut scratch = worker.borrow();
        let next = loop {
            match exchange(&worker, &mut stream, &origin, &alarm, &mut scratch, is_new).await {
                Next::Request if !scratch.client.is_empty() => is_new = false,
                next => break next,
            }
        };
        is_new &= matches!(next, Next::Nothing);
        let scratch = match next {
            Next::Request | Next::Nothing => scratch,
            Next::Close => {
                let _ = stream.shutdown().await;
                return worker.give_back(scratch);
            }
            Next::Linger => {
                linger(&mut stream, &alarm, &mut scratch).await;
                return worker.give_back(scratch);
            }
            Next::Http2 => {
                let io = Rewound::new(scratch.client.filled(), stream);
                worker.give_back(scratch);
                return Box::pin(http2::serve(worker, io, origin, alarm)).await;
            }
        };
        worker.give_back(scratch);
    }
    let _ = stream.shutdown().await;
}

/// Waits, without holding a buffer, for the next request. `false` when there will be none.
///
/// A draining worker gives a connection that it only just accepted a moment: its request may be on the way. If another
/// process accepts from now on, every connection gets one, and a longer one.
async fn is_ready<H: Handler>(worker: &Worker<H>, stream: &mut Stream, alarm: &Alarm, is_new: bool) -> bool {
    alarm.set_last(None);
    let options = &worker.options;
    alarm.set(if is_new { options.header_timeout } else { options.idle_timeout });
    let mut is_hurried = false;
    poll_fn(|cx| {
        if let Poll::Ready(readable) = stream.poll_readable(cx) {
            return Poll::Ready(readable.is_ok());
        }
        if worker.is_draining() && !is_hurried {
            is_hurried = true;
            alarm.set(if worker.is_relieved() { RELIEVED_GRACE } else { DRAIN_GRACE });
        }
        let timed_out = alarm.poll(cx).is_ready();
        let may_come = is_new || !worker.is_draining() || worker.is_relieved();
        if timed_out || !may_come { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}

/// One request, from its first byte to the last of its answer.
async fn exchange<H: Handler>(
    worker: &Arc<Worker<H>>,
    stream: &mut Stream,
    origin: &Origin,
    alarm: &Alarm,
    scratch: &mut Scratch,
    is_new: bool,
) -> Next {
    let end = match read_head(worker, stream, alarm, scratch).await {
        Ok(Head::Complete(end)) => end,
        Ok(Head::NotYet) => return Next::Nothing,
        Ok(Head::Closed) => return Next::Close,
        Err(refusal) => return refuse(stream, alarm, refusal).await,
    };
    let started = Instant::now();
    let mut planned = plan::request(&**worker, origin, started, scratch, end);
    loop {
        let (decision, ticket) = match planned {
            Ok(Planned::Now(plan)) => {
                let client = Client { worker, stream, origin, alarm, scratch, started };
                return exchange::run(client, plan).await;
            }
            Ok(Planned::Later(decision, ticket)) => (decision, ticket),
            Err(_) if is_new && scratch.client.filled().starts_with(PREFACE) => return Next::Http2,
            Err(refusal) => return refuse(stream, alarm, refusal).await,
        };
        // Until it comes only the client is watched: whoever decides bounds how long that takes.
        let mut account = Account::new(&**worker, ticket, started);
        alarm.set_last(None);
        alarm.clear();
        let (read, _) = stream.split();
        let mut side = Side::Watch(&mut scratch.client, read);
        let decided = beside(alarm, &mut side, decision).await;
        drop(side);
        match decided {
            Ok(decision) => {
                account.hand_over();
                planned = plan::resume(&**worker, origin, started, scratch, end, decision);
            }
            Err(failure) => {
                account.failed(failure);
                return Next::Close;
            }
        }
    }
}

/// What came of waiting for a head.
enum Head {
    /// All of it, and its length.
    Complete(usize),
    /// The socket was said to be readable, and had nothing to read.
    NotYet,
    /// The client is done.
    Closed,
}

/// Reads until a head is complete. Only a head that has begun is waited for.
async fn read_head<H: Handler>(
    worker: &Worker<H>,
    stream: &mut Stream,
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
            Some(_) => return Ok(Head::Closed),
            None => return Err(Refusal::TooSlow),
        }
    }
}

/// Tells a client why its request is not even read.
async fn refuse(stream: &mut Stream, alarm: &Alarm, refusal: Refusal) -> Next {
    let mut out = Vec::new();
    Reply::from(refusal).write(false, true, &Changes::default(), &mut out);
    alarm.set(LINGER);
    let (_, mut write) = stream.split();
    match alarm.bound(write.send(&out)).await {
        Some(Ok(())) => Next::Linger,
        _ => Next::Close,
    }
}

/// Closing a socket with unread bytes resets it, and a reset can overtake the answer.
async fn linger(stream: &mut Stream, alarm: &Alarm, scratch: &mut Scratch) {
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

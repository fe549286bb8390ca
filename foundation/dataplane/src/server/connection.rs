//! One connection of a [`super::Server`], request after request.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use dozen_lifecycle::{BoxError, Stop};
use http_body::Body as HttpBody;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::incoming::{self, Incoming};
use super::{Limits, Peer};
use crate::Body;
use crate::buffer::{Buffer, SMALL};
use crate::framing::{self, Decoder, HeadScan, Length, Refusal};
use crate::problem::problem;

/// Why a connection ends before its client wants it to. There is nobody left to tell.
enum Ended {
    Closed,
    Refused(Refusal),
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

pub(super) async fn serve<S, B>(
    stream: TcpStream,
    peer: SocketAddr,
    mut service: S,
    limits: Arc<Limits>,
    stop: Stop,
) where
    S: tower::Service<http::Request<Body>, Response = http::Response<B>>,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    // Without it, an answer of two small writes waits for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let mut connection = Connection { read, write, buffer: Buffer::new(), limits, stop, peer };
    loop {
        match connection.exchange(&mut service).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(Ended::Closed) => return,
            Err(Ended::Refused(refusal)) => {
                let mut out = Vec::new();
                problem(refusal.status(), &refusal.to_string(), &[], false, true, &mut out);
                let _ = timeout(connection.limits.stall_timeout, connection.write.write_all(&out)).await;
                break;
            }
        }
    }
    connection.linger().await;
}

/// How long a client is listened to after the last answer, so that it reads that before its connection is reset.
const LINGER: Duration = Duration::from_secs(1);
/// How much of what it still sends is thrown away.
const LINGER_BYTES: usize = 1024 * 1024;

struct Connection {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    buffer: Buffer,
    limits: Arc<Limits>,
    stop: Stop,
    peer: SocketAddr,
}

impl Connection {
    /// Closing a socket with unread bytes resets it, and a reset can overtake the answer.
    async fn linger(mut self) {
        if self.write.shutdown().await.is_err() {
            return;
        }
        let until = Instant::now() + LINGER;
        let mut left = LINGER_BYTES;
        loop {
            self.buffer.clear();
            let count = tokio::select! {
                count = timeout_at(until, self.buffer.fill(&mut self.read)) => count,
                () = self.stop.hard.cancelled() => return,
            };
            match count {
                Ok(Ok(count)) if count > 0 && count < left => left -= count,
                _ => return,
            }
        }
    }

    /// One request and its answer. `true` if another may follow.
    async fn exchange<S, B>(&mut self, service: &mut S) -> Result<bool, Ended>
    where
        S: tower::Service<http::Request<Body>, Response = http::Response<B>>,
        S::Error: Into<BoxError>,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Incoming { mut request, length, keep_alive, expects_continue, is_v11, is_head } =
            self.read_head().await?;
        request.extensions_mut().insert(Peer(self.peer));
        if expects_continue && length != Length::Exactly(0) {
            self.write.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let (body, mut feed) = self.body(length)?;
        let request = request.map(|()| body);
        let stall = self.limits.stall_timeout;

        let mut answer =
            Answer { keep_alive, is_v11, is_head, stop: &self.stop, stall, write: &mut self.write };
        let respond = async move {
            // Boxed here, so that what follows is compiled once and not for every kind of handler.
            let is_ready = poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into);
            let response: Result<_, BoxError> = match is_ready {
                Ok(()) => {
                    let called = service.call(request).await;
                    called.map(|response| response.map(Body::new)).map_err(Into::into)
                }
                Err(error) => Err(error),
            };
            match response {
                Ok(response) => answer.send(response).await,
                Err(error) => {
                    tracing::error!(error = %chain(&*error), "a request handler failed");
                    let mut out = Vec::new();
                    problem(500, "the request could not be handled", &[], false, !is_head, &mut out);
                    answer.write.write_all(&out).await?;
                    Ok(false)
                }
            }
        };
        let mut respond = pin!(respond);
        let (read, buffer) = (&mut self.read, &mut self.buffer);
        let reusable = loop {
            tokio::select! { biased;
                done = &mut respond => break done?,
                moved = feed.step_or_watch(read, buffer, stall) => moved?,
            }
        };
        Ok(reusable && feed.is_complete())
    }

    async fn read_head(&mut self) -> Result<Incoming, Ended> {
        let mut scan = HeadScan::default();
        let mut is_first = true;
        loop {
            // One empty line before a request is tolerated: old clients send it behind a body.
            if is_first && self.buffer.filled().starts_with(b"\r\n") {
                self.buffer.consume(2);
                is_first = false;
            }
            let end = scan.end(self.buffer.filled(), self.limits.head_max).map_err(Ended::Refused)?;
            if let Some(end) = end {
                let head = incoming::read(&self.buffer.filled()[..end], self.limits.body_max);
                self.buffer.consume(end);
                return head.map_err(Ended::Refused);
            }
            if !self.buffer.has_room() {
                self.buffer.grow(self.limits.head_max + SMALL);
            }
            let idle = self.buffer.is_empty();
            let wait = if idle { self.limits.idle_timeout } else { self.limits.header_timeout };
            let count = tokio::select! { biased;
                count = timeout(wait, self.buffer.fill(&mut self.read)) => count.map_err(|_| Ended::Closed)??,
                () = self.stop.soft.cancelled(), if idle => return Err(Ended::Closed),
            };
            if count == 0 {
                return Err(Ended::Closed);
            }
        }
    }

    /// The request's body, and what still has to be fed into it.
    fn body(&mut self, length: Length) -> Result<(Body, Feed), Ended> {
        let mut decoder = Decoder::new(length);
        if let Length::Exactly(bytes) = length
            && bytes <= self.buffer.len() as u64
        {
            let piece = decoder.take(self.buffer.filled()).map_err(Ended::Refused)?;
            let body = Body::from(Bytes::copy_from_slice(piece.data));
            let consumed = piece.consumed;
            self.buffer.consume(consumed);
            return Ok((body, Feed { decoder, to: None, taken: 0, body_max: self.limits.body_max }));
        }
        let (sender, body) = Body::channel(1);
        Ok((body, Feed { decoder, to: Some(sender), taken: 0, body_max: self.limits.body_max }))
    }
}

/// Brings a body from the socket to the handler, one piece ahead of it.
struct Feed {
    decoder: Decoder,
    to: Option<mpsc::Sender<Result<Bytes, BoxError>>>,
    taken: u64,
    body_max: u64,
}

impl Feed {
    fn is_feeding(&self) -> bool {
        self.to.is_some()
    }

    fn is_complete(&self) -> bool {
        self.decoder.is_done()
    }

    /// Feeds; or, when all is fed, looks out for a client that goes away.
    async fn step_or_watch(
        &mut self,
        read: &mut OwnedReadHalf,
        buffer: &mut Buffer,
        stall: Duration,
    ) -> Result<(), Ended> {
        if self.is_feeding() { self.step(read, buffer, stall).await } else { watch(read, buffer).await }
    }

    /// Hands over the next piece. Cancel-safe: a piece is taken from the buffer only when there is room for it.
    async fn step(
        &mut self,
        read: &mut OwnedReadHalf,
        buffer: &mut Buffer,
        stall: Duration,
    ) -> Result<(), Ended> {
        let Some(to) = self.to.clone() else { return Ok(()) };
        let Ok(room) = to.reserve().await else {
            self.to = None;
            return Ok(());
        };
        let refusal = loop {
            match self.decoder.take(buffer.filled()) {
                Ok(piece) if self.taken + piece.data.len() as u64 > self.body_max => {
                    break Refusal::BodyTooLarge;
                }
                Ok(piece) if !piece.data.is_empty() => {
                    self.taken += piece.data.len() as u64;
                    let data = Bytes::copy_from_slice(piece.data);
                    let consumed = piece.consumed;
                    buffer.consume(consumed);
                    if self.decoder.is_done() {
                        self.to = None;
                    }
                    room.send(Ok(data));
                    return Ok(());
                }
                Ok(piece) => {
                    let consumed = piece.consumed;
                    buffer.consume(consumed);
                }
                Err(refusal) => break refusal,
            }
            if self.decoder.is_done() {
                self.to = None;
                return Ok(());
            }
            match timeout(stall, buffer.fill(read)).await {
                Ok(Ok(count)) if count > 0 => {}
                _ => break Refusal::Truncated,
            }
        };
        room.send(Err(Box::new(refusal)));
        self.to = None;
        Ok(())
    }
}

/// Returns when the client has gone, or has sent the beginning of its next request.
async fn watch(read: &mut OwnedReadHalf, buffer: &mut Buffer) -> Result<(), Ended> {
    if buffer.len() >= SMALL / 2 || !buffer.has_room() {
        return std::future::pending().await;
    }
    match buffer.fill(read).await {
        Ok(count) if count > 0 => Ok(()),
        _ => Err(Ended::Closed),
    }
}

/// Writes one response.
struct Answer<'c> {
    keep_alive: bool,
    is_v11: bool,
    is_head: bool,
    stop: &'c Stop,
    stall: Duration,
    write: &'c mut OwnedWriteHalf,
}

impl Answer<'_> {
    async fn send(&mut self, response: http::Response<Body>) -> Result<bool, Ended> {
        let (parts, body) = response.into_parts();
        let mut body = pin!(body);
        let status = parts.status.as_u16();
        let bodiless = self.is_head || status < 200 || status == 204 || status == 304;
        let exact = body.as_ref().size_hint().exact();
        let chunked = !bodiless && exact.is_none() && self.is_v11;
        let keep_alive =
            self.keep_alive && !self.stop.is_stopping() && (bodiless || exact.is_some() || chunked);

        let mut out = Vec::with_capacity(512);
        framing::status_line(status, &mut out);
        for (name, value) in &parts.headers {
            let is_length = name == http::header::CONTENT_LENGTH;
            if !framing::is_hop_by_hop(name.as_str()) && (!is_length || self.is_head) {
                framing::field(name.as_str(), value.as_bytes(), &mut out);
            }
        }
        match exact {
            _ if chunked => framing::field("transfer-encoding", b"chunked", &mut out),
            Some(length) if !bodiless => {
                framing::field("content-length", length.to_string().as_bytes(), &mut out);
            }
            _ => {}
        }
        match (keep_alive, self.is_v11) {
            (false, _) => framing::field("connection", b"close", &mut out),
            (true, false) => framing::field("connection", b"keep-alive", &mut out),
            (true, true) => {}
        }
        out.extend_from_slice(b"\r\n");
        if !bodiless {
            self.frames(body.as_mut(), chunked, &mut out).await?;
        }
        self.flush(&mut out).await?;
        Ok(keep_alive)
    }

    /// Writes frames as they come: together while they come at once, and never later than the wait for the next.
    async fn frames(
        &mut self,
        mut body: Pin<&mut Body>,
        chunked: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Ended> {
        loop {
            let at_once = poll_fn(|cx| match body.as_mut().poll_frame(cx) {
                Poll::Ready(frame) => Poll::Ready(Some(frame)),
                Poll::Pending => Poll::Ready(None),
            });
            let frame = match at_once.await {
                Some(frame) => frame,
                None => {
                    self.flush(out).await?;
                    poll_fn(|cx| body.as_mut().poll_frame(cx)).await
                }
            };
            match frame {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if chunked {
                        framing::chunk(&data, out);
                    } else {
                        out.extend_from_slice(&data);
                    }
                    if out.len() > SMALL {
                        self.flush(out).await?;
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(error = %chain(&*error), "an answer broke off");
                    return Err(Ended::Closed);
                }
                None => break,
            }
        }
        if chunked {
            framing::last_chunk(out);
        }
        Ok(())
    }

    async fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Ended> {
        if !out.is_empty() {
            timeout(self.stall, self.write.write_all(out)).await.map_err(|_| Ended::Closed)??;
            out.clear();
        }
        Ok(())
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    dozen_core::chain(error)
}

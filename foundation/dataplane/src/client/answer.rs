//! The response, as far as its head; and its body, as the caller takes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::time::{Instant, Sleep, sleep};

use super::outgoing::{Outgoing, WriteError};
use super::{Connection, Keeper};
use crate::buffer::{Buffer, SMALL};
use crate::framing::{self, Decoder, HeadScan, Length, Refusal};
use crate::stream::Stream;
use crate::{Body, BoxError, Error, headers};

/// Interim responses that are skipped before a server is taken for a broken one.
const INTERIM_MAX: usize = 8;

/// How an exchange failed, and whether the server had sent nothing yet.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) untouched: bool,
}

struct Head {
    response: http::Response<()>,
    length: Length,
    keep_alive: bool,
    announced: String,
}

/// The rest of a request on its way; gives the socket back when it is sent.
type Sending = Pin<Box<dyn Future<Output = (WriteHalf<Stream>, Result<(), WriteError>)> + Send>>;

/// Sends a request and reads the head of its response. What is left of the request then is sent while the caller
/// takes the body of the response.
pub(crate) async fn exchange(
    connection: Connection,
    outgoing: Outgoing,
    address: &str,
    stall: Duration,
    keeper: Keeper,
) -> Result<http::Response<Body>, Failure> {
    let Connection { stream, mut buffer } = connection;
    let (mut read, write) = tokio::io::split(stream);
    let is_head = outgoing.is_head;
    let mut writing = Writing::Sending(Box::pin(outgoing.write(write)));
    let mut scan = HeadScan::default();
    let mut interim = 0;
    let fail = |error, untouched| Err(Failure { error, untouched });
    let head = loop {
        match read_head(&mut scan, &mut buffer, is_head) {
            Ok(Some(head)) if !head.response.status().is_informational() => break head,
            Ok(Some(head)) if interim < INTERIM_MAX && head.response.status() != 101 => {
                interim += 1;
                scan = HeadScan::default();
                continue;
            }
            Ok(None) => {}
            Ok(Some(_)) => {
                let source = Refusal::Malformed;
                return fail(Error::Refused { address: address.to_owned(), source }, false);
            }
            Err(source) => return fail(Error::Refused { address: address.to_owned(), source }, false),
        }
        let untouched = buffer.is_empty() && interim == 0;
        let count = tokio::select! { biased;
            () = writing.done(), if matches!(writing, Writing::Sending(_)) => match &mut writing {
                Writing::BodyFailed(source) => {
                    let source = source.take().unwrap_or_else(|| "the request's body failed".into());
                    return fail(Error::Body { source }, false);
                }
                _ => continue,
            },
            count = buffer.fill(&mut read) => count,
        };
        let source = match count {
            Ok(0) => io::Error::from(io::ErrorKind::UnexpectedEof),
            Ok(_) => continue,
            Err(error) => error,
        };
        // The server may have answered before it stopped reading, so a failed write waits for the read to fail too.
        let source = if let Writing::SocketFailed(first) = &mut writing {
            first.take().unwrap_or(source)
        } else {
            source
        };
        return fail(Error::Broken { address: address.to_owned(), source }, untouched);
    };
    let mut body = Answer {
        decoder: Decoder::new(head.length),
        open: Some((read, buffer)),
        writing,
        reusable: head.keep_alive,
        address: address.to_owned(),
        keeper: Some(keeper),
        announced: head.announced,
        trailers: Vec::new(),
        stall,
        timer: Box::pin(sleep(stall)),
    };
    if body.decoder.is_done() {
        body.finish();
        return Ok(head.response.map(|()| Body::empty()));
    }
    Ok(head.response.map(|()| Body::new(body)))
}

/// How far the request has got.
enum Writing {
    Sending(Sending),
    Sent(WriteHalf<Stream>),
    SocketFailed(Option<io::Error>),
    BodyFailed(Option<BoxError>),
    Over,
}

impl Writing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Sending(sending) = self {
            *self = match ready!(sending.as_mut().poll(cx)) {
                (write, Ok(())) => Self::Sent(write),
                (_, Err(WriteError::Socket(error))) => Self::SocketFailed(Some(error)),
                (_, Err(WriteError::Body(error))) => Self::BodyFailed(Some(error)),
            };
        }
        Poll::Ready(())
    }

    async fn done(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }
}

/// The head at the start of the buffer, if all of it is there.
fn read_head(scan: &mut HeadScan, buffer: &mut Buffer, to_head: bool) -> Result<Option<Head>, Refusal> {
    let Some(end) = scan.end(buffer.filled(), SMALL - 1)? else { return Ok(None) };
    let head = {
        let mut slots = framing::slots();
        let head = framing::response(&buffer.filled()[..end], to_head, &mut slots)?;
        let mut response = http::Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(head.status).map_err(|_| Refusal::Malformed)?;
        *response.headers_mut() = headers::map(head.fields, head.names_more, |_| false)?;
        let announced = match head.announces {
            true => framing::announced(head.fields, |_| false),
            false => String::new(),
        };
        if !announced.is_empty() {
            headers::append(response.headers_mut(), b"trailer", announced.as_bytes())?;
        }
        Head { response, length: head.length, keep_alive: head.keep_alive, announced }
    };
    buffer.consume(end);
    Ok(Some(head))
}

/// A body that reads from its connection when it is polled.
struct Answer {
    decoder: Decoder,
    open: Option<(ReadHalf<Stream>, Buffer)>,
    writing: Writing,
    reusable: bool,
    address: String,
    keeper: Option<Keeper>,
    /// The trailers that are handed on, and the lines of all that have come.
    announced: String,
    trailers: Vec<u8>,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Answer {
    /// The body has ended: the connection is free, unless something is odd about it.
    fn finish(&mut self) {
        let writing = std::mem::replace(&mut self.writing, Writing::Over);
        if let Some((read, buffer)) = self.open.take()
            && let Writing::Sent(write) = writing
            && self.reusable
            && buffer.is_empty()
            && let Some(keeper) = self.keeper.take()
        {
            keeper(Connection { stream: read.unsplit(write), buffer });
        }
    }

    fn fail(&mut self, error: impl Into<BoxError>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.open = None;
        self.writing = Writing::Over;
        Poll::Ready(Some(Err(error.into())))
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let _ = this.writing.poll(cx);
        loop {
            let Some((_, buffer)) = &mut this.open else { return Poll::Ready(None) };
            let (data, consumed) = match this.decoder.take(buffer.filled()) {
                Ok(piece) => {
                    this.trailers.extend_from_slice(piece.trailer);
                    (Bytes::copy_from_slice(piece.data), piece.consumed)
                }
                Err(refusal) => return this.fail(refusal),
            };
            buffer.consume(consumed);
            let has_more = !buffer.is_empty();
            let is_done = this.decoder.is_done();
            if is_done {
                this.finish();
            }
            if !data.is_empty() {
                let stall = this.stall;
                this.timer.as_mut().reset(Instant::now() + stall);
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if is_done {
                return match crate::proxy::trailers(&this.trailers, &this.announced) {
                    Ok(trailers) if trailers.is_empty() => Poll::Ready(None),
                    Ok(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                    Err(refusal) => this.fail(refusal),
                };
            }
            if has_more && consumed > 0 {
                continue;
            }
            let Some((read, buffer)) = &mut this.open else { return Poll::Ready(None) };
            if this.timer.as_mut().poll(cx).is_ready() {
                let address = this.address.clone();
                return this.fail(Error::TimedOut { address });
            }
            match ready!(buffer.poll_fill(cx, read)) {
                Ok(0) => match this.decoder.closed() {
                    Ok(()) => {
                        this.finish();
                        return Poll::Ready(None);
                    }
                    Err(refusal) => return this.fail(refusal),
                },
                Ok(_) => {}
                Err(error) => return this.fail(error),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.decoder {
            Decoder::Exactly(left) => SizeHint::with_exact(left),
            _ => SizeHint::default(),
        }
    }
}

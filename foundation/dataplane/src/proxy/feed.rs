//! A request's body on its way from the client's connection to whoever answers.

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::Failure;
use super::patience::Patience;
use crate::buffer::{Buffer, SMALL};
use crate::framing::{self, Decoder, Length, Refusal};
use crate::stream::ReadHalf;
use crate::{Body, BoxError, headers};

type Room<'r> = mpsc::Permit<'r, Result<Frame<Bytes>, BoxError>>;

/// Brings a body from the connection to its reader, one piece ahead of it.
pub(super) struct Feed {
    decoder: Decoder,
    to: Option<mpsc::Sender<Result<Frame<Bytes>, BoxError>>>,
    pub(super) taken: u64,
    body_max: u64,
    patience: Patience,
    trailers: Vec<u8>,
    announced: String,
}

impl Feed {
    /// The body that begins in `buffer`, and what still has to be fed into it.
    pub(super) fn open(
        buffer: &mut Buffer,
        length: Length,
        body_max: u64,
        patience: Patience,
        announced: String,
    ) -> Result<(Body, Self), Refusal> {
        let mut decoder = Decoder::new(length);
        let (to, taken, trailers) = (None, 0, Vec::new());
        let mut feed = Self { decoder, to, taken, body_max, patience, trailers, announced };
        let stated = match length {
            Length::Exactly(bytes) => Some(bytes),
            _ => None,
        };
        if stated.is_some_and(|bytes| bytes <= buffer.len() as u64) {
            let piece = decoder.take(buffer.filled())?;
            let body = Body::from(Bytes::copy_from_slice(piece.data));
            feed.taken = piece.data.len() as u64;
            let consumed = piece.consumed;
            buffer.consume(consumed);
            feed.decoder = decoder;
            return Ok((body, feed));
        }
        let (sender, body) = Body::frames(1, stated);
        feed.to = Some(sender);
        Ok((body, feed))
    }

    /// Whether all of the request has been read.
    pub(super) fn is_complete(&self) -> bool {
        self.decoder.is_done()
    }

    /// Feeds; or, when all is fed, looks out for a client that goes away. Cancel-safe.
    pub(super) async fn step_or_watch(
        &mut self,
        read: &mut ReadHalf<'_>,
        buffer: &mut Buffer,
    ) -> Result<(), Failure> {
        match self.to.clone() {
            Some(to) => {
                self.step(&to, read, buffer).await;
                Ok(())
            }
            None => watch(read, buffer).await,
        }
    }

    /// Hands over the next piece. Cancel-safe: a piece is taken from the buffer only when there is room for it.
    async fn step(
        &mut self,
        to: &mpsc::Sender<Result<Frame<Bytes>, BoxError>>,
        read: &mut ReadHalf<'_>,
        buffer: &mut Buffer,
    ) {
        let Ok(room) = to.reserve().await else {
            self.to = None;
            return;
        };
        loop {
            match self.next(buffer) {
                Ok(Some(data)) => {
                    if self.decoder.is_done() {
                        self.to = None;
                    }
                    return room.send(Ok(Frame::data(data)));
                }
                Ok(None) if self.decoder.is_done() => return self.finish(room),
                Ok(None) => {}
                Err(refusal) => return self.refuse(room, refusal),
            }
            let began = Instant::now();
            match timeout(self.patience.left(), buffer.fill(read)).await {
                Ok(Ok(count)) if count > 0 => {
                    self.patience.waited(began.elapsed());
                    self.patience.moved(count);
                }
                Ok(_) => return self.refuse(room, Refusal::Truncated),
                Err(_) => return self.refuse(room, Refusal::BodyTooSlow),
            }
        }
    }

    /// The next data in the buffer, if there is some.
    fn next(&mut self, buffer: &mut Buffer) -> Result<Option<Bytes>, Refusal> {
        while !buffer.is_empty() && !self.decoder.is_done() {
            let piece = self.decoder.take(buffer.filled())?;
            self.taken += piece.data.len() as u64;
            if self.taken > self.body_max {
                return Err(Refusal::BodyTooLarge);
            }
            self.trailers.extend_from_slice(piece.trailer);
            let data = Bytes::copy_from_slice(piece.data);
            let consumed = piece.consumed;
            buffer.consume(consumed);
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    fn finish(&mut self, room: Room<'_>) {
        match trailers(&self.trailers, &self.announced) {
            Ok(trailers) => {
                self.to = None;
                if !trailers.is_empty() {
                    room.send(Ok(Frame::trailers(trailers)));
                }
            }
            Err(refusal) => self.refuse(room, refusal),
        }
    }

    fn refuse(&mut self, room: Room<'_>, refusal: Refusal) {
        room.send(Err(Box::new(refusal)));
        self.to = None;
    }
}

/// The trailer `lines` that are `announced`, as a map.
pub(crate) fn trailers(lines: &[u8], announced: &str) -> Result<HeaderMap, Refusal> {
    let mut map = HeaderMap::new();
    let mut outcome = Ok(());
    framing::read_trailers(lines, announced, |field| {
        if let Err(refusal) = headers::append(&mut map, field.name.as_bytes(), field.value) {
            outcome = Err(refusal);
        }
    })?;
    outcome.map(|()| map)
}

/// Returns when the client has gone, or has sent the beginning of its next request.
async fn watch(read: &mut ReadHalf<'_>, buffer: &mut Buffer) -> Result<(), Failure> {
    if buffer.len() >= SMALL / 2 || !buffer.has_room() {
        return std::future::pending().await;
    }
    match buffer.fill(read).await {
        Ok(count) if count > 0 => Ok(()),
        _ => Err(Failure::ClientGone),
    }
}

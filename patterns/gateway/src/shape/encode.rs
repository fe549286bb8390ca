//! A body that is compressed as it is read.
//!
//! A body is compressed as it comes: what is there goes into the encoder, and whenever nothing more is there for the
//! moment the encoder is flushed, so that an event is with the client when its service has sent it. zstd has no such
//! encoder here (see docs/decisions/0020), and is used for bodies whose length is known and small.
//!
//! A large piece is taken a slice at a time, and after each the other connections of the worker have their turn.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use dozen_dataplane::{Body, BoxError};
use flate2::write::GzEncoder;
use http_body::{Body as HttpBody, Frame};

use super::accept::Coding;

/// Bytes that are compressed before others have their turn.
const SLICE: usize = 16 * 1024;
/// How hard brotli tries, of 11, and how far back it looks: 2 to this.
const BROTLI: (u32, u32) = (4, 18);
/// How hard gzip tries, of 9.
const GZIP: u32 = 5;

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    /// Kept until the end.
    Zstd(Vec<u8>),
}

impl Encoder {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP))),
            Coding::Brotli => {
                let (quality, window) = BROTLI;
                Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, quality, window)))
            }
            Coding::Zstd => Self::Zstd(Vec::new()),
        }
    }

    /// Takes more. Writing to memory does not fail.
    fn write(&mut self, data: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(data),
            Self::Brotli(encoder) => encoder.write_all(data),
            Self::Zstd(kept) => {
                kept.extend_from_slice(data);
                Ok(())
            }
        }
    }

    /// What of all that was taken can be sent by now.
    fn flush(&mut self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => {
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Brotli(encoder) => {
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(_) => Ok(Vec::new()),
        }
    }

    /// What came out by itself, if it is worth sending.
    fn overflow(&mut self) -> Vec<u8> {
        let out = match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(_) => return Vec::new(),
        };
        if out.len() < 8 * 1024 { Vec::new() } else { std::mem::take(out) }
    }

    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(kept) => {
                let level = ruzstd::encoding::CompressionLevel::Fastest;
                Ok(ruzstd::encoding::compress_to_vec(&*kept, level))
            }
        }
    }
}

/// A body that is compressed as it is read.
pub(super) struct Packed {
    body: Body,
    encoder: Option<Encoder>,
    /// What of the last piece was not taken yet.
    rest: Bytes,
    /// Bytes that were compressed since others had their turn.
    worked: usize,
    /// Whether something was taken that is not yet out.
    is_dirty: bool,
    /// What comes behind the last byte.
    trailers: Option<Frame<Bytes>>,
}

impl Packed {
    pub(super) fn new(body: Body, coding: Coding) -> Self {
        Self {
            body,
            encoder: Some(Encoder::new(coding)),
            rest: Bytes::new(),
            worked: 0,
            is_dirty: false,
            trailers: None,
        }
    }
}

impl HttpBody for Packed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let sent = |bytes: Vec<u8>| Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes)))));
        let failed = |error: std::io::Error| Poll::Ready(Some(Err(error.into())));
        loop {
            if this.worked >= SLICE {
                this.worked = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Some(encoder) = &mut this.encoder else { return Poll::Ready(this.trailers.take().map(Ok)) };
            if !this.rest.is_empty() {
                let slice = this.rest.split_to(this.rest.len().min(SLICE));
                this.worked += slice.len();
                if let Err(error) = encoder.write(&slice) {
                    return failed(error);
                }
                this.is_dirty = true;
                let out = encoder.overflow();
                if !out.is_empty() {
                    return sent(out);
                }
                continue;
            }
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => this.trailers = Some(trailers),
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => {
                    let encoder = this.encoder.take();
                    match encoder.map_or(Ok(Vec::new()), Encoder::finish) {
                        Ok(out) if !out.is_empty() => return sent(out),
                        Ok(_) => {}
                        Err(error) => return failed(error),
                    }
                }
                Poll::Pending => {
                    if std::mem::take(&mut this.is_dirty) {
                        match encoder.flush() {
                            Ok(out) if !out.is_empty() => return sent(out),
                            Ok(_) => {}
                            Err(error) => return failed(error),
                        }
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[tokio::test]
    async fn others_have_their_turn_while_a_large_body_is_compressed() {
        let plain: Vec<u8> =
            (0..1 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for coding in [Coding::Gzip, Coding::Brotli] {
            let packing = Body::new(Packed::new(Body::from(plain.clone()), coding)).collect(1 << 22);
            let mut packing = std::pin::pin!(packing);
            let mut turns = 0;
            let packed = loop {
                tokio::select! { biased;
                    packed = &mut packing => break packed.unwrap(),
                    () = std::future::ready(()) => turns += 1,
                }
            };
            assert!(turns >= plain.len() / SLICE, "{turns} turns");
            let mut read = Vec::new();
            match coding {
                Coding::Gzip => flate2::read::GzDecoder::new(&*packed).read_to_end(&mut read).unwrap(),
                _ => brotli::Decompressor::new(&*packed, 4096).read_to_end(&mut read).unwrap(),
            };
            assert!(read == plain, "what was packed is what comes out");
        }
    }
}

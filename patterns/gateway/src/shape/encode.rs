//! A body that is compressed as it is read.
//!
//! A body is compressed as it comes: what is there goes into the encoder, and whenever nothing more is there for the
//! moment the encoder is flushed, so that an event is with the client when its service has sent it. zstd has no such
//! encoder here (see docs/decisions/0020), and is used for bodies whose length is known and small.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use dozen_dataplane::{Body, BoxError};
use flate2::write::GzEncoder;
use http_body::{Body as HttpBody, Frame};

use super::accept::Coding;

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
    /// Whether something was taken that is not yet out.
    is_dirty: bool,
    /// What comes behind the last byte.
    trailers: Option<Frame<Bytes>>,
}

impl Packed {
    pub(super) fn new(body: Body, coding: Coding) -> Self {
        Self { body, encoder: Some(Encoder::new(coding)), is_dirty: false, trailers: None }
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
            let Some(encoder) = &mut this.encoder else { return Poll::Ready(this.trailers.take().map(Ok)) };
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        if let Err(error) = encoder.write(&data) {
                            return failed(error);
                        }
                        this.is_dirty = true;
                        let out = encoder.overflow();
                        if !out.is_empty() {
                            return sent(out);
                        }
                    }
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

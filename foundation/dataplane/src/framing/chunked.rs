//! Taking chunks apart.

use super::{Piece, Refusal};

/// Bytes of extension allowed behind one chunk's size.
const EXTENSION_MAX: u32 = 256;
/// Bytes of trailers allowed behind the last chunk.
const TRAILERS_MAX: u32 = 8 * 1024;

/// Where in the chunked framing the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64, used: u32, quoted: bool },
    SizeFeed { size: u64 },
    Data { left: u64 },
    DataReturn,
    DataFeed,
    TrailerStart { used: u32 },
    Trailer { used: u32 },
    TrailerFeed { used: u32 },
    LastFeed,
    Done,
}

/// An incremental decoder: any split of the same bytes gives the same data or the same refusal.
#[derive(Clone, Copy, Debug)]
pub struct ChunkedDecoder(State);

impl Default for ChunkedDecoder {
    fn default() -> Self {
        Self(State::Size { size: 0, digits: 0 })
    }
}

impl ChunkedDecoder {
    /// Whether the last chunk and its trailers have been read.
    pub fn is_done(&self) -> bool {
        self.0 == State::Done
    }

    /// The next run of data in `input`. No data means that all of `input` was framing, or that the body is done.
    pub fn take<'i>(&mut self, input: &'i [u8]) -> Result<Piece<'i>, Refusal> {
        for (at, byte) in input.iter().copied().enumerate() {
            if let State::Data { left } = self.0 {
                let here = input.len() - at;
                let take = usize::try_from(left).map_or(here, |left| left.min(here));
                let left = left - take as u64;
                self.0 = if left == 0 { State::DataReturn } else { State::Data { left } };
                return Ok(Piece { consumed: at + take, data: &input[at..at + take], trailer: &[] });
            }
            if self.0 == State::Done {
                return Ok(Piece { consumed: at, data: &[], trailer: &[] });
            }
            if self.0.begins_trailer(byte) {
                return self.trailer(input, at);
            }
            self.0 = self.0.next(byte)?;
        }
        Ok(Piece { consumed: input.len(), data: &[], trailer: &[] })
    }

    /// Takes trailer lines from `start` on, up to the empty line behind them.
    fn trailer<'i>(&mut self, input: &'i [u8], start: usize) -> Result<Piece<'i>, Refusal> {
        let mut end = start;
        for byte in input.iter().skip(start).copied() {
            if !self.0.begins_trailer(byte) {
                break;
            }
            self.0 = self.0.next(byte)?;
            end += 1;
        }
        Ok(Piece { consumed: end, data: &[], trailer: &input[start..end] })
    }
}

impl State {
    /// Whether the next byte belongs to a trailer line, its end included.
    fn begins_trailer(self, byte: u8) -> bool {
        match self {
            Self::TrailerStart { .. } => byte != b'\r',
            Self::Trailer { .. } | Self::TrailerFeed { .. } => true,
            _ => false,
        }
    }

    /// The state behind one byte of framing.
    fn next(self, byte: u8) -> Result<Self, Refusal> {
        Ok(match (self, byte) {
            (Self::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                // Fifteen digits cannot overflow 64 bits, and no body is larger.
                if digits == 15 {
                    return Err(Refusal::ChunkSize);
                }
                let digit = (byte as char).to_digit(16).unwrap_or(0);
                Self::Size { size: size * 16 + u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { digits: 0, .. }, _) => return Err(Refusal::ChunkSize),
            (Self::Size { size, .. }, b'\r') => Self::SizeFeed { size },
            (Self::Size { size, .. }, b';') => Self::Extension { size, used: 0, quoted: false },
            (Self::Size { .. }, _) => return Err(Refusal::ChunkSize),

            (Self::Extension { size, quoted: false, .. }, b'\r') => Self::SizeFeed { size },
            (Self::Extension { .. }, 0..=8 | 10..=31 | 127) => return Err(Refusal::ChunkExtension),
            (Self::Extension { used: EXTENSION_MAX, .. }, _) => return Err(Refusal::ChunkExtension),
            (Self::Extension { size, used, quoted }, _) => {
                Self::Extension { size, used: used + 1, quoted: quoted ^ (byte == b'"') }
            }

            (Self::SizeFeed { size: 0 }, b'\n') => Self::TrailerStart { used: 0 },
            (Self::SizeFeed { size }, b'\n') => Self::Data { left: size },
            (Self::SizeFeed { .. }, _) => return Err(Refusal::ChunkSize),

            (Self::DataReturn, b'\r') => Self::DataFeed,
            (Self::DataFeed, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::DataReturn | Self::DataFeed, _) => return Err(Refusal::ChunkEnd),

            (Self::TrailerStart { .. }, b'\r') => Self::LastFeed,
            (Self::TrailerStart { .. }, b' ' | b'\t' | b':') => return Err(Refusal::Trailers),
            (Self::Trailer { used }, b'\r') => Self::TrailerFeed { used },
            (Self::TrailerFeed { used }, b'\n') => Self::TrailerStart { used },
            (Self::TrailerFeed { .. }, _) => return Err(Refusal::Trailers),
            (Self::TrailerStart { .. } | Self::Trailer { .. }, 0..=8 | 10..=31 | 127) => {
                return Err(Refusal::Trailers);
            }
            (Self::TrailerStart { used: TRAILERS_MAX } | Self::Trailer { used: TRAILERS_MAX }, _) => {
                return Err(Refusal::Trailers);
            }
            (Self::TrailerStart { used } | Self::Trailer { used }, _) => Self::Trailer { used: used + 1 },

            (Self::LastFeed, b'\n') => Self::Done,
            (Self::LastFeed, _) => return Err(Refusal::Trailers),
            (Self::Data { .. } | Self::Done, _) => self,
        })
    }
}

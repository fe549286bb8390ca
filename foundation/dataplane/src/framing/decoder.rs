//! One body, whatever its framing.

use super::{ChunkedDecoder, Length, Refusal};

/// The front part of some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'i> {
    /// How many bytes of the input are dealt with.
    pub consumed: usize,
    /// The data among them.
    pub data: &'i [u8],
    /// The trailer lines among them, as sent; a line may be split between pieces. Never together with data.
    pub trailer: &'i [u8],
}

/// Separates a body's data from its framing, and knows where it ends.
#[derive(Clone, Copy, Debug)]
pub enum Decoder {
    /// So many bytes are still to come.
    Exactly(u64),
    /// Chunks.
    Chunked(ChunkedDecoder),
    /// All that comes.
    UntilClose,
}

impl Decoder {
    /// For a body of `length`.
    pub fn new(length: Length) -> Self {
        match length {
            Length::Exactly(bytes) => Self::Exactly(bytes),
            Length::Chunked => Self::Chunked(ChunkedDecoder::default()),
            Length::UntilClose => Self::UntilClose,
        }
    }

    /// Whether the whole body has been taken. A body that ends with the connection never says so itself.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Exactly(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_done(),
            Self::UntilClose => false,
        }
    }

    /// The next run of data in `input`. Bytes beyond the end of the body are left alone.
    pub fn take<'i>(&mut self, input: &'i [u8]) -> Result<Piece<'i>, Refusal> {
        match self {
            Self::Exactly(left) => {
                let take = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= take as u64;
                Ok(Piece { consumed: take, data: &input[..take], trailer: &[] })
            }
            Self::Chunked(chunked) => chunked.take(input),
            Self::UntilClose => Ok(Piece { consumed: input.len(), data: input, trailer: &[] }),
        }
    }

    /// How many bytes are still to come, if that was said before they came.
    pub fn left(&self) -> Option<u64> {
        match self {
            Self::Exactly(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// So many of the bytes that are [left](Self::left) went another way.
    pub fn passed(&mut self, count: u64) {
        if let Self::Exactly(left) = self {
            *left = left.saturating_sub(count);
        }
    }

    /// The connection has closed: was that the end of the body?
    pub fn closed(&self) -> Result<(), Refusal> {
        if self.is_done() || matches!(self, Self::UntilClose) { Ok(()) } else { Err(Refusal::Truncated) }
    }
}

//! Bytes that have been read and not yet used.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// What a buffer starts with, and what it holds unless a large body passes through.
pub(crate) const SMALL: usize = 16 * 1024;
/// The most that one read of a large body brings: an answer of 64 KiB together with its head, which would cost a second
/// read and a second write for its last bytes.
pub(crate) const LARGE: usize = 64 * 1024 + SMALL;

/// A window of unused bytes in a block of memory that is kept and used again.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; SMALL].into_boxed_slice(), start: 0, end: 0 }
    }

    /// What has been read and not consumed.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.is_empty() {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Makes the whole block at least `size` bytes.
    pub(crate) fn grow(&mut self, size: usize) {
        if self.bytes.len() < size {
            let mut larger = vec![0; size].into_boxed_slice();
            larger[..self.end - self.start].copy_from_slice(&self.bytes[self.start..self.end]);
            self.end -= self.start;
            self.start = 0;
            self.bytes = larger;
        }
    }

    /// Whether another read has room.
    pub(crate) fn has_room(&self) -> bool {
        self.end < self.bytes.len() || self.start > 0
    }

    /// Reads once. `Ok(0)` is the end of the stream; a full buffer is an error of the caller, reported as one.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        self.poll_fill_some(cx, usize::MAX, from)
    }

    /// The same, with `most` bytes at most.
    fn poll_fill_some(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.bytes.len() {
            return Poll::Ready(Err(io::Error::other("a buffer that is full was read into")));
        }
        let until = self.end.saturating_add(most).min(self.bytes.len());
        let mut room = ReadBuf::new(&mut self.bytes[self.end..until]);
        ready!(Pin::new(from).poll_read(cx, &mut room))?;
        let count = room.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }

    pub(crate) async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.fill_some(usize::MAX, from).await
    }

    pub(crate) async fn fill_some(
        &mut self,
        most: usize,
        from: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill_some(cx, most, from)).await
    }
}

//! Cuts what a program writes into printable lines of bounded length.

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest line that is shown; what follows is skipped up to the line's end.
pub(crate) const LINE_BYTES_MAX: usize = 16 * 1024;

/// Reads lines from a pipe. Cancel-safe: a call that is dropped loses nothing.
pub(crate) struct Lines<R> {
    source: R,
    chunk: Vec<u8>,
    line: Vec<u8>,
    skipped: usize,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, chunk: Vec::new(), line: Vec::new(), skipped: 0, ended: false }
    }

    /// The next line without its end; `None` when the writer closed the pipe. A last line without end counts.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.chunk.iter().position(|byte| *byte == b'\n') {
                self.keep(end);
                self.chunk.drain(..=end);
                return Some(self.take());
            }
            self.keep(self.chunk.len());
            self.chunk.clear();
            if self.ended {
                return (!self.line.is_empty()).then(|| self.take());
            }
            // Reads into spare room, so that an idle pipe costs this much and no more.
            self.chunk.reserve(4096);
            if !matches!(self.source.read_buf(&mut self.chunk).await, Ok(count) if count > 0) {
                self.ended = true;
            }
        }
    }

    /// What was read already, up to the middle of a line.
    pub(crate) async fn rest(self) -> Vec<String> {
        let Self { chunk, line, skipped, .. } = self;
        let mut left = Lines { source: tokio::io::empty(), chunk, line, skipped, ended: true };
        let mut lines = Vec::new();
        while let Some(line) = left.next().await {
            lines.push(line);
        }
        lines
    }

    fn keep(&mut self, count: usize) {
        let kept = count.min(LINE_BYTES_MAX - self.line.len());
        self.line.extend_from_slice(&self.chunk[..kept]);
        self.skipped += count - kept;
    }

    fn take(&mut self) -> String {
        let line = std::mem::take(&mut self.line);
        let mut text = printable(line.strip_suffix(b"\r").unwrap_or(&line));
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 {
            text.push_str(&format!(" … ({skipped} bytes more)"));
        }
        text
    }
}

/// Bytes as text that a terminal shows and does not obey: control characters and what is not UTF-8 become `\x1b`.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => text.push(c),
                c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", c as u32)),
                c if c.is_control() => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8]) -> Vec<String> {
        let mut lines = Lines::new(input);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await {
            found.push(line);
        }
        found
    }

    #[tokio::test]
    async fn lines_are_cut_at_their_ends_and_made_printable() {
        assert_eq!(lines(b"one\r\n\ntwo\x1b[31m\xff\tend").await, ["one", "", "two\\x1b[31m\\xff\tend"]);
        assert!(lines(b"").await.is_empty());
    }

    #[tokio::test]
    async fn a_long_line_is_cut_and_the_next_is_whole() {
        let mut input = vec![b'x'; LINE_BYTES_MAX + 5];
        input.extend(b"\nnext\n");
        let found = lines(&input).await;
        assert!(found[0].ends_with("x … (5 bytes more)"));
        assert_eq!(found[1], "next");
    }
}

//! Where a head ends.

use super::Refusal;

/// Looks for the end of a head in bytes that arrive bit by bit; each byte is looked at once.
///
/// The parser that follows is lenient about line ends, so their rules are enforced here: every line ends in CR LF,
/// and no line but the first begins with white space.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    line: usize,
    seen: usize,
}

impl HeadScan {
    /// The length of the head at the start of `bytes`, once all of it is there. Call again with more bytes after it.
    pub fn end(&mut self, bytes: &[u8], head_max: usize) -> Result<Option<usize>, Refusal> {
        while let Some(found) = memchr::memchr(b'\n', bytes.get(self.seen..).unwrap_or_default()) {
            let feed = self.seen + found;
            // What lies beyond the bound must not be looked at: had it come a byte later, nobody would have.
            if feed >= head_max {
                return Err(Refusal::HeadTooLarge);
            }
            if feed == self.line || bytes[feed - 1] != b'\r' {
                return Err(Refusal::BareLineFeed);
            }
            let line = &bytes[self.line..feed - 1];
            if self.line > 0 && matches!(line.first(), Some(b' ' | b'\t')) {
                return Err(Refusal::Folded);
            }
            self.line = feed + 1;
            self.seen = feed + 1;
            if line.is_empty() {
                return Ok(Some(feed + 1));
            }
        }
        self.seen = bytes.len();
        if bytes.len() > head_max { Err(Refusal::HeadTooLarge) } else { Ok(None) }
    }
}

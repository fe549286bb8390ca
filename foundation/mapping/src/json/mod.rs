//! JSON, read and written without touching a digit.
//!
//! The reader is strict (RFC 8259) and refuses what receivers disagree about: a name that is there twice, half of a
//! surrogate pair, bytes that are no UTF-8.

mod read;
mod write;

pub use read::read;
pub use write::write;

/// How many bytes at the start a text holds as they are: neither a quote, a backslash nor a control character.
fn plain(bytes: &[u8]) -> usize {
    /// How many bytes are looked at together, which the processor does at once.
    const TOGETHER: usize = 16;
    let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..at + TOGETHER)
        && !chunk.iter().fold(false, |found, byte| found | special(*byte))
    {
        at += TOGETHER;
    }
    let rest = &bytes[at..];
    at + rest.iter().position(|byte| special(*byte)).unwrap_or(rest.len())
}

//! JSON, read and written without touching a digit.
//!
//! The reader is strict (RFC 8259) and refuses what receivers disagree about: a name that is there twice, half of a
//! surrogate pair, bytes that are no UTF-8.

mod read;
mod write;

pub use read::read;
pub(crate) use write::quoted;
pub use write::write;

/// How many bytes at the start a text holds as they are: neither a quote, a backslash nor a control character.
///
/// Eight at a time: texts are short, and looking for the one byte that ends them is what reading mostly does.
fn plain(bytes: &[u8]) -> usize {
    const ALL: usize = 8;
    let within = |word: &[u8; ALL]| special(u64::from_le_bytes(*word)).trailing_zeros() as usize / 8;
    let (words, rest) = bytes.as_chunks::<ALL>();
    for (at, word) in words.iter().enumerate() {
        match within(word) {
            ALL => {}
            plain => return at * ALL + plain,
        }
    }
    match bytes.last_chunk::<ALL>() {
        // It begins with some that are known to be plain.
        Some(last) => bytes.len() - ALL + within(last),
        None => {
            rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')).unwrap_or(rest.len())
        }
    }
}

/// The highest bit of each byte that is special. A borrow may set that of a byte behind the first such one, never before it.
fn special(word: u64) -> u64 {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    let below = |word: u64, bound: u8| word.wrapping_sub(EACH * u64::from(bound)) & !word;
    let equal = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) & (EACH << 7)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
            for at in 0..20 {
                for behind in [b'x', b'"', 0, 0x80, 0xff] {
                    let mut text = [b'!'; 24];
                    text[at] = byte;
                    text[at + 1..].fill(behind);
                    let expected = if is_special { at } else { plain(&text[at + 1..]) + at + 1 };
                    assert_eq!(plain(&text), expected, "{byte} at {at} before {behind}");
                }
            }
        }
        assert_eq!((plain(b""), plain("Grüße, Welt!".as_bytes())), (0, 14));
    }
}

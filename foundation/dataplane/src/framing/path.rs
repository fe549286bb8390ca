//! One spelling for each path.
//!
//! Routing, policy and the service behind must look at the same path, or a rule for `/admin` is passed by as
//! `/x/..//%61dmin`. The canonical form is made once, before routing, and is what is forwarded.

use super::Refusal;

/// What to do with `//` in a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slashes {
    /// Read it as `/`.
    #[default]
    Merge,
    /// Leave it.
    Keep,
    /// Refuse the request.
    Refuse,
}

/// Appends the canonical form of `path` (which begins with `/`) to `out`.
///
/// Escapes of unreserved characters are decoded, other escapes get upper-case digits, characters that a path cannot
/// have are escaped, and dot segments are resolved. An escaped slash stays escaped: it separates nothing. Refused: an
/// escape that is none, an escaped NUL or other control character, and a path that climbs above its root.
pub fn canonical_path(path: &str, slashes: Slashes, out: &mut String) -> Result<(), Refusal> {
    if !path.starts_with('/') {
        return Err(Refusal::Path);
    }
    if is_canonical(path.as_bytes()) {
        out.push_str(path);
        return Ok(());
    }
    let root = out.len();
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if segment.is_empty() && !is_last {
            match slashes {
                Slashes::Merge => continue,
                Slashes::Keep => {}
                Slashes::Refuse => return Err(Refusal::EmptySegment),
            }
        }
        let start = out.len();
        out.push('/');
        spell(segment, true, out)?;
        let is_dot = match &out[start + 1..] {
            "." => true,
            ".." => {
                out.truncate(start);
                let parent = out[root..].rfind('/').ok_or(Refusal::Path)?;
                out.truncate(root + parent);
                if is_last {
                    out.push('/');
                }
                continue;
            }
            // Servers that take `;` for parameters would read these as dot segments after all.
            dots if dots.starts_with(".;") || dots.starts_with("..;") => return Err(Refusal::Path),
            _ => false,
        };
        if is_dot {
            out.truncate(start);
            if is_last {
                out.push('/');
            }
        }
    }
    if out.len() == root {
        out.push('/');
    }
    Ok(())
}

/// Appends the canonical form of a query: escapes are checked, and what a query cannot have is escaped.
pub fn canonical_query(query: &str, out: &mut String) -> Result<(), Refusal> {
    if query.bytes().all(|byte| CLASS[byte as usize] == PLAIN || matches!(byte, b'/' | b'?' | b'%' | b'.')) {
        // Escapes in a query mean whatever the service behind says; only their spelling is its own business.
        out.push_str(query);
        return Ok(());
    }
    spell(query, false, out)
}

/// Nearly every path that real clients send needs no work at all.
fn is_canonical(path: &[u8]) -> bool {
    let mut before = 0;
    for byte in path {
        let fine = match CLASS[*byte as usize] {
            PLAIN => true,
            SLASH => before != b'/',
            DOT => before != b'/',
            _ => false,
        };
        if !fine {
            return false;
        }
        before = *byte;
    }
    true
}

fn spell(text: &str, strict: bool, out: &mut String) -> Result<(), Refusal> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        if byte == b'%' {
            let escaped =
                bytes.get(at..at + 2).and_then(|digits| Some(hex(digits[0])? << 4 | hex(digits[1])?));
            match escaped {
                Some(byte) => {
                    at += 2;
                    if strict && (byte < 32 || byte == 127) {
                        return Err(Refusal::Path);
                    }
                    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                        out.push(char::from(byte));
                    } else {
                        escape(byte, out);
                    }
                }
                None if strict => return Err(Refusal::Path),
                None => out.push('%'),
            }
        } else if matches!(CLASS[byte as usize], PLAIN | DOT | SLASH) || (!strict && byte == b'?') {
            out.push(char::from(byte));
        } else if byte < 32 || byte == 127 {
            return Err(Refusal::Path);
        } else {
            escape(byte, out);
        }
    }
    Ok(())
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn escape(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

const OTHER: u8 = 0;
const PLAIN: u8 = 1;
const SLASH: u8 = 2;
const DOT: u8 = 3;

/// What each byte is in a path: RFC 3986's `pchar` is plain.
static CLASS: [u8; 256] = {
    let mut class = [OTHER; 256];
    let mut byte = 0;
    while byte < 128 {
        let plain = (byte as u8).is_ascii_alphanumeric();
        class[byte] = if plain { PLAIN } else { OTHER };
        byte += 1;
    }
    let marks = b"-_~!$&'()*+,;=:@";
    let mut at = 0;
    while at < marks.len() {
        class[marks[at] as usize] = PLAIN;
        at += 1;
    }
    class[b'/' as usize] = SLASH;
    class[b'.' as usize] = DOT;
    class
};

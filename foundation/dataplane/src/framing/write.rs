//! The one spelling in which heads and chunks are sent on.

use http::StatusCode;

use super::Field;

/// Whether two header names are the same; `_` counts as `-`, because many servers hand both to a program as one name.
pub fn names_equal(name: &str, lower: &str) -> bool {
    name.len() == lower.len()
        && name
            .bytes()
            .zip(lower.bytes())
            .all(|(byte, lower)| byte.to_ascii_lowercase() == lower || (byte == b'_' && lower == b'-'))
}

/// Whether a header belongs to one connection and is never forwarded.
pub fn is_hop_by_hop(name: &str) -> bool {
    let candidates: &[&str] = match name.len() {
        2 => &["te"],
        7 => &["trailer", "upgrade"],
        10 => &["connection", "keep-alive"],
        16 => &["proxy-connection"],
        17 => &["transfer-encoding"],
        18 => &["proxy-authenticate"],
        19 => &["proxy-authorization"],
        _ => return false,
    };
    candidates.iter().any(|candidate| names_equal(name, candidate))
}

/// Appends a request line. `target` must be canonical.
pub fn request_line(method: &str, target: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Appends a status line with the standard reason, never with one that somebody sent.
pub fn status_line(status: u16, out: &mut Vec<u8>) {
    if status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(u64::from(status), out);
    out.push(b' ');
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    out.extend_from_slice(reason.unwrap_or("").as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends one header line. The caller vouches for the value: it holds no line end.
pub fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a `Content-Length`.
pub fn length_field(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"content-length: ");
    decimal(length, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends the headers that may be forwarded: not those of the connection or of the framing, not those that
/// `Connection` names (looked for only if it `names_more`), and not those that `strip` picks.
pub fn copy_fields(fields: &[Field<'_>], names_more: bool, strip: impl Fn(&str) -> bool, out: &mut Vec<u8>) {
    for one in fields {
        let dropped = is_hop_by_hop(one.name)
            || (one.name.len() == 14 && names_equal(one.name, "content-length"))
            || strip(one.name)
            || (names_more && is_named_by_connection(one.name, fields));
        if !dropped {
            field(one.name, one.value, out);
        }
    }
}

pub(crate) fn is_named_by_connection(name: &str, fields: &[Field<'_>]) -> bool {
    fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("connection"))
        .flat_map(|field| field.value.split(|byte| *byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}

/// Appends a number in decimal digits.
pub fn decimal(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut left = number;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends one chunk. Empty data appends nothing: an empty chunk would end the body.
pub fn chunk(data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    let mut digits = [0u8; 16];
    let mut at = digits.len();
    let mut left = data.len();
    while left > 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[left & 15];
        left >>= 4;
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends the chunk that ends a body.
pub fn last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

//! What may follow a body.
//!
//! A trailer arrives after everything was decided from the head: by the router, by policy, by the service. So one that
//! would have changed a decision is dropped, and so is one that the head did not announce (RFC 9110 §6.5.1).

use super::{Field, Refusal, copy_fields, is_hop_by_hop, names_equal};

/// No body has more trailers than this.
const TRAILERS_MAX: usize = 32;

/// Names that frame, route, authenticate or describe a message, and therefore must stand in its head.
const IN_HEAD_ONLY: [&str; 22] = [
    "host",
    "content-length",
    "content-encoding",
    "content-type",
    "content-range",
    "content-disposition",
    "authorization",
    "www-authenticate",
    "cookie",
    "set-cookie",
    "cache-control",
    "expires",
    "age",
    "vary",
    "date",
    "location",
    "range",
    "expect",
    "max-forwards",
    "pragma",
    "retry-after",
    "forwarded",
];

/// Whether a trailer of this name is passed on.
pub fn may_trail(name: &str) -> bool {
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| names_equal(start, prefix));
    !name.is_empty()
        && !is_hop_by_hop(name)
        && !IN_HEAD_ONLY.iter().any(|known| names_equal(name, known))
        && !begins("x-forwarded-")
        && !begins("if-")
}

/// The names that a head announces and that may trail, without those that `strip` picks: a list for another head's
/// `Trailer`. Empty if there are none.
pub fn announced(fields: &[Field<'_>], strip: impl Fn(&str) -> bool) -> String {
    let values = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("trailer"));
    let names = values.flat_map(|field| field.value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let mut list = String::new();
    for name in names.filter(|name| name.iter().all(token)).take(TRAILERS_MAX) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if may_trail(name) && !strip(name) {
            if !list.is_empty() {
                list.push_str(", ");
            }
            list.push_str(name);
        }
    }
    list
}

/// Reads trailer lines, each with its end, and hands over those that `announced` lists.
pub fn read_trailers(lines: &[u8], announced: &str, mut with: impl FnMut(&Field<'_>)) -> Result<(), Refusal> {
    if lines.is_empty() || announced.is_empty() {
        return Ok(());
    }
    let block = [lines, b"\r\n"].concat();
    let mut slots = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(&block, &mut slots) else {
        return Err(Refusal::Trailers);
    };
    for field in fields {
        if announced.split(", ").any(|name| name.eq_ignore_ascii_case(field.name)) {
            with(field);
        }
    }
    Ok(())
}

/// Appends the end of a chunked body: the last chunk, and those of the trailer `lines` that are `announced`.
pub fn last_chunk_with(lines: &[u8], announced: &str, out: &mut Vec<u8>) -> Result<(), Refusal> {
    out.extend_from_slice(b"0\r\n");
    read_trailers(lines, announced, |field| copy_fields(&[*field], false, |_| false, out))?;
    out.extend_from_slice(b"\r\n");
    Ok(())
}

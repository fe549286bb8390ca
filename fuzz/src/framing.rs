//! The framing of HTTP/1.1: what two readers could read differently must not pass.

use dozen_dataplane::framing::{
    ChunkedDecoder, Field, HeadScan, Length, Refusal, RequestHead, Slashes, canonical_path, canonical_query,
    chunk, copy_fields, field, last_chunk, length_field, names_equal, request, request_line, response, slots,
    status_line,
};

const HEAD_MAX: usize = 2048;

pub(crate) const REQUEST_WORDS: &[&str] = &[
    "\r\n",
    "\r\n\r\n",
    "\n",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    "GET ",
    "POST ",
    "CONNECT ",
    "host: a\r\n",
    "content-length: 5\r\n",
    "Content-Length: +5\r\n",
    "content-length: 5, 5\r\n",
    "transfer-encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "connection: close, x-a\r\n",
    "upgrade: websocket\r\n",
    "http://a/b",
    "expect: 100-continue\r\n",
    "trailer: x\r\n",
    "te: trailers\r\n",
    "x_a: b\r\n",
    "%2e%2e/",
    "\u{b}",
    "*",
];
pub(crate) const RESPONSE_WORDS: &[&str] = &[
    "\r\n",
    "\r\n\r\n",
    "\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n",
    "HTTP/1.1 204 \r\n",
    "HTTP/1.1 999 x\r\n",
    "content-length: 5\r\n",
    "content-length: 5, 6\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "transfer-encoding: chunked\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "connection: close, x-a\r\n",
    "connection: upgrade\r\n",
    "upgrade: websocket\r\n",
    "trailer: x\r\n",
    "set-cookie: a=b\r\n",
    " folded\r\n",
    "\u{b}",
];
pub(crate) const CHUNKED_WORDS: &[&str] = &[
    "\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    ";a=b",
    ";a=\"b\"",
    "ffffffffffffffff",
    "10000000000000000",
    "0x5",
    "-1",
    "\n",
    "x: y\r\n",
    "\r\n\r\n",
];
pub(crate) const PATH_WORDS: &[&str] = &[
    "/", "//", "/.", "/..", "%2e", "%2E%2e", "%2f", "%00", "%", "%zz", ";", "..;", "?", "=", "&", "+", "é",
    "\\",
];

/// The length of the head that begins `bytes`.
fn end(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    HeadScan::default().end(bytes, HEAD_MAX)
}

/// The end of a head does not depend on how it was split; a head that is read, written and read again says the same.
pub(crate) fn head(bytes: &[u8]) {
    let whole = end(bytes);
    let mut scan = HeadScan::default();
    let found = (0..=bytes.len()).find_map(|length| scan.end(&bytes[..length], HEAD_MAX).transpose());
    assert_eq!(found.transpose(), whole, "one byte at a time the head ends elsewhere");
    let Ok(Some(end)) = whole else { return };
    assert!(end <= HEAD_MAX && bytes[..end].ends_with(b"\r\n"));
    let mut room = slots();
    let Ok(head) = request(&bytes[..end], &mut room) else { return };
    assert!(head.is_v11 || head.length != Length::Chunked);
    let written = write(&head);
    let mut room = slots();
    let again = request(&written, &mut room).unwrap_or_else(|refusal| {
        panic!("what is written is refused ({refusal:?}): {}", String::from_utf8_lossy(&written))
    });
    assert_eq!(
        (again.method, again.path, again.query, again.host, again.length),
        (head.method, head.path, head.query, if head.host.is_empty() { "a" } else { head.host }, head.length)
    );
    let kept = |head: &RequestHead<'_, '_>| -> Vec<(String, Vec<u8>)> {
        let others = head.fields.iter().filter(|field| !is_own(field.name));
        others.map(|field| (field.name.to_ascii_lowercase(), field.value.to_vec())).collect()
    };
    assert!(kept(&again).iter().all(|field| kept(&head).contains(field)), "a header came from nowhere");
    assert_eq!(write(&again), written, "the canonical spelling of a canonical head is another one");
}

/// What the writer spells itself.
fn is_own(name: &str) -> bool {
    ["host", "content-length", "transfer-encoding"].iter().any(|own| names_equal(name, own))
}

fn write(head: &RequestHead<'_, '_>) -> Vec<u8> {
    let mut out = Vec::new();
    let target = match head.query {
        Some(query) => format!("{}?{query}", head.path),
        None => head.path.to_owned(),
    };
    request_line(head.method, &target, &mut out);
    field("host", if head.host.is_empty() { b"a" } else { head.host.as_bytes() }, &mut out);
    match head.length {
        Length::Exactly(0) | Length::UntilClose => {}
        Length::Exactly(length) => length_field(length, &mut out),
        Length::Chunked => field("transfer-encoding", b"chunked", &mut out),
    }
    copy_fields(head.fields, head.names_more, is_own, &mut out);
    out.extend_from_slice(b"\r\n");
    out
}

/// The head of an answer that is read, written and read again says the same: its status, and where its body ends.
pub(crate) fn answer(bytes: &[u8]) {
    let Ok(Some(end)) = end(bytes) else { return };
    for to_head in [false, true] {
        let mut room = slots();
        let Ok(head) = response(&bytes[..end], to_head, &mut room) else { continue };
        assert!((100..=599).contains(&head.status));
        assert!(
            !head.keep_alive || head.length != Length::UntilClose,
            "a body that has no end is followed by nothing"
        );
        assert!(!head.websocket || head.status == 101);
        let written = write_answer(head.status, head.length, head.fields, head.names_more);
        let mut room = slots();
        let again = response(&written, to_head, &mut room).unwrap_or_else(|refusal| {
            panic!("what is written is refused ({refusal:?}): {}", String::from_utf8_lossy(&written))
        });
        assert_eq!((again.status, again.length), (head.status, head.length));
        let same = write_answer(again.status, again.length, again.fields, again.names_more);
        assert_eq!(same, written, "the canonical spelling of a canonical head is another one");
    }
}

fn write_answer(status: u16, length: Length, fields: &[Field<'_>], names_more: bool) -> Vec<u8> {
    let mut out = Vec::new();
    status_line(status, &mut out);
    match length {
        Length::Exactly(0) if status < 200 || status == 204 || status == 304 => {}
        Length::Exactly(length) => length_field(length, &mut out),
        Length::Chunked => field("transfer-encoding", b"chunked", &mut out),
        Length::UntilClose => {}
    }
    copy_fields(fields, names_more, is_own, &mut out);
    out.extend_from_slice(b"\r\n");
    out
}

/// What a decoder makes of bytes that come in pieces of `step`: the data, how much was used, and how it ended.
fn decode(bytes: &[u8], step: usize) -> (Vec<u8>, usize, Result<bool, Refusal>) {
    let mut decoder = ChunkedDecoder::default();
    let (mut data, mut used) = (Vec::new(), 0);
    for piece in bytes.chunks(step.max(1)) {
        let mut rest = piece;
        while !rest.is_empty() && !decoder.is_done() {
            match decoder.take(rest) {
                Ok(taken) => {
                    assert!(taken.consumed > 0, "a decoder that uses nothing is asked for ever");
                    data.extend_from_slice(taken.data);
                    used += taken.consumed;
                    rest = &rest[taken.consumed..];
                }
                Err(refusal) => return (data, used, Err(refusal)),
            }
        }
    }
    (data, used, Ok(decoder.is_done()))
}

/// Any split gives the same data and the same end; data that is written in chunks is read back.
pub(crate) fn chunked(bytes: &[u8]) {
    let (data, used, ended) = decode(bytes, bytes.len());
    assert!(data.len() <= bytes.len() && used <= bytes.len());
    for step in [1, 2, 7] {
        let (same, taken, end) = decode(bytes, step);
        assert_eq!((&same, end), (&data, ended), "in pieces of {step}");
        assert!(ended.is_err() || taken == used, "in pieces of {step}");
    }
    let mut written = Vec::new();
    bytes.chunks(1000).for_each(|piece| chunk(piece, &mut written));
    last_chunk(&mut written);
    let all = written.len();
    assert_eq!(decode(&written, 3), (bytes.to_vec(), all, Ok(true)), "what is written is not read back");
}

/// A canonical path is its own canonical form, climbs nowhere and hides nothing.
pub(crate) fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    for slashes in [Slashes::Merge, Slashes::Keep, Slashes::Refuse] {
        let mut once = String::new();
        if canonical_path(path, slashes, &mut once).is_err() {
            continue;
        }
        assert!(once.starts_with('/') && once.len() <= 3 * path.len(), "{once}");
        assert!(once.bytes().all(|byte| byte.is_ascii_graphic()), "{once}");
        for segment in once.split('/') {
            let plain = segment.split(';').next().unwrap_or("");
            assert!(!matches!(plain, "." | ".."), "{once}");
        }
        assert!(slashes == Slashes::Keep || !once.contains("//"), "{once}");
        let mut twice = String::new();
        assert_eq!(canonical_path(&once, slashes, &mut twice), Ok(()), "{once}");
        assert_eq!(once, twice);
    }
    let mut once = String::new();
    if canonical_query(query, &mut once).is_ok() {
        assert!(once.len() <= 3 * query.len(), "{once}");
        let mut twice = String::new();
        assert_eq!(canonical_query(&once, &mut twice), Ok(()), "{once}");
        assert_eq!(once, twice);
    }
}

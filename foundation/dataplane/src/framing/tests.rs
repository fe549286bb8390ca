//! The rules, one line each; and the promises, for any input.

mod chunks;
mod paths;

use super::*;
use proptest::prelude::*;

const LIMIT: usize = 16 * 1024;

/// Reads a whole head as a connection would.
fn read(bytes: &[u8]) -> Result<Length, Refusal> {
    let end = HeadScan::default().end(bytes, LIMIT)?.ok_or(Refusal::Truncated)?;
    let mut slots = slots();
    let head = request(&bytes[..end], &mut slots)?;
    let mut path = String::new();
    canonical_path(head.path, Slashes::Merge, &mut path)?;
    Ok(head.length)
}

fn read_response(bytes: &[u8], to_head: bool) -> Result<Length, Refusal> {
    let end = HeadScan::default().end(bytes, LIMIT)?.ok_or(Refusal::Truncated)?;
    let mut slots = slots();
    response(&bytes[..end], to_head, &mut slots).map(|head| head.length)
}

/// Reads a head that came over HTTP/2.
fn read_stream(
    method: &str,
    authority: Option<&str>,
    target: &str,
    fields: &[(&str, &str)],
) -> Result<Length, Refusal> {
    let fields: Vec<_> = fields.iter().map(|(name, value)| Field { name, value: value.as_bytes() }).collect();
    let head = Streamed { method, authority, target, is_whole: false };
    let head = stream_request(head, &fields)?;
    let mut path = String::new();
    canonical_path(head.path, Slashes::Merge, &mut path)?;
    Ok(head.length)
}

#[test]
fn a_stream_is_read_by_the_same_rules() {
    use Length::{Chunked, Exactly};
    let check = |method, authority, target, fields: &[(&str, &str)], expected| {
        assert_eq!(
            read_stream(method, authority, target, fields),
            expected,
            "{method} {authority:?} {fields:?}"
        );
    };
    let a = Some("a");
    check("GET", a, "/", &[], Ok(Chunked));
    check("POST", a, "/", &[("content-length", "3")], Ok(Exactly(3)));
    check("GET", None, "/", &[("host", "a")], Ok(Chunked));
    check("GET", a, "/", &[("host", "A")], Ok(Chunked));
    check("GET", a, "/", &[("te", "trailers")], Ok(Chunked));
    check("GET", a, "/", &[("host", "b")], Err(Refusal::HostMismatch));
    check("GET", a, "/", &[("host", "a"), ("host", "a")], Err(Refusal::HostTwice));
    check("GET", None, "/", &[], Err(Refusal::HostMissing));
    check("GET", Some("user@a"), "/", &[], Err(Refusal::HostMalformed));
    check("GET", a, "*", &[], Err(Refusal::Target));
    check("GET", a, "", &[], Err(Refusal::Target));
    check("GET", a, "/a#b", &[], Err(Refusal::Target));
    check("GET", a, "/../a", &[], Err(Refusal::Path));
    check("get", a, "/", &[], Err(Refusal::Method));
    check("CONNECT", a, "/", &[], Err(Refusal::Upgrade));
    check("POST", a, "/", &[("content-length", "3"), ("content-length", "3")], Err(Refusal::LengthTwice));
    check("POST", a, "/", &[("content-length", "+3")], Err(Refusal::LengthMalformed));
    for name in ["connection", "keep-alive", "proxy-connection", "upgrade"] {
        check("GET", a, "/", &[(name, "x")], Err(Refusal::OfConnection));
    }
    check("POST", a, "/", &[("transfer-encoding", "chunked")], Err(Refusal::OfConnection));
}

#[test]
fn trailers_are_those_that_were_announced_and_may_trail() {
    let field = |name, value: &'static str| Field { name, value: value.as_bytes() };
    let head = [
        field("Trailer", "X-Sum, content-length , transfer-encoding,,If-Match"),
        field("trailer", "x_forwarded_for, host, set-cookie, grpc-status, bad name, X-Own"),
    ];
    let announced = announced(&head, |name| name == "X-Own");
    assert_eq!(announced, "X-Sum, grpc-status");
    let read = |lines: &[u8]| {
        let mut read = Vec::new();
        let keep =
            |field: &Field<'_>| read.push(format!("{}={}", field.name, String::from_utf8_lossy(field.value)));
        read_trailers(lines, &announced, keep).map(|()| read)
    };
    assert_eq!(read(b"x-sum: 1\r\nx-other: 2\r\nGrpc-Status:0\r\n").unwrap(), ["x-sum=1", "Grpc-Status=0"]);
    assert_eq!(read(b"").unwrap(), [""; 0]);
    assert_eq!(read(b"no colon\r\n"), Err(Refusal::Trailers));
    assert_eq!(read(&b"x: y\r\n".repeat(33)), Err(Refusal::Trailers));
    let mut out = Vec::new();
    last_chunk_with(b"x-sum: 1\r\nx-other: 2\r\n", &announced, &mut out).unwrap();
    assert_eq!(out, b"0\r\nx-sum: 1\r\n\r\n");
}

/// A request with these header lines after `Host`.
fn with(lines: &str) -> Vec<u8> {
    format!("POST /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

#[test]
fn headers_that_frame_a_request() {
    use Length::{Chunked, Exactly};
    for (lines, expected) in [
        ("", Ok(Exactly(0))),
        ("Content-Length: 0\r\n", Ok(Exactly(0))),
        ("Content-Length: 12\r\n", Ok(Exactly(12))),
        ("content-length:12\r\n", Ok(Exactly(12))),
        ("Content-Length: \t 12 \t\r\n", Ok(Exactly(12))),
        ("Content-Length: 0012\r\n", Ok(Exactly(12))),
        ("Content-Length: 9223372036854775807\r\n", Ok(Exactly(9_223_372_036_854_775_807))),
        ("Transfer-Encoding: chunked\r\n", Ok(Chunked)),
        ("transfer-encoding:chunked\r\n", Ok(Chunked)),
        ("Content_Length: 12\r\n", Ok(Exactly(0))),
        ("Expect: 100-continue\r\nContent-Length: 1\r\n", Ok(Exactly(1))),
        ("Content-Length:\r\n", Err(Refusal::LengthMalformed)),
        ("Content-Length: +12\r\n", Err(Refusal::LengthMalformed)),
        ("Content-Length: -1\r\n", Err(Refusal::LengthMalformed)),
        ("Content-Length: 0x10\r\n", Err(Refusal::LengthMalformed)),
        ("Content-Length: 1e3\r\n", Err(Refusal::LengthMalformed)),
        ("Content-Length: 12,\r\n", Err(Refusal::LengthMalformed)),
        ("Content-Length: 12, 12\r\n", Err(Refusal::LengthMalformed)),
        ("Content-Length: 1 2\r\n", Err(Refusal::LengthMalformed)),
        ("Content-Length: \"12\"\r\n", Err(Refusal::LengthMalformed)),
        ("Content-Length: 18446744073709551616\r\n", Err(Refusal::LengthMalformed)),
        ("Content-Length: 99999999999999999999999\r\n", Err(Refusal::LengthMalformed)),
        ("Content-Length: 12\r\nContent-Length: 12\r\n", Err(Refusal::LengthTwice)),
        ("Content-Length: 12\r\nContent-Length: 13\r\n", Err(Refusal::LengthTwice)),
        ("Content-Length: 12\r\nTransfer-Encoding: chunked\r\n", Err(Refusal::LengthWithEncoding)),
        ("Transfer-Encoding: chunked\r\nContent-Length: 12\r\n", Err(Refusal::LengthWithEncoding)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(Refusal::Encoding)),
        ("Transfer-Encoding: identity\r\n", Err(Refusal::Encoding)),
        ("Transfer-Encoding: gzip, chunked\r\n", Err(Refusal::Encoding)),
        ("Transfer-Encoding: chunked, identity\r\n", Err(Refusal::Encoding)),
        ("Transfer-Encoding: xchunked\r\n", Err(Refusal::Encoding)),
        ("Transfer-Encoding: chunked;q=1\r\n", Err(Refusal::Encoding)),
        ("Transfer-Encoding: \"chunked\"\r\n", Err(Refusal::Encoding)),
        ("Transfer-Encoding:\r\n", Err(Refusal::Encoding)),
        ("Transfer-Encoding: \u{b}chunked\r\n", Err(Refusal::Malformed)),
        ("Expect: 200-ok\r\n", Err(Refusal::Expectation)),
        // Only a GET without a body can become a WebSocket; other offers are passed over.
        ("Upgrade: websocket\r\nConnection: upgrade\r\n", Err(Refusal::Upgrade)),
        ("Upgrade: h2c\r\nConnection: upgrade\r\n", Ok(Exactly(0))),
        ("Upgrade: websocket\r\n", Ok(Exactly(0))),
        ("Host: a\r\n", Err(Refusal::HostTwice)),
        ("Content-Length : 12\r\n", Err(Refusal::Malformed)),
        (" Content-Length: 12\r\n", Err(Refusal::Folded)),
        ("X: 1\r\n\tfolded\r\n", Err(Refusal::Folded)),
        ("X: 1\n", Err(Refusal::BareLineFeed)),
        ("X: 1\n\r\n", Err(Refusal::BareLineFeed)),
        ("X: 1\rY: 2\r\n", Err(Refusal::Malformed)),
        ("X: 1\r\r\n", Err(Refusal::Malformed)),
        ("X: \0\r\n", Err(Refusal::Malformed)),
        ("X\0: 1\r\n", Err(Refusal::Malformed)),
        ("X\r\n", Err(Refusal::Malformed)),
        (": 1\r\n", Err(Refusal::Malformed)),
        ("X(: 1\r\n", Err(Refusal::Malformed)),
    ] {
        assert_eq!(read(&with(lines)), expected, "{lines:?}");
    }
}

#[test]
fn request_lines_and_hosts() {
    let ok = Ok(Length::Exactly(0));
    for (head, expected) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ok),
        ("GET / HTTP/1.0\r\n\r\n", ok),
        ("GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", ok),
        ("GET http://A:80?x HTTP/1.1\r\nHost: a:80\r\n\r\n", ok),
        ("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", ok),
        ("GET / HTTP/1.1\r\n\r\n", Err(Refusal::HostMissing)),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Err(Refusal::HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Err(Refusal::HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", Err(Refusal::HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Err(Refusal::HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Err(Refusal::HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", Err(Refusal::HostMalformed)),
        ("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", Err(Refusal::HostMalformed)),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::HostMismatch)),
        ("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::Target)),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::Target)),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::Target)),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::Target)),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", Err(Refusal::Upgrade)),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::Method)),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Err(Refusal::Version)),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Err(Refusal::Version)),
        ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", Err(Refusal::Malformed)),
        ("GET /\r\n\r\n", Err(Refusal::Malformed)),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::Malformed)),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::Version)),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::Malformed)),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Err(Refusal::BareLineFeed)),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", Err(Refusal::BareLineFeed)),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Err(Refusal::EncodingInOldVersion)),
        ("GET /%0 HTTP/1.1\r\nHost: a\r\n\r\n", Err(Refusal::Path)),
    ] {
        assert_eq!(read(head.as_bytes()), expected, "{head:?}");
    }
    assert!(read(b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n").is_err());
}

#[test]
fn limits_of_a_head() {
    let line = format!("X: {}\r\n", "y".repeat(LIMIT));
    assert_eq!(read(&with(&line)), Err(Refusal::HeadTooLarge));
    assert_eq!(HeadScan::default().end(&vec![b'a'; LIMIT + 1], LIMIT), Err(Refusal::HeadTooLarge));
    assert_eq!(read(&with(&"X: y\r\n".repeat(HEADERS_MAX - 1))), Ok(Length::Exactly(0)));
    assert_eq!(read(&with(&"X: y\r\n".repeat(HEADERS_MAX))), Err(Refusal::TooManyHeaders));
    assert_eq!(Refusal::TooManyHeaders.status(), 431);
    assert_eq!((Refusal::BodyTooLarge.status(), Refusal::Folded.status()), (413, 400));
}

#[test]
fn headers_that_frame_a_response() {
    use Length::{Chunked, Exactly, UntilClose};
    for (head, to_head, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\n", false, Ok(UntilClose)),
        ("HTTP/1.1 200 OK\r\n\r\n", true, Ok(Exactly(0))),
        ("HTTP/1.1 200\r\ncontent-length: 3\r\n\r\n", false, Ok(Exactly(3))),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", true, Ok(Exactly(0))),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n", false, Ok(Exactly(0))),
        ("HTTP/1.1 204 No Content\r\n\r\n", false, Ok(Exactly(0))),
        ("HTTP/1.1 100 Continue\r\n\r\n", false, Ok(Exactly(0))),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", false, Ok(Chunked)),
        ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false, Err(Refusal::EncodingInOldVersion)),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n",
            false,
            Err(Refusal::LengthWithEncoding),
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
            false,
            Err(Refusal::LengthTwice),
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", false, Err(Refusal::Encoding)),
        ("HTTP/1.1 200 OK\ncontent-length: 1\n\n", false, Err(Refusal::BareLineFeed)),
        ("HTTP/1.1 600 Odd\r\n\r\n", false, Err(Refusal::Malformed)),
        ("HTTP/1.1 20 OK\r\n\r\n", false, Err(Refusal::Malformed)),
        ("HTTP/1.1 200 OK\r\nx: 1\r\n 2\r\n\r\n", false, Err(Refusal::Folded)),
    ] {
        assert_eq!(read_response(head.as_bytes(), to_head), expected, "{head:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_head_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let _ = read_response(&bytes, false);
    }

    #[test]
    fn nearly_well_formed_heads_do_not_panic(
        lines in "(Host: a\r\n|Content-Length: [0-9+, ]{0,3}\r\n|Transfer-Encoding: [a-z, ]{0,9}\r\n|[ -~]{0,9}\r?\n){0,6}"
    ) {
        let _ = read(format!("GET /a HTTP/1.1\r\n{lines}\r\n").as_bytes());
    }

    /// The end that is found does not depend on how the bytes came.
    #[test]
    fn a_head_ends_where_it_ends(bytes in "[a\r\n ]{0,40}", step in 1usize..8) {
        let bytes = bytes.as_bytes();
        let whole = HeadScan::default().end(bytes, LIMIT);
        let mut scan = HeadScan::default();
        let mut pieces = Ok(None);
        for end in (step..bytes.len() + step).step_by(step) {
            pieces = scan.end(&bytes[..end.min(bytes.len())], LIMIT);
            if pieces != Ok(None) {
                break;
            }
        }
        prop_assert_eq!(whole, pieces);
    }
}

//! What a caller of gRPC is told when there is no answer to pass on.
//!
//! Its library reads the outcome from `grpc-status`, not from the status of HTTP, so a failure is an answer of 200 that
//! says it there.

use http::{HeaderMap, HeaderName, HeaderValue, Response, header};

use super::reply::Content;
use super::{Failure, Reply};
use crate::Body;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request is one of gRPC.
pub(super) fn is(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    kind.strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// An answer of our own, in the words of gRPC.
pub(super) fn refused(reply: &Reply) -> Response<Body> {
    let detail = match &reply.content {
        Content::Problem(detail) => detail,
        _ => "",
    };
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.extend(trailers(code(reply.status), detail));
    for (name, value) in &reply.fields {
        // What cannot stand in a head is left out, as everywhere.
        let _ = crate::headers::append(headers, name.as_bytes(), value.as_bytes());
    }
    response
}

/// The end of an answer that broke off.
pub(super) fn outcome(failure: Failure) -> HeaderMap {
    match failure.reply() {
        Some(reply) => trailers(code(reply.status), "the answer broke off"),
        None => trailers(1, "the answer broke off"),
    }
}

fn trailers(code: u8, message: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert(STATUS, HeaderValue::from(u16::from(code)));
    // Escaped as gRPC wants it: what is printable stays, but for the escape itself.
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'%';
    let escaped: String = message
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    if let Ok(message) = HeaderValue::from_str(&escaped) {
        map.insert(MESSAGE, message);
    }
    map
}

/// The code of gRPC that says what a status of HTTP says.
fn code(status: u16) -> u8 {
    match status {
        400 => 13,             // INTERNAL
        401 => 16,             // UNAUTHENTICATED
        403 => 7,              // PERMISSION_DENIED
        404 | 405 | 501 => 12, // UNIMPLEMENTED
        413 | 431 => 8,        // RESOURCE_EXHAUSTED
        408 | 504 => 4,        // DEADLINE_EXCEEDED
        429 | 502 | 503 => 14, // UNAVAILABLE
        499 => 1,              // CANCELLED
        _ => 2,                // UNKNOWN
    }
}

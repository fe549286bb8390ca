//! A request as its endpoint gets it: as bytes of HTTP/1.1, or as a value.

use http::{Method, Request, Uri, Version, header};

use super::Fields;
use super::fields::Edits;
use crate::framing::{self, Length, Refusal, RequestHead, length_field};
use crate::headers;

/// The request as bytes of HTTP/1.1; returns where its last field ends.
pub(super) fn write(
    head: &RequestHead<'_, '_>,
    host: &str,
    target: &str,
    fields: &Fields,
    announced: &str,
    strip: impl Fn(&str) -> bool,
    wire: &mut Vec<u8>,
) -> usize {
    wire.clear();
    framing::request_line(head.method, target, wire);
    framing::field("host", host.as_bytes(), wire);
    framing::copy_fields(head.fields, head.names_more, strip, wire);
    wire.extend_from_slice(&fields.0);
    match head.length {
        Length::Exactly(0) if !states_length(head) => {}
        Length::Exactly(length) => length_field(length, wire),
        _ => framing::field("transfer-encoding", b"chunked", wire),
    }
    if !announced.is_empty() {
        framing::field("trailer", announced.as_bytes(), wire);
    }
    if head.websocket {
        wire.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
    } else if head.takes_trailers {
        wire.extend_from_slice(b"te: trailers\r\nconnection: te\r\n");
    }
    let fields_end = wire.len();
    wire.extend_from_slice(b"\r\n");
    fields_end
}

/// The request as a value.
pub(super) fn valued(
    head: &RequestHead<'_, '_>,
    announced: &str,
    target: &str,
    edits: &Edits,
    strip: impl Fn(&str) -> bool,
) -> Result<Box<Request<()>>, Refusal> {
    let mut map = headers::map(head.fields, head.names_more, |name| strip(name))?;
    let host = edits.host.as_deref().unwrap_or(head.host);
    if !host.is_empty() {
        headers::append(&mut map, b"host", host.as_bytes())?;
    }
    for (name, value) in edits.added.iter() {
        headers::append(&mut map, name, value)?;
    }
    if head.takes_trailers {
        map.insert(header::TE, http::HeaderValue::from_static("trailers"));
    }
    if !announced.is_empty() {
        headers::append(&mut map, b"trailer", announced.as_bytes())?;
    }
    let mut request = Box::new(Request::new(()));
    *request.method_mut() = Method::from_bytes(head.method.as_bytes()).map_err(|_| Refusal::Malformed)?;
    *request.uri_mut() = Uri::try_from(target).map_err(|_| Refusal::Target)?;
    *request.version_mut() = if head.is_v11 { Version::HTTP_11 } else { Version::HTTP_10 };
    *request.headers_mut() = map;
    Ok(request)
}

/// Whether an empty body was stated: a `POST` without a length makes some servers ask for one.
fn states_length(head: &RequestHead<'_, '_>) -> bool {
    !matches!(head.method, "GET" | "HEAD")
}

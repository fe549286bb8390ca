//! The head of an answer: read, judged, changed, and written for the client.

use std::ops::Deref;

use http::{HeaderMap, header};

use super::account::Account;
use super::plan::Asked;
use super::worker::Worker;
use super::{Changes, Handler, patience};
use crate::framing::{self, Length, Refusal, length_field};
use crate::headers;

fn is_location(name: &str) -> bool {
    (name.len() == 8 && name.eq_ignore_ascii_case("location"))
        || (name.len() == 16 && name.eq_ignore_ascii_case("content-location"))
}

/// A location at the endpoint's own address is one that no client can reach, and none should know: only its path stays.
fn without_address<'v>(location: &'v [u8], address: &str) -> &'v [u8] {
    let rest = location.strip_prefix(b"http://").or_else(|| location.strip_prefix(b"https://"));
    let rest = rest.filter(|_| !address.is_empty()).and_then(|rest| rest.strip_prefix(address.as_bytes()));
    match rest {
        Some(path) if path.first() == Some(&b'/') => path,
        Some([]) => b"/",
        _ => location,
    }
}

/// A response's head that was read.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) length: Length,
    /// Whether the endpoint's connection can be used again.
    pub(super) keep_alive: bool,
    /// Whether the body goes to the client in chunks.
    pub(super) chunked: bool,
    /// Whether the client's connection ends with the body.
    pub(super) close: bool,
    /// Whether the body may say little for long.
    pub(super) is_stream: bool,
    /// The trailers that are passed on with its body.
    pub(super) announced: String,
}

/// Reads the head in the first `end` bytes of the endpoint's buffer and writes it for the client. An interim answer
/// (1xx) writes nothing, but for the 101 that opens a WebSocket.
pub(super) fn response<H: Handler>(
    worker: &Worker<H>,
    asked: Asked,
    account: &mut Account<H, &Worker<H>>,
    head: &[u8],
    out: &mut Vec<u8>,
) -> Result<Answer, Refusal> {
    let mut slots = framing::slots();
    let head = framing::response(head, asked.is_head, &mut slots)?;
    let mut answer = Answer {
        status: head.status,
        length: head.length,
        keep_alive: head.keep_alive,
        chunked: false,
        close: !asked.keep_alive || worker.is_draining(),
        is_stream: false,
        announced: String::new(),
    };
    if head.status < 200 && head.status != 101 {
        return Ok(answer);
    }
    if head.status == 101 && !(asked.websocket && head.websocket) {
        return Err(Refusal::Upgrade);
    }
    let changes = account.amend(head.status, head.fields);
    framing::status_line(head.status, out);
    let strip =
        |name: &str| is_location(name) || worker.handler.strips_from_response(name) || changes.drops(name);
    framing::copy_fields(head.fields, head.names_more, strip, out);
    for location in head.fields.iter().filter(|field| is_location(field.name) && !changes.drops(field.name)) {
        framing::field(location.name, without_address(location.value, account.authority()), out);
    }
    out.extend_from_slice(&changes.added.0);
    if head.status == 101 {
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n\r\n");
        return Ok(answer);
    }
    match head.length {
        // No body follows, but its length may be told: after HEAD, and in 304.
        Length::Exactly(0) if asked.is_head || head.status == 304 => {
            if let Some(stated) = head.stated {
                length_field(stated, out);
            }
        }
        Length::Exactly(0) if head.status == 204 => {}
        Length::Exactly(length) => length_field(length, out),
        _ => {
            answer.is_stream = head.fields.iter().any(|field| {
                field.name.len() == 12
                    && field.name.eq_ignore_ascii_case("content-type")
                    && patience::is_stream(field.value)
            })
        }
    }
    match head.length {
        Length::Exactly(_) => {}
        _ if asked.is_v11 => {
            answer.chunked = true;
            framing::field("transfer-encoding", b"chunked", out);
        }
        // HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
        _ => answer.close = true,
    }
    if head.announces && answer.chunked && asked.takes_trailers {
        answer.announced = framing::announced(head.fields, |name| worker.handler.strips_from_response(name));
        if !answer.announced.is_empty() {
            framing::field("trailer", answer.announced.as_bytes(), out);
        }
    }
    if answer.close {
        out.extend_from_slice(b"connection: close\r\n");
    } else if !asked.is_v11 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(answer)
}

/// Makes the head of an answer that is a value fit to be sent: what belongs to its connection goes, and so does what
/// the handler strips or changes.
pub(super) fn amend<H: Handler, W>(
    worker: &Worker<H>,
    account: &mut Account<H, W>,
    response: &mut http::response::Parts,
) where
    W: Deref<Target = Worker<H>>,
{
    let named: Vec<String> = {
        let options = response.headers.get_all(header::CONNECTION).into_iter();
        let options = options.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        options.map(|option| option.trim().to_ascii_lowercase()).collect()
    };
    let changes = account.amend_map(response.status.as_u16(), &response.headers);
    let is_dropped = |name: &str| {
        framing::is_hop_by_hop(name)
            || named.iter().any(|named| named == name)
            || worker.handler.strips_from_response(name)
    };
    remove(&mut response.headers, is_dropped);
    for location in [header::LOCATION, header::CONTENT_LOCATION] {
        if let Some(value) = response.headers.get_mut(&location) {
            let path = without_address(value.as_bytes(), account.authority());
            if path.len() < value.len()
                && let Ok(path) = http::HeaderValue::from_bytes(path)
            {
                *value = path;
            }
        }
    }
    change(&changes, &mut response.headers);
}

/// Makes a handler's changes.
pub(super) fn change(changes: &Changes, map: &mut HeaderMap) {
    remove(map, |name| changes.drops(name));
    for (name, value) in changes.added.iter() {
        // They were checked when they were added.
        let _ = headers::append(map, name, value);
    }
}

/// Takes out the headers whose name is picked.
pub(super) fn remove(map: &mut HeaderMap, is_dropped: impl Fn(&str) -> bool) {
    let dropped: Vec<_> = map.keys().filter(|name| is_dropped(name.as_str())).cloned().collect();
    for name in dropped {
        map.remove(&name);
    }
}

//! From one head to the next: the parts of an exchange that need no socket.

use std::net::SocketAddr;
use std::time::Instant;

use super::worker::{Scratch, Worker};
use super::{Answered, Changes, Handler, Incoming, Outgoing, Verdict};
use crate::framing::{self, Length, Refusal, Slashes};

/// A request that was read and decided upon.
pub(super) struct Plan<T> {
    pub(super) verdict: Verdict<T>,
    pub(super) length: Length,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) is_v11: bool,
    pub(super) is_head: bool,
    /// Whether sending it twice does no more than sending it once (RFC 9110 §9.2.2).
    pub(super) is_idempotent: bool,
}

/// Reads the head in the first `end` bytes of the client's buffer, asks the handler, and writes the request for the
/// endpoint. What is left in the buffer is the body, and what follows it.
pub(super) fn request<H: Handler>(
    worker: &Worker<H>,
    peer: SocketAddr,
    started: Instant,
    scratch: &mut Scratch,
    end: usize,
) -> Result<Plan<H::Ticket>, Refusal> {
    let Scratch { client, request, target, fields, .. } = scratch;
    request.clear();
    target.clear();
    fields.clear();
    let mut slots = framing::slots();
    let head = framing::request(&client.filled()[..end], &mut slots)?;
    framing::canonical_path(head.path, Slashes::Merge, target)?;
    let path_end = target.len();
    if let Some(query) = head.query {
        target.push('?');
        framing::canonical_query(query, target)?;
    }
    // The handler reads path and query, and may write another target: so it reads a copy, on the stack if it fits.
    let mut small = [0u8; 256];
    let large;
    let copy: &str = match small.get_mut(..target.len()) {
        Some(room) => {
            room.copy_from_slice(target.as_bytes());
            std::str::from_utf8(room).map_err(|_| Refusal::Path)?
        }
        None => {
            large = target.clone();
            &large
        }
    };
    let query = head.query.map(|_| &copy[path_end + 1..]);
    let incoming =
        Incoming { worker: worker.index, peer, head: &head, path: &copy[..path_end], query, started };
    let (mut dropped, mut host) = (Vec::new(), None);
    let mut outgoing = Outgoing { target, fields, dropped: &mut dropped, host: &mut host };
    let verdict = worker.handler.begin(&incoming, &mut outgoing);
    if let Verdict::Forward(forward) = &verdict {
        framing::request_line(head.method, target, request);
        let given = if head.host.is_empty() { &**forward.upstream.service() } else { head.host };
        let host = host.as_deref().unwrap_or(given);
        framing::field("host", host.as_bytes(), request);
        let strip = |name: &str| {
            (name.len() == 4 && name.eq_ignore_ascii_case("host"))
                || (name.len() == 6 && name.eq_ignore_ascii_case("expect"))
                || worker.handler.strips_from_request(&incoming, name)
                || dropped.iter().any(|dropped: &String| framing::names_equal(name, dropped))
        };
        framing::copy_fields(head.fields, head.names_more, strip, request);
        request.extend_from_slice(fields);
        match head.length {
            Length::Exactly(0) if !states_length(&head) => {}
            Length::Exactly(length) => length_field(length, request),
            _ => framing::field("transfer-encoding", b"chunked", request),
        }
        request.extend_from_slice(b"\r\n");
    }
    let plan = Plan {
        verdict,
        length: head.length,
        keep_alive: head.keep_alive,
        expects_continue: head.expects_continue,
        is_v11: head.is_v11,
        is_head: head.method == "HEAD",
        is_idempotent: matches!(head.method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"),
    };
    client.consume(end);
    Ok(plan)
}

/// Whether an empty body was stated: a `POST` without a length makes some servers ask for one.
fn states_length(head: &framing::RequestHead<'_, '_>) -> bool {
    !matches!(head.method, "GET" | "HEAD")
}

fn is_location(name: &str) -> bool {
    (name.len() == 8 && name.eq_ignore_ascii_case("location"))
        || (name.len() == 16 && name.eq_ignore_ascii_case("content-location"))
}

/// A location at the endpoint's own address is one that no client can reach, and none should know: only its path stays.
fn without_address<'v>(location: &'v [u8], address: &str) -> &'v [u8] {
    let rest = location.strip_prefix(b"http://").and_then(|rest| rest.strip_prefix(address.as_bytes()));
    match rest {
        Some(path) if path.first() == Some(&b'/') => path,
        Some([]) => b"/",
        _ => location,
    }
}

fn length_field(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"content-length: ");
    framing::decimal(length, out);
    out.extend_from_slice(b"\r\n");
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
}

/// What of the request matters for its answer.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) is_v11: bool,
    pub(super) is_head: bool,
    pub(super) keep_alive: bool,
}

/// Reads the head in the first `end` bytes of the endpoint's buffer and writes it for the client. An interim answer
/// (1xx) writes nothing.
pub(super) fn response<H: Handler>(
    worker: &Worker<H>,
    ticket: &mut H::Ticket,
    asked: Asked,
    address: &str,
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
    };
    if head.status < 200 {
        return if head.status == 101 { Err(Refusal::Upgrade) } else { Ok(answer) };
    }
    let mut changes = Changes::default();
    let answered = Answered { status: head.status, failure: None, fields: head.fields };
    worker.handler.amend(ticket, &answered, &mut changes);
    framing::status_line(head.status, out);
    let strip =
        |name: &str| is_location(name) || worker.handler.strips_from_response(name) || changes.drops(name);
    framing::copy_fields(head.fields, head.names_more, strip, out);
    let locations = head.fields.iter().filter(|field| is_location(field.name) && !changes.drops(field.name));
    for location in locations {
        framing::field(location.name, without_address(location.value, address), out);
    }
    out.extend_from_slice(&changes.added);
    match head.length {
        // No body follows, but its length may be told: after HEAD, and in 304.
        Length::Exactly(0) if asked.is_head || head.status == 304 => {
            if let Some(stated) = head.stated {
                length_field(stated, out);
            }
        }
        Length::Exactly(0) if head.status == 204 => {}
        Length::Exactly(length) => length_field(length, out),
        _ if asked.is_v11 => {
            answer.chunked = true;
            framing::field("transfer-encoding", b"chunked", out);
        }
        // HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
        _ => answer.close = true,
    }
    if answer.close {
        out.extend_from_slice(b"connection: close\r\n");
    } else if !asked.is_v11 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(answer)
}

//! Reading a head, in the one way in which it can be read.

use std::mem::MaybeUninit;

use super::Refusal;
use super::known::Known;

/// A header line: its name as it was sent, and its value without the white space around it.
pub use httparse::Header as Field;

/// No head has more headers than this.
pub const HEADERS_MAX: usize = 100;

/// Room for the headers of one head, on the caller's stack.
pub type Slots<'b> = [MaybeUninit<Field<'b>>; HEADERS_MAX];

/// Empty room for headers.
pub fn slots<'b>() -> Slots<'b> {
    [MaybeUninit::uninit(); HEADERS_MAX]
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many bytes; 0 when there is no body.
    Exactly(u64),
    /// In chunks, to the last one.
    Chunked,
    /// To the end of the connection (responses only).
    UntilClose,
}

/// What a request's head says.
#[derive(Debug)]
pub struct RequestHead<'h, 'b> {
    /// The method as sent.
    pub method: &'b str,
    /// The path as sent: not yet canonical.
    pub path: &'b str,
    /// What follows the `?`, as sent.
    pub query: Option<&'b str>,
    /// The host as sent, port included; empty only in HTTP/1.0.
    pub host: &'b str,
    /// Whether the client speaks HTTP/1.1 (otherwise 1.0).
    pub is_v11: bool,
    /// Whether the connection may stay open after the answer.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether `Connection` names headers of its own, which then are not to be forwarded.
    pub names_more: bool,
    /// Whether the client wants to open a WebSocket (RFC 6455 §4.1); any other protocol that it offers is passed over.
    pub websocket: bool,
    /// Whether the client reads trailers (`TE: trailers`).
    pub takes_trailers: bool,
    /// Whether `Trailer` announces some.
    pub announces: bool,
    /// Where the body ends.
    pub length: Length,
    /// All headers, those included that were understood above.
    pub fields: &'h [Field<'b>],
}

/// What a response's head says.
#[derive(Debug)]
pub struct ResponseHead<'h, 'b> {
    /// The status, 100 to 599.
    pub status: u16,
    /// Whether the connection can be used again after the body.
    pub keep_alive: bool,
    /// Whether `Connection` names headers of its own.
    pub names_more: bool,
    /// Where the body ends, for the request that was made.
    pub length: Length,
    /// The `Content-Length` as stated, also where no body follows it (HEAD, 304).
    pub stated: Option<u64>,
    /// Whether a 101 says that what follows is a WebSocket.
    pub websocket: bool,
    /// Whether `Trailer` announces some.
    pub announces: bool,
    /// All headers.
    pub fields: &'h [Field<'b>],
}

/// Reads a request's head: the bytes up to the length that [`super::HeadScan`] found.
pub fn request<'h, 'b>(head: &'b [u8], slots: &'h mut Slots<'b>) -> Result<RequestHead<'h, 'b>, Refusal> {
    let mut parsed = httparse::Request::new(&mut []);
    complete(parsed.parse_with_uninit_headers(head, slots))?;
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Refusal::Malformed);
    };
    check_method(method)?;
    let fields: &'h [Field<'b>] = parsed.headers;
    let is_v11 = version == 1;
    let known = Known::read(fields, true)?;
    if known.chunked && !is_v11 {
        return Err(Refusal::EncodingInOldVersion);
    }
    let websocket = known.offers_websocket && known.names_upgrade && is_v11;
    let has_body = known.chunked || known.length.unwrap_or(0) > 0;
    if websocket && (method != "GET" || has_body) {
        return Err(Refusal::Upgrade);
    }
    let host = match known.host {
        Some(host) => read_host(host)?,
        None if is_v11 => return Err(Refusal::HostMissing),
        None => "",
    };
    let (path, query) = read_target(target, host)?;
    Ok(RequestHead {
        method,
        path,
        query,
        host,
        is_v11,
        keep_alive: if is_v11 { !known.close } else { known.keep_alive && !known.close },
        expects_continue: known.expects_continue && is_v11,
        names_more: known.names_more,
        websocket,
        takes_trailers: known.takes_trailers && is_v11,
        announces: known.announces,
        length: if known.chunked { Length::Chunked } else { Length::Exactly(known.length.unwrap_or(0)) },
        fields,
    })
}

/// Reads the head of the response to a request that was a `HEAD` or not.
pub fn response<'h, 'b>(
    head: &'b [u8],
    to_head: bool,
    slots: &'h mut Slots<'b>,
) -> Result<ResponseHead<'h, 'b>, Refusal> {
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    complete(config.parse_response_with_uninit_headers(&mut parsed, head, slots))?;
    let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
        return Err(Refusal::Malformed);
    };
    if !(100..=599).contains(&status) {
        return Err(Refusal::Malformed);
    }
    let fields: &'h [Field<'b>] = parsed.headers;
    let is_v11 = version == 1;
    let known = Known::read(fields, false)?;
    if known.chunked && !is_v11 {
        return Err(Refusal::EncodingInOldVersion);
    }
    let length = match (known.chunked, known.length) {
        _ if to_head || status < 200 || status == 204 || status == 304 => Length::Exactly(0),
        (true, _) => Length::Chunked,
        (false, Some(length)) => Length::Exactly(length),
        (false, None) => Length::UntilClose,
    };
    let stays = if is_v11 { !known.close } else { known.keep_alive && !known.close };
    Ok(ResponseHead {
        status,
        keep_alive: stays && length != Length::UntilClose,
        names_more: known.names_more,
        length,
        stated: known.length,
        websocket: status == 101 && known.offers_websocket && known.names_upgrade,
        announces: known.announces,
        fields,
    })
}

fn complete(parsed: httparse::Result<usize>) -> Result<(), Refusal> {
    match parsed {
        Ok(httparse::Status::Complete(_)) => Ok(()),
        Ok(httparse::Status::Partial) => Err(Refusal::Malformed),
        Err(httparse::Error::TooManyHeaders) => Err(Refusal::TooManyHeaders),
        Err(httparse::Error::Version) => Err(Refusal::Version),
        Err(_) => Err(Refusal::Malformed),
    }
}

/// Methods are told apart by case, and some servers do not: `delete` would pass a rule about `DELETE` and be one there.
pub(super) fn check_method(method: &str) -> Result<(), Refusal> {
    match method {
        _ if method.bytes().any(|byte| byte.is_ascii_lowercase()) => Err(Refusal::Method),
        "CONNECT" => Err(Refusal::Upgrade),
        _ => Ok(()),
    }
}

/// A host with an optional port, spelled with the characters that one can have and no others.
pub(super) fn read_host(value: &[u8]) -> Result<&str, Refusal> {
    let allowed =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    if value.is_empty() || value.len() > 300 || !value.iter().all(allowed) {
        return Err(Refusal::HostMalformed);
    }
    let host = std::str::from_utf8(value).map_err(|_| Refusal::HostMalformed)?;
    let port = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or(Refusal::HostMalformed)?.1,
        None => &host[host.find(':').unwrap_or(host.len())..],
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    let port_is_fine = port.is_empty() || (port.len() > 1 && digits.len() <= 5 && port.starts_with(':'));
    if !port_is_fine || !digits.bytes().all(|byte| byte.is_ascii_digit()) || host.starts_with(':') {
        return Err(Refusal::HostMalformed);
    }
    Ok(host)
}

/// Path and query of a target in origin form, or in absolute form for the same host.
fn read_target<'b>(target: &'b str, host: &str) -> Result<(&'b str, Option<&'b str>), Refusal> {
    if target.bytes().any(|byte| byte == b'#') {
        return Err(Refusal::Target);
    }
    let rest = if target.starts_with('/') {
        target
    } else {
        let scheme = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
        let rest = scheme.map(|_| &target[7..]).ok_or(Refusal::Target)?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        if !rest[..at].eq_ignore_ascii_case(host) {
            return Err(Refusal::HostMismatch);
        }
        if rest[at..].is_empty() { "/" } else { &rest[at..] }
    };
    Ok(split_query(rest))
}

pub(super) fn split_query(target: &str) -> (&str, Option<&str>) {
    match memchr::memchr(b'?', target.as_bytes()) {
        Some(0) => ("/", Some(&target[1..])),
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    }
}

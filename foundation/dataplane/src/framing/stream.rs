//! Reading a head that came as a stream of HTTP/2: other bytes, the same rules.

use super::head::{check_method, read_host, split_query};
use super::known::Known;
use super::{Field, Length, Refusal, RequestHead};

/// A request's head as the layer below took it apart.
#[derive(Clone, Copy, Debug)]
pub struct Streamed<'b> {
    /// `:method`.
    pub method: &'b str,
    /// `:authority`, if there is one.
    pub authority: Option<&'b str>,
    /// `:path`, the query included.
    pub target: &'b str,
    /// Whether the head was all there is.
    pub is_whole: bool,
}

/// Judges the head of a request that came over HTTP/2, by the rules of HTTP/1.1 wherever both have one.
///
/// What belongs to one connection has no place in a stream (RFC 9113 §8.2.2), and `:authority` and `Host` must name the
/// same host: whoever stands behind sees only one of them.
pub fn stream_request<'h, 'b>(
    head: Streamed<'b>,
    fields: &'h [Field<'b>],
) -> Result<RequestHead<'h, 'b>, Refusal> {
    check_method(head.method)?;
    let known = Known::read(fields, true)?;
    let has_encoding = fields.iter().any(|field| field.name.eq_ignore_ascii_case("transfer-encoding"));
    if known.of_connection || has_encoding {
        return Err(Refusal::OfConnection);
    }
    let host = match (head.authority, known.host) {
        (Some(authority), None) => read_host(authority.as_bytes())?,
        (None, Some(host)) => read_host(host)?,
        (Some(authority), Some(host)) => {
            if !authority.as_bytes().eq_ignore_ascii_case(host) {
                return Err(Refusal::HostMismatch);
            }
            read_host(host)?
        }
        (None, None) => return Err(Refusal::HostMissing),
    };
    if !head.target.starts_with('/') || head.target.contains('#') {
        return Err(Refusal::Target);
    }
    let (path, query) = split_query(head.target);
    Ok(RequestHead {
        method: head.method,
        path,
        query,
        host,
        is_v11: true,
        keep_alive: true,
        expects_continue: known.expects_continue,
        names_more: false,
        websocket: false,
        takes_trailers: known.takes_trailers,
        announces: known.announces,
        length: match known.length {
            _ if head.is_whole => Length::Exactly(0),
            Some(length) => Length::Exactly(length),
            None => Length::Chunked,
        },
        fields,
    })
}

//! From bytes to an `http::Request`.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use crate::framing::{self, Length, Refusal, Slashes};

/// A request's head, and what its connection needs to know of it.
pub(super) struct Incoming {
    pub(super) request: http::Request<()>,
    pub(super) length: Length,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) is_v11: bool,
    pub(super) is_head: bool,
}

/// Reads a head. The path that the handler sees is canonical.
pub(super) fn read(head: &[u8], body_max: u64) -> Result<Incoming, Refusal> {
    let mut slots = framing::slots();
    let head = framing::request(head, &mut slots)?;
    if matches!(head.length, Length::Exactly(length) if length > body_max) {
        return Err(Refusal::BodyTooLarge);
    }
    let mut target = String::with_capacity(head.path.len() + 1 + head.query.map_or(0, str::len));
    framing::canonical_path(head.path, Slashes::Merge, &mut target)?;
    if let Some(query) = head.query {
        target.push('?');
        framing::canonical_query(query, &mut target)?;
    }
    let mut request = http::Request::new(());
    *request.method_mut() = Method::from_bytes(head.method.as_bytes()).map_err(|_| Refusal::Malformed)?;
    *request.uri_mut() = Uri::try_from(target).map_err(|_| Refusal::Target)?;
    *request.version_mut() = if head.is_v11 { Version::HTTP_11 } else { Version::HTTP_10 };
    *request.headers_mut() = headers(head.fields)?;
    Ok(Incoming {
        length: head.length,
        keep_alive: head.keep_alive,
        expects_continue: head.expects_continue,
        is_v11: head.is_v11,
        is_head: head.method == "HEAD",
        request,
    })
}

/// The headers as a map, without those that belong to the connection.
pub(crate) fn headers(fields: &[framing::Field<'_>]) -> Result<HeaderMap, Refusal> {
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields.iter().filter(|field| !framing::is_hop_by_hop(field.name)) {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Refusal::Malformed)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| Refusal::Malformed)?;
        map.append(name, value);
    }
    Ok(map)
}

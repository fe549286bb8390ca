//! The headers of a call: what goes no further than the sidecar, and what it adds of its own.

use dozen_dataplane::Peer;
use http::{HeaderMap, HeaderName, HeaderValue, header, request};

use crate::envelope::trace;
use crate::sidecar::Sidecar;

/// Between sidecar and neighbour only: never passed on, in either direction.
fn is_private(name: &HeaderName) -> bool {
    dozen_dataplane::framing::is_hop_by_hop(name.as_str())
        || matches!(
            name.as_str(),
            "dapr-api-token"
                | "dapr-app-id"
                | "dapr-caller-app-id"
                | "dapr-callee-app-id"
                | "dapr-caller-namespace"
                | "host"
                | "expect"
                | "content-length"
        )
}

/// The end-to-end headers without those named by `connection`.
pub(super) fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut passed = HeaderMap::with_capacity(headers.len() + 8);
    for (name, value) in headers {
        if !is_private(name) && !named.iter().any(|named| named == name.as_str()) {
            passed.append(name, value.clone());
        }
    }
    passed
}

pub(super) fn outgoing(sidecar: &Sidecar, target: &str, parts: &request::Parts) -> HeaderMap {
    let mut headers = end_to_end(&parts.headers);
    if crate::api::basic_app_id(&parts.headers).is_some() {
        headers.remove(header::AUTHORIZATION); // it named the app, and is no credential
    }
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put("dapr-caller-app-id", &sidecar.options.app_id);
    put("dapr-callee-app-id", target);
    put("traceparent", &trace(&parts.headers, &sidecar.ids).to_string());
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if let Some(host) = host {
        put("x-forwarded-host", host);
    }
    if let Some(Peer(peer)) = parts.extensions.get::<Peer>() {
        let before = parts.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
        let peer = peer.ip();
        put(
            "x-forwarded-for",
            &before.map_or_else(|| peer.to_string(), |before| format!("{before}, {peer}")),
        );
        let quoted = if peer.is_ipv6() { format!("\"[{peer}]\"") } else { peer.to_string() };
        let host =
            host.map(|host| format!(";host=\"{}\"", host.replace(['"', '\\'], ""))).unwrap_or_default();
        put("forwarded", &format!("for={quoted}{host}"));
    }
    if target == sidecar.options.app_id
        && let Some(token) = &sidecar.options.app_token
    {
        put("dapr-api-token", token.reveal());
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_one_connection_goes_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("dapr-app-id", "stock"),
            ("set-cookie", "a"),
            ("set-cookie", "b"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let passed: Vec<_> = end_to_end(&headers).iter().map(|(name, _)| name.as_str().to_owned()).collect();
        assert_eq!(passed, ["set-cookie", "set-cookie"]);
    }
}

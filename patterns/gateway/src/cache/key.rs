//! What copies are known by, and forgotten by.

use std::sync::Arc;

use dozen_dataplane::Body;
use http::{HeaderMap, HeaderValue, Response, Uri, header};

use super::policy::Policy;
use super::store::Cache;
use crate::shape::Given;

/// What requests have in common that one answer may serve.
///
/// What the service is asked for is a part of it: the route may make its target, its host and headers (`made`) of more than
/// the client's address. And so is the service, where there are several.
pub(super) fn key(
    policy: &Policy,
    given: &Given,
    at: usize,
    target: &Uri,
    headers: &HeaderMap,
    made: &str,
) -> Arc<str> {
    let mut key = address(given, &given.path, given.query.as_deref());
    if target.path() != given.path || target.query() != given.query.as_deref() {
        key.push('\n');
        key.push_str(target.path_and_query().map_or("", |target| target.as_str()));
    }
    let host = headers.get(header::HOST).map_or(&b""[..], HeaderValue::as_bytes);
    if !host.eq_ignore_ascii_case(given.host.as_bytes()) {
        key.push_str(&format!("\n@{}", host.escape_ascii()));
    }
    key.push_str(made);
    if given.services > 1 {
        key.push_str(&format!("\n{at}"));
    }
    for name in &policy.by {
        key.push('\n');
        for value in headers.get_all(name) {
            // Exactly as it came, and so that two values are not one.
            key.push_str(&format!("{}\t", value.as_bytes().escape_ascii()));
        }
    }
    key.into()
}

fn address(given: &Given, path: &str, query: Option<&str>) -> String {
    let Given { scheme, host, .. } = given;
    match query {
        Some(query) => format!("{scheme}://{host}\n{path}?{query}"),
        None => format!("{scheme}://{host}\n{path}"),
    }
}

/// Forgets what else an unsafe request has changed: the addresses that its answer names, where these are all that a copy
/// is known by (§4.4).
pub(super) fn forget(cache: &Cache, given: &Given, response: &Response<Body>) {
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        let named = response.headers().get(name).and_then(|value| Uri::try_from(value.as_bytes()).ok());
        let Some(uri) = named else { continue };
        // Only of the same host: nobody may have others forgotten.
        if uri.authority().is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(&given.host)) {
            cache.forget(&address(given, uri.path(), uri.query()).into());
        }
    }
}

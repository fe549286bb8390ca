//! What copies are known by, and forgotten by.

use std::sync::Arc;

use dozen_dataplane::Body;
use http::{HeaderMap, Response, Uri, header};

use super::policy::Policy;
use super::store::Cache;
use crate::shape::Given;

/// What requests have in common that one answer may serve.
///
/// What the service is asked for is a part of it: the route may make it of more than the client's address. And so is the
/// service, where there are several.
pub(super) fn key(policy: &Policy, given: &Given, at: usize, target: &Uri, headers: &HeaderMap) -> Arc<str> {
    let mut key = address(given, &given.path, given.query.as_deref());
    if target.path() != given.path || target.query() != given.query.as_deref() {
        key.push('\n');
        key.push_str(target.path_and_query().map_or("", |target| target.as_str()));
    }
    if given.services > 1 {
        key.push_str(&format!("\n{at}"));
    }
    for name in &policy.by {
        key.push('\n');
        for value in headers.get_all(name) {
            key.push_str(&String::from_utf8_lossy(value.as_bytes()));
            key.push('\t');
        }
    }
    key.into()
}

fn address(given: &Given, path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{}\n{path}?{query}", given.host),
        None => format!("{}\n{path}", given.host),
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

//! Who may ask, and who may change.
//!
//! A console on loopback has no password, so two things must hold. *Nobody else's page reads it*: a site can point its
//! own name at 127.0.0.1 and then counts as the same origin with itself (DNS rebinding), but its name is in the `Host`
//! header, and foreign names are refused. *Nobody else's page changes anything*: a browser says in `Sec-Fetch-Site` and
//! `Origin` where a form was sent from; both must name the console where they are there, one must be there, and the form
//! must carry this process's token, which other sites cannot read.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Uri};

use crate::Error;
use crate::console::Console;
use crate::serve::Problem;

/// Checks the `Host` header and puts the protective headers on every answer.
pub(crate) async fn guard(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let host = asked_host(request.headers(), request.uri()).to_owned();
    let mut response = if is_ours(&host, &console.sources.hosts) {
        next.run(request).await
    } else {
        Problem(Error::Host(host.chars().take(100).collect())).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in &PROTECTIVE {
        headers.entry(name.clone()).or_insert_with(|| HeaderValue::from_static(value));
    }
    response
}

/// Pages bring a content security policy of their own; nothing else may do anything. `same-origin` and not
/// `no-referrer`: with the latter, browsers send `Origin: null` with the console's own forms.
static PROTECTIVE: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

fn asked_host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> &'a str {
    // Two `Host` headers are ambiguous; the strict framing refuses them, and so does this.
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
        (Some(host), None) => host,
        (None, None) => uri.authority().map_or("", |authority| authority.as_str()),
        _ => "",
    }
}

/// Whether `host`, with or without a port, is a loopback name or one of `configured`.
fn is_ours(host: &str, configured: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => true,
        _ => {
            name.eq_ignore_ascii_case("localhost")
                || configured.iter().any(|known| known.eq_ignore_ascii_case(name))
        }
    }
}

/// Whether a change was asked for by a page of this console.
pub(crate) fn is_own_page(headers: &HeaderMap, uri: &Uri, token: &str, expected: &str) -> Result<(), Error> {
    let header = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let site = header(HeaderName::from_static("sec-fetch-site"));
    let origin = header(ORIGIN);
    if site.is_none() && origin.is_none() {
        return Err(Error::Foreign("the request does not say where it comes from"));
    }
    if site.is_some_and(|site| site != "same-origin") {
        return Err(Error::Foreign("it comes from another site"));
    }
    let host = asked_host(headers, uri);
    let is_same = |origin: &str| {
        origin.split_once("://").is_some_and(|(scheme, rest)| {
            matches!(scheme, "http" | "https") && rest.eq_ignore_ascii_case(host)
        })
    };
    if origin.is_some_and(|origin| !is_same(origin)) {
        return Err(Error::Foreign("it comes from another origin"));
    }
    // All bytes are compared, so that the time taken tells nothing of where the first difference is.
    let differences = token.bytes().zip(expected.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    if token.len() != expected.len() || differences != 0 {
        return Err(Error::Foreign("it is from before a restart of dozen"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_answered() {
        let configured = ["console.test".to_owned()];
        for good in [
            "127.0.0.1",
            "127.0.0.1:4000",
            "localhost:1",
            "LOCALHOST",
            "[::1]:4000",
            "console.test:80",
            "127.8.9.1",
        ] {
            assert!(is_ours(good, &configured), "{good}");
        }
        for bad in
            ["", "evil.test", "127.0.0.1.evil.test", "localhost.evil.test", "10.0.0.1", "[fe80::1]", "[", ":"]
        {
            assert!(!is_ours(bad, &configured), "{bad}");
        }
    }

    fn asked(headers: &[(&'static str, &'static str)], token: &str) -> bool {
        let mut map = HeaderMap::new();
        map.insert(HOST, HeaderValue::from_static("127.0.0.1:4000"));
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        is_own_page(&map, &Uri::from_static("/queue/a/dead-letters"), token, "secret").is_ok()
    }

    #[test]
    fn only_own_pages_change_anything() {
        let own = ("origin", "http://127.0.0.1:4000");
        assert!(asked(&[own], "secret"));
        assert!(asked(&[own, ("sec-fetch-site", "same-origin")], "secret"));
        assert!(asked(&[("sec-fetch-site", "same-origin")], "secret"));
        assert!(!asked(&[], "secret"));
        assert!(!asked(&[own], "secreT"));
        assert!(!asked(&[own], ""));
        assert!(!asked(&[own, ("sec-fetch-site", "cross-site")], "secret"));
        assert!(!asked(&[("sec-fetch-site", "same-site")], "secret"));
        assert!(!asked(&[("origin", "http://127.0.0.1:5000"), ("sec-fetch-site", "same-origin")], "secret"));
        assert!(!asked(&[("origin", "null")], "secret"));
    }
}

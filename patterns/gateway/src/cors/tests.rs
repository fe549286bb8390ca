use std::net::IpAddr;

use super::*;
use crate::asked::{Claims, Headers};

fn cors(origins: &[&str], credentials: bool) -> Result<Cors, (String, String)> {
    Cors::compile(&CorsOptions {
        origins: origins.iter().map(|one| (*one).to_owned()).collect(),
        headers: vec!["X-Tenant".into()],
        expose: vec!["etag".into()],
        credentials,
        ..CorsOptions::default()
    })
}

fn with<T>(headers: &[(&str, &str)], ask: impl FnOnce(&Asked<'_>) -> T) -> T {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ask(&Asked {
        method: "OPTIONS",
        scheme: "http",
        host: "a",
        path: "/",
        query: None,
        headers: Headers::Given(&headers),
        claims: Claims::NotYet,
        consumer: None,
        address: IpAddr::from([127, 0, 0, 1]),
    })
}

fn value<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    assert!(fields.iter().filter(|field| field.0 == name).count() <= 1, "{name} twice");
    fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
}

#[test]
fn an_origin_is_allowed_as_it_is_written_and_nothing_that_only_looks_alike() {
    let some = cors(&["https://shop.example", "https://*.shop.example:8443"], true).unwrap();
    for (origin, is_allowed) in [
        ("https://shop.example", true),
        ("HTTPS://Shop.Example", true),
        ("https://a.b.shop.example:8443", true),
        ("http://shop.example", false),
        ("https://shop.example.evil.example", false),
        ("https://evilshop.example:8443", false),
        ("https://.shop.example:8443", false),
        ("https://evil.example/.shop.example:8443", false),
        ("null", false),
    ] {
        let fields = with(&[("Origin", origin)], |asked| some.fields(asked));
        assert_eq!(value(&fields, "access-control-allow-origin").is_some(), is_allowed, "{origin}");
        assert_eq!(value(&fields, "vary"), Some("origin"));
    }
    let twice = with(&[("origin", "https://shop.example"), ("origin", "x")], |asked| some.fields(asked));
    assert_eq!(twice.len(), 1);
}

#[test]
fn a_preflight_is_answered_for_what_is_allowed_only() {
    let some = cors(&["https://shop.example"], true).unwrap();
    let taken = ["PUT".to_owned(), "GET".to_owned()];
    let ask = |method: &str, headers: &str| {
        let given = [
            ("origin", "https://shop.example"),
            ("access-control-request-method", method),
            ("access-control-request-headers", headers),
        ];
        with(&given, |asked| some.answer(asked, Cors::preflight(asked).unwrap(), &taken))
    };
    let fields = ask("PUT", "x-tenant, content-type");
    assert_eq!(value(&fields, "access-control-allow-methods"), Some("PUT, GET"));
    assert_eq!(value(&fields, "access-control-allow-headers"), Some("x-tenant, content-type"));
    assert_eq!(value(&fields, "access-control-allow-credentials"), Some("true"));
    assert_eq!(value(&fields, "access-control-max-age"), Some("600"));
    for (method, headers) in [("DELETE", ""), ("PUT", "x-other"), ("PUT", "x\"y")] {
        assert_eq!(ask(method, headers).len(), 1, "{method} {headers}");
    }
    assert!(with(&[("origin", "https://shop.example")], |asked| Cors::preflight(asked).is_none()));
}

#[test]
fn every_origin_is_one_word_and_never_with_credentials() {
    let all = cors(&["*"], false).unwrap();
    let fields = with(&[("origin", "https://x.example")], |asked| all.fields(asked));
    assert_eq!(value(&fields, "access-control-allow-origin"), Some("*"));
    assert_eq!(value(&fields, "access-control-expose-headers"), Some("etag"));
    assert!(
        cors(&["*"], true).is_err() && cors(&[], false).is_err() && cors(&["shop.example"], false).is_err()
    );
    assert!(Cors::drops("Access-Control-Allow-Origin") && !Cors::drops("access-contro"));
}

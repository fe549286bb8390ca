use std::net::IpAddr;

use super::*;
use crate::asked::{Claims, Headers};

fn written(text: Result<Text, String>, query: Option<&str>) -> (String, bool) {
    let headers = [("X-User".into(), "a/b &?".to_owned()), ("cookie".into(), "sid=7".into())];
    let claims = serde_json::json!({ "sub": "u-1", "n": 5, "o": {} });
    let path = "/o/a&b/c";
    let asked = Asked {
        method: "GET",
        scheme: "http",
        host: "Shop.example:80",
        path,
        query,
        headers: Headers::Given(&headers),
        claims: Claims::Are(&claims),
        consumer: None,
        address: IpAddr::from([10, 0, 0, 1]),
    };
    let mut captures = Captures::default();
    captures.push(3, 6);
    captures.push(3, 8);
    let facts = Facts { asked: &asked, route: "r", captures: &captures, captured: path };
    let mut out = String::new();
    let is_complete = text.unwrap().write(&facts, &mut out);
    (out, is_complete)
}

#[test]
fn what_is_filled_in_stays_one_piece() {
    let names = ["id", "rest"];
    for (text, query, is) in [
        ("/v2/{id}/{rest}", None, "/v2/a&b/a&b/c"),
        ("/x?q={id}&r={rest}", None, "/x?q=a%26b&r=a%26b/c"),
        ("/{header.x-user}", None, "/a%2Fb%20%26%3F"),
        ("/{query.y}?z={query.y}", Some("y=1%2F2;&y=3"), "/1%2F2%3B?z=1%2F2%3B"),
        ("https://{host}{uri}", Some("a=b"), "https://Shop.example/o/a&b/c?a=b"),
        ("/{claim.sub}-{claim.n}/{cookie.sid}/{address}/{{x}}", None, "/u-1-5/7/10.0.0.1/{x}"),
    ] {
        assert_eq!(written(Text::url(text, &names), query), (is.into(), true), "{text}");
    }
    assert_eq!(written(Text::plain("{header.x-user}={id}", &names), None).0, "a/b &?=a&b");
    assert_eq!(written(Text::plain("<{query.none}{claim.o}>", &[]), None), ("<>".into(), false));
    for (text, says) in
        [("{", "not closed"), ("a}", "without `{`"), ("{x}", "uses `{x}`"), ("{query.}", "uses")]
    {
        assert!(Text::plain(text, &["id"]).unwrap_err().contains(says), "{text}");
    }
}

#[test]
fn only_whole_segments_are_canonical_by_themselves() {
    let of = |text: &str| Text::url(text, &["id"]).unwrap().is_made_of_segments();
    assert!(of("/a/{id}/b?x={query.y}") && of("/{id}") && of("/a"));
    assert!(!of("/a/x{id}") && !of("/{id}.json") && !of("/{query.y}") && !of("/{id}{id}"));
    assert!(has_dot_segment("/a/../b") && has_dot_segment("/%2E%2e;x/") && !has_dot_segment("/a..b/.c?/../"));
}

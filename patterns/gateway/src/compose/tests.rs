//! What is refused, and what becomes of what is not there. Calls at work are in `tests/compose`.

use std::time::Duration;

use dozen_mapping::{Limits, Value, json};
use proptest::prelude::*;

use super::reply::Reply;
use super::scope::{Given, Known};
use super::shape::Filling;
use super::{Compose, Plan};
use crate::asked::{Asked, Claims, Headers};
use crate::template::Captures;
use crate::text::Facts;

fn value(text: &str) -> Value {
    json::read(text, &Limits::default()).unwrap()
}

fn compile(text: &str) -> Result<Plan, (String, String)> {
    Plan::compile(&Compose(value(text)), &["id"], Duration::from_secs(1))
}

#[track_caller]
fn refused(text: &str, place: &str, says: &str) {
    let (at, problem) = compile(text).expect_err(text);
    assert!(at == place && problem.contains(says), "{text}: `{at}` {problem}");
}

/// What is known of `GET /orders/a%2Fb?page=2&note=a+b%26c`, matched by `/orders/{id}`.
fn given(plan: &Plan) -> Given {
    let asked = Asked {
        method: "GET",
        scheme: "http",
        host: "shop.example:80",
        path: "/orders/a%2Fb",
        query: Some("page=2&note=a+b%26c"),
        headers: Headers::Given(&[]),
        claims: Claims::None,
        consumer: Some("ann"),
        address: std::net::IpAddr::from([127, 0, 0, 1]),
    };
    let mut captures = Captures::default();
    captures.push(8, asked.path.len());
    plan.given(&Facts { asked: &asked, route: "r", captures: &captures, captured: asked.path })
}

/// The reply of a plan whose calls gave this.
fn replied(reply: &str, results: &[Option<&str>]) -> Value {
    let calls = r#""a": { "get": "s:/a" }, "b": { "get": "s:/b", "need": "optional" }"#;
    let plan = compile(&format!(r#"{{ {calls}, "reply": {reply} }}"#)).unwrap();
    let results: Vec<Option<Value>> = results.iter().map(|text| text.map(value)).collect();
    let given = given(&plan);
    let known = Known { given: &given, results: &results, body: None };
    let Reply::Shape(shape) = &plan.reply else { panic!("no shape") };
    shape.fill(&mut Filling { known, is_strict: false, room: 1000 }).unwrap().unwrap_or_default()
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_the_nearest_name() {
    refused(r#"{}"#, "compose", "has 0 calls");
    refused(r#"{ "a": { "get": "s:/a" }, "replyy": "a" }"#, "compose.replyy", "did you mean `reply`?");
    refused(r#"{ "a": { "get": "s:/a", "timeot": "1s" } }"#, "compose.a.timeot", "did you mean `timeout`?");
    refused(r#"{ "a": { "get": "s:/a", "post": "s:/a" } }"#, "compose.a", "exactly one of");
    refused(r#"{ "a": { "get": "http://s/a" } }"#, "compose.a.get", "write a service and a path");
    refused(r#"{ "a": { "get": "s:/a/../b" } }"#, "compose.a.get", "holds `.` or `..`");
    refused(r#"{ "a": { "get": "s:/a b" } }"#, "compose.a.get", "has to be escaped");
    refused(r#"{ "a": { "get": "s:/a", "body": {} } }"#, "compose.a.body", "means nothing for `get`");
    refused(r#"{ "id": { "get": "s:/a" } }"#, "compose.id", "the match has `{id}`");
    refused(r#"{ "query": { "get": "s:/a" } }"#, "compose.query", "something of the request");
    refused(r#"{ "a": { "get": "s:/a", "timeout": "soon" } }"#, "compose.a.timeout", "no duration");
    refused(r#"{ "a": { "get": "s:/a", "max": "1GiB" } }"#, "compose.a.max", "no size");
    refused(
        r#"{ "a": { "get": "s:/a", "pass-back": "content-length" } }"#,
        "compose.a.pass-back",
        "no header",
    );
    refused(r#"{ "a": { "get": "s:/a", "on-error": null } }"#, "compose.a.on-error", "say `need: optional`");
    let optional = r#""need": "optional""#;
    refused(
        &format!(r#"{{ "a": {{ "get": "s:/a", {optional}, "on-error": "default" }} }}"#),
        "compose.a.on-error",
        "needs a `default`",
    );
    refused(
        r#"{ "order": { "get": "s:/a" }, "b": { "get": "s:/{ordr.x}" } }"#,
        "compose.b.get",
        "did you mean `order`?",
    );
    refused(
        r#"{ "a": { "get": "s:/a" }, "reply": { "x": "qury.y" } }"#,
        "compose.reply.x",
        "did you mean `query`?",
    );
    refused(
        r#"{ "a": { "get": "s:/a" }, "reply": { "errors": "a" } }"#,
        "compose.reply.errors",
        "something else",
    );
    refused(
        r#"{ "a": { "get": "s:/a" }, "reply": { "$all": "a" } }"#,
        "compose.reply.$all",
        "cannot stand here",
    );
    refused(r#"{ "a": { "get": "s:/a" }, "reply": "a", "map": {} }"#, "compose.map", "keep one of the two");
    refused(r#"{ "a": { "get": "s:/a" }, "map": { "x": "a.x" } }"#, "compose.map.x", "may be missing");
    refused(
        r#"{ "a": { "get": "s:/a" }, "status": { "partial": 302 } }"#,
        "compose.status.partial",
        "200 to 299",
    );
    refused(
        &format!(r#"{{ "a": {{ "get": "s:/a", {optional} }}, "status": {{ "complete": "a" }} }}"#),
        "compose.status.complete",
        "which is optional",
    );
}

#[test]
fn a_circle_is_told_as_it_goes() {
    let text = r#"{ "a": { "get": "s:/{c.x}" }, "b": { "get": "s:/{a.x}" }, "c": { "get": "s:/{b.x}" } }"#;
    refused(text, "compose.a", "waits for `c`, which waits for `b`, which waits for `a`");
    refused(r#"{ "a": { "get": "s:/{a.x}" } }"#, "compose.a", "waits for `a`");
}

#[test]
fn what_is_required_cannot_hang_on_what_is_optional() {
    let text = |stock: &str, reference: &str| {
        format!(
            r#"{{ "stock": {{ "get": "s:/a", "need": "optional"{stock} }}, "price": {{ "get": "s:/{{{reference}}}" }} }}"#
        )
    };
    refused(&text("", "stock.at"), "compose.price", "is required and refers to `stock.at`");
    refused(&text(r#", "on-error": null"#, "stock.at"), "compose.price", "say what stands in");
    refused(&text(r#", "default": { "on": 1 }"#, "stock.at"), "compose.price", "refers to `stock.at`");
    compile(&text("", "stock.at ?? 7")).unwrap();
    compile(&text(r#", "default": { "at": 1 }"#, "stock.at")).unwrap();
}

#[test]
fn levels_follow_from_the_references() {
    let plan = compile(
        r#"{ "price": { "post": "p:/quote", "body": { "skus": ["{order.sku}"], "at": "{stock.place ?? null}" } },
             "order": { "get": "o:/orders/{id}" },
             "stock": { "get": "s:/stock/{order.sku}", "need": "optional", "on-error": null },
             "news": { "get": "n:/news" } }"#,
    );
    let planned = plan.unwrap().explain();
    let said: Vec<String> = planned
        .iter()
        .map(|one| format!("{} {} [{}] {}", one.level, one.call, one.waits_for.join(" "), one.asks))
        .collect();
    assert_eq!(
        said,
        [
            "0 order [] GET o:/orders/{id}",
            "0 news [] GET n:/news",
            "1 stock [order] GET s:/stock/{order.sku}",
            "2 price [order stock] POST p:/quote",
        ]
    );
    assert_eq!(planned[2].need, "optional, or null");
}

#[test]
fn a_reply_takes_what_is_there() {
    let check = |reply: &str, a: Option<&str>, b: Option<&str>, want: &str| {
        assert_eq!(json::write(&replied(reply, &[a, b])), want, "{reply}");
    };
    let (a, b) = (Some(r#"{"x":1.50,"y":[{"z":"t"}],"n":null}"#), Some(r#"{"x":2}"#));
    check(r#"{ "$": "a", "b": "b.x" }"#, a, b, r#"{"x":1.50,"y":[{"z":"t"}],"n":null,"b":2}"#);
    check(r#"{ "x": "a.y[0].z", "$": ["a", "b"] }"#, a, b, r#"{"x":"t","y":[{"z":"t"}],"n":null}"#);
    // Nothing is left out; what is null stays null, and everything in null is null.
    check(
        r#"{ "b": "b.x", "l": ["b", "a.x"], "n": "a.n", "in": "a.n.m" }"#,
        a,
        None,
        r#"{"l":[1.50],"n":null,"in":null}"#,
    );
    check(r#"{ "b": "b.x" }"#, a, Some("null"), r#"{"b":null}"#);
    check(r#"{ "b": "b.x ?? 0", "n": "a.n ?? \"none\"" }"#, a, None, r#"{"b":0,"n":"none"}"#);
    check(r#"{ "w": "{id} of {consumer}: {a.x}", "v": "no {b.x}" }"#, a, None, r#"{"w":"a/b of ann: 1.50"}"#);
    check(
        r#"{ "q": "query.note", "c": { "$value": "a" }, "t": true }"#,
        a,
        None,
        r#"{"q":"a b&c","c":"a","t":true}"#,
    );
    check(r#""b""#, a, None, "null");
}

#[test]
fn what_is_filled_in_stays_one_piece() {
    let plan = compile(
        r#"{ "a": { "get": "s:/x/{id}?note={query.note}&p={query.none}" },
             "b": { "get": "s:/y/{a.sku}?q={a.sku}&d={query.none ?? \"a b\"}", "headers": { "x-sku": "{a.n}", "x-none": "{query.none}" } },
             "c": { "post": "s:/z", "body": { "all": "{a}", "text": "sku {a.sku}", "gone": "{query.none}", "plain": "a.sku" } } }"#,
    )
    .unwrap();
    let given = given(&plan);
    let asked = |at: usize, a: Option<&str>| {
        let results = [a.map(value), None, None];
        let known = Known { given: &given, results: &results, body: None };
        plan.calls[at].request(known, http::HeaderMap::new())
    };
    let uri = |at: usize, a: Option<&str>| {
        asked(at, a).map(|request| request.uri().to_string()).map_err(|why| format!("{why:?}"))
    };
    assert_eq!(uri(0, None).unwrap(), "/x/a%2Fb?note=a+b%26c&p=");
    let sku = Some(r#"{"sku":"../a/b?c&d","n":7}"#);
    assert_eq!(uri(1, sku).unwrap(), "/y/..%2Fa%2Fb%3Fc%26d?q=..%2Fa%2Fb%3Fc%26d&d=a%20b");
    let request = asked(1, sku).unwrap();
    assert!(request.headers()["x-sku"] == "7" && !request.headers().contains_key("x-none"));
    // A call is not made from half of what it needs.
    for half in [None, Some("null"), Some("{}"), Some(r#"{"sku":"","n":1}"#), Some(r#"{"sku":{},"n":1}"#)] {
        assert_eq!(uri(1, half).unwrap_err(), "Skipped", "{half:?}");
    }
    for unusable in [r#"{"sku":"..","n":1}"#, r#"{"sku":"a","n":"line\nend"}"#] {
        assert_eq!(uri(1, Some(unusable)).unwrap_err(), "Skipped", "{unusable}");
    }
    let request = asked(2, Some(r#"{"sku":"s","n":0.10}"#)).unwrap();
    assert_eq!(&**request.body(), br#"{"all":{"sku":"s","n":0.10},"text":"sku s","plain":"a.sku"}"#);
}

proptest! {
    /// Whatever a service says, it can fill one segment of a path, and no more.
    #[test]
    fn no_answer_changes_what_another_service_is_asked(sku in "\\PC{1,20}") {
        let plan = compile(r#"{ "a": { "get": "s:/a" }, "b": { "get": "s:/b/{a}/c?x={a}" } }"#).unwrap();
        let given = given(&plan);
        let results = [Some(Value::text(sku.as_str())), None];
        let known = Known { given: &given, results: &results, body: None };
        if let Ok(request) = plan.calls[1].request(known, http::HeaderMap::new()) {
            prop_assert_eq!(request.uri().path().split('/').count(), 4);
            prop_assert!(request.uri().path().ends_with("/c"));
            prop_assert!(request.uri().query().is_some_and(|query| !query.contains(['&', '#'])));
        }
    }
}

//! What expressions say.

use dozen_core::Message;
use proptest::prelude::*;
use serde_json::json;

use super::{compile, order, verdict};
use crate::{Context, Expression, Kind, Problem, Scope, Verdict};

#[test]
fn what_holds_is_yes_and_its_opposite_is_no() {
    let holding = [
        "true",
        r#"type == "order.placed" && data.total > 100"#,
        r#"id == "1" && source == "/shop" && subject == "orders/1" && key == "customer-7""#,
        r#"type in ["order.placed", "order.paid"]"#,
        r#"type.startsWith("order.") && type.endsWith("placed") && type.contains("er.pl")"#,
        r#"type.matches("^order[.](placed|paid)$")"#,
        r#"data.total == 150.0 && data.rate < 1 && data.big > data.total"#,
        "data.total + 1 == 151 && data.total / 2 == 75 && -data.total < 0 && data.total % 100 == 50",
        "double(data.total) * data.rate == 75.0",
        r#"data.name == "Zoë \"Z\"" && size(data.name) == 7"#,
        "data.note == null && has(data.note) && !has(data.nothing)",
        r#"data["total"] == 150 && "total" in data && !("nothing" in data)"#,
        r#"data.items[1].sku == "b" && size(data.items) == 2 && data.items.size() == 2"#,
        "data.items.exists(item, item.price > 99) && data.items.all(item, item.price > 1)",
        r#"data.items.exists_one(item, item.sku == "a")"#,
        "data.items.filter(item, item.price > 60).size() == 1",
        r#"data.items.map(item, item.sku) == ["a", "b"]"#,
        r#"["a", "b"] == data.items.map(item, item.sku)"#,
        r#""eu" in data.tags && data.to.city == "Köln""#,
        r#"data.to == {"city": "Köln"}"#,
        r#"attributes.tenant == "acme" && attributes.attempt >= 3 && has(attributes.dozenkey)"#,
        r#"attributes.type == type && attributes.time == time && !has(attributes.datacontenttype)"#,
        r#"time > timestamp("2026-01-01T00:00:00Z") && time < timestamp("2026-05-01T14:00:01+02:00")"#,
        r#"time == timestamp("2026-05-01T14:00:00+02:00")"#,
        r#"data.total > 100 ? data.paid : false"#,
        "type(data.total) == int && type(data.rate) == double && int(data.rate) == 0",
        r#"string(data.total) == "150" && type + "!" == "order.placed!""#,
        "data.nothing == 1 || data.total == 150",
    ];
    for text in holding {
        assert_eq!(verdict(text), Verdict::Yes, "{text}");
        assert_eq!(verdict(&format!("!({text})")), Verdict::No, "!({text})");
    }
}

#[test]
fn what_a_message_lacks_is_unknown_with_its_reason() {
    let unknown = |text: &str| match verdict(text) {
        Verdict::Unknown(problem) => (problem.label(), problem.to_string()),
        other => panic!("{text}: {other:?}"),
    };
    let (label, text) = unknown("data.ttl > 100");
    assert_eq!((label, text.as_str()), ("missing", "there is no `ttl`; ask `has(…)` first"));
    assert_eq!(unknown(r#"attributes.region == "eu""#).0, "missing");
    assert_eq!(unknown("data.items[7].price > 1").0, "missing");
    assert_eq!(unknown("data.total").0, "not_boolean");
    let (label, text) = unknown("data.name > 100");
    assert_eq!((label, text.as_str()), ("kinds", "`>` does not take string and int"));
    assert_eq!(unknown("data.total + data.rate > 1.0").0, "kinds");
    assert_eq!(unknown("data.total / (data.total - 150) == 1").0, "value");
    assert_eq!(unknown("int(data.name) == 1").0, "value");
    assert_eq!(unknown("data.total.all(x, true)").0, "value");
}

#[test]
fn no_problem_tells_a_value_of_the_message() {
    let secret =
        Message::new("1", "/s", "t").with_data(None, r#"{"pin": "hunter2", "n": 77123, "l": ["hunter2"]}"#);
    let texts = [
        "data.pin > 1",
        "data.pin + data.n == 1",
        "int(data.pin) == 1",
        "timestamp(data.pin) == time",
        "attributes[data.pin] == 1",
        "data.l[data.n] == 1",
        "data.n / 0 == 1",
        "data.l < data.l",
        "{data.l: 1} == data",
        "{data.pin: 1, data.pin: 2} == data",
        "data.pin.size(data.n)",
        "data[data.n]",
        "data.pin ? true : false",
        "data.pin && true",
        "-data.pin == 1",
        "data.pin.all(x, true)",
        "9223372036854775807 + data.n == 1",
    ];
    for text in texts {
        let Ok(expression) = Expression::for_messages(text) else { continue };
        let Verdict::Unknown(problem) = expression.matches(&secret) else { panic!("{text}") };
        let told = format!("{problem} {problem:?}");
        assert!(!told.contains("hunter2") && !told.contains("77123"), "{text}: {told}");
    }
}

#[test]
fn a_payload_that_is_no_json_is_null() {
    let text = Message::new("1", "/s", "t").with_data(Some("text/plain"), "150");
    let broken = Message::new("1", "/s", "t").with_data(None, "{\"total\": 150");
    let empty = Message::new("1", "/s", "t");
    let null = compile("data == null");
    for message in [text, broken, empty] {
        assert_eq!(null.matches(&message), Verdict::Yes);
    }
    let list =
        Message::new("1", "/s", "t").with_data(Some("application/vnd.x+json; charset=utf-8"), "[1, 2]");
    assert_eq!(compile("data[1] == 2").matches(&list), Verdict::Yes);
}

#[test]
fn an_attribute_that_a_message_lacks_is_null() {
    let bare = Message::new("1", "/s", "t");
    assert_eq!(compile("subject == null && time == null && key == null").matches(&bare), Verdict::Yes);
    assert_eq!(compile(r#"subject == "a""#).matches(&bare), Verdict::No);
    assert_eq!(
        compile(r#"time > timestamp("2026-01-01T00:00:00Z")"#).matches(&bare).problem().map(Problem::label),
        Some("kinds")
    );
}

#[test]
fn the_payload_is_looked_into_only_when_the_evaluation_comes_to_it() {
    let large = "x".repeat(crate::DATA_MAX);
    let other = Message::new("1", "/s", "other").with_data(None, format!("\"{large}\""));
    let both = compile(r#"type == "order.placed" && data.total > 100"#);
    assert_eq!(both.matches(&other), Verdict::No);
    let order = Message::new("1", "/s", "order.placed").with_data(None, format!("\"{large}\""));
    assert_eq!(both.matches(&order), Verdict::Unknown(Problem::TooLarge { limit: crate::DATA_MAX }));
    assert!(both.refers_to("data") && !both.refers_to("attributes"));
    assert!(!compile("['data'].exists(data, data == 'data')").refers_to("data"));
}

#[test]
fn only_the_members_that_are_named_are_built_and_all_where_that_cannot_be_told() {
    for text in [
        "data.items[0].sku == 'a'",
        "size(data) == 9",
        "data['total'] == 150",
        "data.map(name, name).size() == 9",
    ] {
        assert_eq!(verdict(text), Verdict::Yes, "{text}");
    }
    let name = Message::new("1", "/s", "t").with_data(None, r#"{"which": "total", "total": 5}"#);
    assert_eq!(compile("data[data.which] == 5").matches(&name), Verdict::Yes);
}

#[test]
fn other_subjects_have_variables_of_their_own() {
    let scope = Scope::of([("request", Kind::Map), ("claims", Kind::Any)]);
    let policy = r#"request.method == "GET" || "admin" in claims.roles"#;
    let policy = Expression::compile(policy, &scope).unwrap();
    let claims = json!({"roles": ["admin", "ops"]});
    let (get, delete) = (json!({"method": "GET"}), json!({"method": "DELETE"}));
    let decide = |request: &serde_json::Value, claims: &serde_json::Value| {
        policy.decide(&Context::new().with("request", request).with("claims", claims))
    };
    assert_eq!(decide(&delete, &claims), Verdict::Yes);
    assert_eq!(decide(&delete, &json!({"roles": []})), Verdict::No);
    assert_eq!(decide(&get, &json!(null)), Verdict::Yes);
    let nobody = policy.decide(&Context::new().with("request", &delete));
    assert_eq!(nobody, Verdict::Unknown(Problem::Missing { name: "claims".into() }));
    assert!(Expression::compile("data.total > 1", &scope).is_err());
}

#[test]
fn one_expression_answers_many_threads() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    let expression = compile("data.items.exists(item, item.price > 99)");
    shared(&expression);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let expression = expression.clone();
            scope.spawn(move || (0..100).for_each(|_| assert!(expression.matches(&order()).is_yes())));
        }
    });
}

/// Printed, not judged: `cargo test -p dozen-expression --release how_long -- --nocapture`.
#[test]
fn how_long_an_evaluation_takes() {
    let small = order().with_data(None, r#"{"total": 150, "customer": "c-7"}"#);
    let padding =
        format!("{{\"total\": 150, \"rest\": [{}]}}", vec!["{\"sku\": \"abc\", \"n\": 5}"; 400].join(","));
    let large = order().with_data(None, padding);
    let cases = [
        ("by type and data", r#"type == "order.placed" && data.total > 100"#, &small),
        ("the same, 10 KB of data", r#"type == "order.placed" && data.total > 100"#, &large),
        ("by type, not met", r#"type == "order.paid" && data.total > 100"#, &small),
        ("by an attribute", r#"attributes.tenant == "acme""#, &small),
        ("by a pattern", r#"type.matches("^order[.]")"#, &small),
        ("over 400 elements", r#"data.rest.all(item, item.n == 5)"#, &large),
    ];
    for (name, text, message) in cases {
        let expression = compile(text);
        let rounds = 2_000;
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            std::hint::black_box(expression.matches(std::hint::black_box(message)));
        }
        println!("{name:>24}: {:>8} ns", start.elapsed().as_nanos() / rounds);
    }
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|v| json!(v)),
        any::<i64>().prop_map(|v| json!(v)),
        any::<f64>().prop_map(|v| json!(v)),
        ".{0,8}".prop_map(|v| json!(v)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| json!(v)),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|v| json!(v)),
        ]
    })
}

proptest! {
    /// Whatever JSON comes, there is a verdict; and a value is equal to itself however it came in.
    #[test]
    fn every_payload_gets_a_verdict(value in json_value()) {
        let message = Message::new("1", "/s", "t").with_data(None, value.to_string());
        for text in ["data.a == data.b", "data.a > 1", "data.a.all(x, x == data.b)", "data.map(x, x).size() > 0",
            "data[0] == data", "string(data.a) == data.c", "data.a + data.b == data.c"] {
            let expression = compile(text);
            let one = expression.matches(&message);
            prop_assert_eq!(&one, &expression.matches(&message));
        }
        let scope = Scope::of([("left", Kind::Any), ("right", Kind::Any)]);
        let same = Expression::compile("left == right", &scope).unwrap();
        // Read twice, because a number may lose its last digit when it is read.
        let [left, right] = [(); 2].map(|()| serde_json::from_str::<serde_json::Value>(&value.to_string()).unwrap());
        prop_assert_eq!(same.decide(&Context::new().with("left", &left).with("right", &right)), Verdict::Yes);
    }
}

#[test]
fn a_text_is_given_where_one_is_wanted() {
    let scope = Scope::of([("claims", Kind::Map), ("request", Kind::Map)]);
    let claims = json!({"tenant": "acme", "seat": 7, "tags": ["a"]});
    let context = Context::new().with("claims", &claims);
    let text = |text: &str| Expression::compile_text(text, &scope).unwrap().text_of(&context);
    assert_eq!(text(r#"claims.tenant + "/" + string(claims.seat)"#), Ok("acme/7".into()));
    assert_eq!(text("claims.seat"), Ok("7".into()));
    assert_eq!(text("claims.nothing").unwrap_err().label(), "missing");
    assert_eq!(text("claims.tags").unwrap_err().label(), "not_text");
    let mistake = Expression::compile_text("claims.seat == 7", &scope).unwrap_err().to_string();
    assert!(mistake.contains("the result is a boolean, and must be a text"), "{mistake}");
}

#[test]
fn an_expression_says_which_members_it_may_look_at() {
    let scope = Scope::of([("request", Kind::Map)]);
    let looks = |text: &str, member: &str| {
        Expression::compile(text, &scope).unwrap().refers_to_member("request", member)
    };
    assert!(looks(r#"request.path == "/""#, "path") && !looks(r#"request.path == "/""#, "headers"));
    assert!(looks(r#"size(request) > 0"#, "headers") && !looks("true", "path"));
}

//! What no expression and no message can do: take long, or take much.

use dozen_core::Message;

use super::compile;
use crate::{DEPTH_MAX, Expression, Problem, STEPS_MAX, TEXT_MAX, Verdict};

fn refused(text: &str) -> String {
    match Expression::for_messages(text) {
        Ok(_) => panic!("{} … was accepted", text.chars().take(60).collect::<String>()),
        Err(mistake) => mistake.to_string(),
    }
}

#[test]
fn a_text_is_short_and_nests_little() {
    let long = format!("type == \"{}\"", "x".repeat(TEXT_MAX));
    assert!(refused(&long).contains("4096 are the most"));
    let deep = [
        format!("{}true{}", "(".repeat(DEPTH_MAX + 1), ")".repeat(DEPTH_MAX + 1)),
        format!("{}1{} == 1", "[".repeat(2000), "]".repeat(2000)),
        format!("data{} == 1", ".a".repeat(DEPTH_MAX + 1)),
        format!("1{} == 1", " + 1".repeat(1000)),
        format!("data{}", "[0]".repeat(1000)),
        format!("{}true", "true ? true : ".repeat(200)),
        format!("{}1{} == 1", "-(".repeat(600), ")".repeat(600)),
        format!("data.a{}", ".size()".repeat(500)),
        "(".repeat(4000),
        "{".repeat(4000),
    ];
    for text in deep {
        assert!(refused(&text).contains("nests more than 48 deep"), "{text}");
    }
    // Many alternatives are no depth.
    assert!(Expression::for_messages(&format!("true{}", " || type == \"a\"".repeat(200))).is_ok());
}

#[test]
fn the_stack_of_a_worker_is_enough_for_the_deepest() {
    let deep = format!("{}true{}", "!(".repeat(20), ")".repeat(20));
    let texts = [deep, format!("data{} == 1", ".a".repeat(40)), "[".repeat(4000), "1<".repeat(2000)];
    let worker = std::thread::Builder::new().stack_size(2 << 20);
    let run = worker.spawn(move || {
        for text in texts {
            if let Ok(expression) = Expression::for_messages(&text) {
                expression.matches(&Message::new("1", "/s", "t").with_data(None, "{}"));
            }
        }
    });
    assert!(run.unwrap().join().is_ok());
}

#[test]
fn loops_nest_a_little() {
    let three = "data.a.all(x, x.all(y, y.all(z, z > 1)))";
    assert!(Expression::for_messages(three).is_ok());
    assert!(refused("data.a.all(w, w.all(x, x.all(y, y.all(z, z > 1))))").contains("at most 3 deep"));
}

#[test]
fn nothing_large_can_be_built() {
    let growing = [
        format!("[\"a\"]{} == []", ".map(x, [x, x])".repeat(40)),
        format!("[\"a\"]{} == []", ".map(x, x + x)".repeat(40)),
        "data.items.map(x, data) == []".to_owned(),
        "data.items.map(x, data.items.map(y, y)) == []".to_owned(),
        format!("data.a.exists(x, [{}] == x)", vec!["data"; 40].join(",")),
        format!("{} == \"\"", vec!["type"; 30].join("+")),
    ];
    for text in growing {
        assert!(refused(&text).contains("more than 4 MiB"), "{text}");
    }
    let modest = [
        "data.items.map(x, x.sku) == []",
        "data.items.map(x, [x.sku, x.name]) == []",
        "data.items.map(x, x.price * 2) == []",
        "data.items.filter(x, x.price > 1).map(x, x.sku) == []",
        "[type, subject, source] == [] || type + \"/\" + subject == \"a/b\"",
        "data.items.map(x, x.parts.map(y, y.sku)) == []",
    ];
    for text in modest {
        assert!(Expression::for_messages(text).is_ok(), "{text}");
    }
}

fn numbers(count: usize) -> String {
    vec!["1"; count].join(",")
}

#[test]
fn loops_pay_for_what_they_walk_and_stop_being_decided() {
    let message =
        Message::new("1", "/s", "t").with_data(None, format!("{{\"items\": [{}]}}", numbers(1_000)));
    assert_eq!(compile("data.items.all(x, x == 1)").matches(&message), Verdict::Yes);
    let squared = compile("data.items.all(x, data.items.all(y, x == y))");
    let too_much = Verdict::Unknown(Problem::TooMuchWork { limit: STEPS_MAX });
    assert_eq!(squared.matches(&message), too_much);
}

#[test]
fn the_largest_payload_can_be_walked() {
    let items = vec!["{\"n\":1}"; 32_000].join(",");
    let message = Message::new("1", "/s", "t").with_data(None, format!("[{items}]"));
    for text in [
        "data.all(x, x.n == 1)",
        "data.filter(x, x.n == 1).size() == 32000",
        "data.map(x, x.n).all(n, n == 1)",
    ] {
        assert_eq!(compile(text).matches(&message), Verdict::Yes, "{text}");
    }
    let items = vec!["{\"sku\":\"abc-1\"}"; 14_000].join(",");
    let message =
        Message::new("1", "/s", "t").with_data(None, format!("{{\"wanted\":\"x\",\"items\":[{items}]}}"));
    let wanted = compile("data.items.exists(item, item.sku == data.wanted || item.sku.contains('7'))");
    assert_eq!(wanted.matches(&message), Verdict::No);
    let pattern = compile("data.items.all(item, item.sku.matches('^[a-z]+-[0-9]$'))");
    assert_eq!(pattern.matches(&message), Verdict::Yes);
}

#[test]
fn what_an_operation_in_a_loop_looks_through_or_copies_is_paid_for() {
    let text = "a".repeat(80_000);
    let (times, list) = (numbers(2_000), numbers(20_000));
    let data = format!("{{\"times\":[{times}],\"text\":\"{text}\",\"list\":[{list}]}}");
    let message = Message::new("1", "/s", "t").with_data(None, data);
    let costly = [
        "data.times.all(x, !data.text.matches('(a|b)*c'))",
        "data.times.all(x, data.list == data.list)",
        "data.times.all(x, !(2 in data.list))",
        "data.times.all(x, [data.list].size() == 1)",
        "data.times.all(x, [data.list].all(y, true))",
        "data.times.all(x, data.list + data.list != data.list)",
        "data.times.all(x, data.text + data.text + data.text + data.text + data.text + data.text != '')",
        "data.times.all(x, {'list': data.list}.size() == 1)",
    ];
    for text in costly {
        let too_much = Verdict::Unknown(Problem::TooMuchWork { limit: STEPS_MAX });
        assert_eq!(compile(text).matches(&message), too_much, "{text}");
    }
}

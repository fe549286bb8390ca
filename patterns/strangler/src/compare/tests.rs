use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::Tolerance;

fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let builder = Response::builder().status(status).header("content-type", content_type);
    builder.body(body.into()).expect("an answer")
}

fn json(body: &str) -> Answer {
    answer(200, "application/json", body.to_owned())
}

fn compare(options: &CompareOptions, old: &str, new: &str) -> Compared {
    Comparator::new("checkout", options).expect("the rules compile").compare(&json(old), &json(new))
}

/// What differs, as `path kind old new`.
fn check(options: CompareOptions, old: &str, new: &str, expected: &[&str]) {
    let found = match compare(&options, old, new) {
        Compared::Same => Vec::new(),
        Compared::Different(differences) => differences.shown,
        Compared::Incomparable(why) => panic!("{why}"),
    };
    let found: Vec<String> =
        found.iter().map(|one| format!("{} {:?} {} {}", one.path, one.kind, one.old, one.new)).collect();
    assert_eq!(found, expected);
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn plain() -> CompareOptions {
    CompareOptions::default()
}

#[test]
fn the_order_of_members_and_the_spelling_of_numbers_mean_nothing() {
    check(plain(), r#"{"a": 1.0, "b": [true, null]}"#, r#"{"b":[true,null],"a":1}"#, &[]);
    check(
        plain(),
        "12345678901234567",
        "12345678901234568",
        &["$ Value 12345678901234567 12345678901234568"],
    );
}

#[test]
fn each_difference_is_named_with_its_place() {
    check(
        plain(),
        r#"{"a":{"b":[1,2,3]},"gone":1,"kind":"1"}"#,
        r#"{"a":{"b":[1,9]},"more":{},"kind":1}"#,
        &[
            "$.a.b[1] Value 2 9",
            "$.a.b[2] Missing 3 absent",
            "$.gone Missing 1 absent",
            "$.kind Type \"1\" 1",
            "$.more Extra absent object of 0",
        ],
    );
}

#[test]
fn what_is_ignored_does_not_matter_present_or_not() {
    let options = CompareOptions { ignore: list(&["$.generatedAt", "$.items[*].id", "$..etag"]), ..plain() };
    check(
        options,
        r#"{"generatedAt":"a","items":[{"id":1,"n":1,"x":{"etag":1}}]}"#,
        r#"{"items":[{"id":2,"n":2,"etag":5,"x":{"etag":7}}]}"#,
        &["$.items[0].n Value 1 2"],
    );
}

#[test]
fn arrays_without_order_are_matched() {
    let options = CompareOptions { unordered: list(&["$.tags", "$.items by sku"]), ..plain() };
    check(options.clone(), r#"{"tags":[1,2,2,3]}"#, r#"{"tags":[3,2,1,2]}"#, &[]);
    check(options.clone(), r#"{"tags":[1,2,2]}"#, r#"{"tags":[2,1,1]}"#, &["$.tags[2] Value 2 1"]);
    check(options.clone(), r#"{"tags":[1]}"#, r#"{"tags":[2,1]}"#, &["$.tags[0] Extra absent 2"]);
    check(
        options.clone(),
        r#"{"items":[{"sku":"a","n":1},{"sku":"b","n":2}]}"#,
        r#"{"items":[{"sku":"c"},{"sku":"b","n":3},{"sku":"a","n":1}]}"#,
        &["$.items[sku=b].n Value 2 3", "$.items[sku=c] Extra absent object of 1"],
    );
    check(
        options,
        r#"{"items":[{"sku":"a","n":1},{"sku":"a","n":2}]}"#,
        r#"{"items":[{"sku":"a","n":2},{"sku":"a","n":1}]}"#,
        &[],
    );
}

#[test]
fn values_may_be_as_far_apart_as_the_rules_say() {
    let tolerance = [
        ("$.total", Tolerance::Absolute(0.01)),
        ("$.rate", Tolerance::Relative(0.01)),
        ("$.at", Tolerance::Within(Duration::from_secs(2))),
    ];
    let tolerance = tolerance.map(|(path, by)| (path.to_owned(), by)).into();
    let options = CompareOptions { tolerance, ..plain() };
    let old = r#"{"total":1.00,"rate":200,"at":"2026-01-01T00:00:00Z"}"#;
    check(options.clone(), old, r#"{"total":1.01,"rate":198,"at":"2026-01-01T01:00:02+01:00"}"#, &[]);
    check(
        options,
        old,
        r#"{"total":1.011,"rate":197,"at":"2026-01-01T00:00:02.1Z"}"#,
        &[
            "$.at Value \"2026-01-01T00:00:00Z\" \"2026-01-01T00:00:02.1Z\"",
            "$.rate Value 200 197",
            "$.total Value 1.00 1.011",
        ],
    );
}

#[test]
fn case_slashes_and_hosts_are_normalised_where_the_rules_say() {
    let options = CompareOptions {
        any_case: list(&["$.code"]),
        trailing_slash: list(&["$.link"]),
        hosts: list(&["old.example", "new.example"]),
        ..plain()
    };
    let old = r#"{"code":"AB","link":"http://old.example/x/"}"#;
    check(options.clone(), old, r#"{"code":"ab","link":"http://new.example/x"}"#, &[]);
    check(
        options,
        old,
        r#"{"code":"ac","link":"http://other.example/x"}"#,
        &["$.code Value \"AB\" \"ac\"", "$.link Value \"http://old.example/x/\" \"http://other.example/x\""],
    );
}

#[test]
fn personal_data_is_described_and_not_quoted() {
    let options = CompareOptions {
        redact: list(&["$.secretThing"]),
        unordered: list(&["$.people by email"]),
        ..plain()
    };
    check(
        options,
        r#"{"customer":{"email":"ann@example.com","address":{"city":"Bern"}},"secretThing":{"x":1},"people":[{"email":"x@y.z","n":1}]}"#,
        r#"{"customer":{"email":"bob@example.com","address":{"city":"Rom"}},"secretThing":{"x":2},"people":[{"email":"x@y.z","n":2}]}"#,
        &[
            "$.customer.address.city Value text of 4 characters text of 3 characters",
            "$.customer.email Value text of 15 characters text of 15 characters",
            "$.people[email=…].n Value 1 2",
            "$.secretThing.x Value number number",
        ],
    );
}

#[test]
fn the_list_of_differences_is_bounded_and_the_places_are_general() {
    let body = |from: usize| {
        let items: Vec<String> = (0..500).map(|at| format!("{{\"n\":{}}}", at + from)).collect();
        format!("{{\"items\":[{}]}}", items.join(","))
    };
    let Compared::Different(found) = compare(&plain(), &body(0), &body(1)) else { panic!("they differ") };
    assert_eq!((found.shown.len(), found.more), (20, 480));
    assert_eq!(found.places, Some(["$.items[*].n".to_owned()].into()));
    let many = |value: u32| {
        let members: Vec<String> = (0..1_000).map(|at| format!("\"m{at}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let Compared::Different(found) = compare(&plain(), &many(1), &many(2)) else { panic!("they differ") };
    assert_eq!(found.places, None, "too many places to tell apart");
}

#[test]
fn status_and_chosen_headers_are_compared() {
    let comparator =
        Comparator::new("x", &CompareOptions { hosts: list(&["old", "new"]), ..plain() }).expect("rules");
    let found = comparator.compare(&json("1"), &answer(500, "application/json", "2"));
    assert!(
        matches!(found, Compared::Different(found) if found.shown[0].path == "status" && found.shown.len() == 1)
    );
    let redirect = |to: &str| {
        let response = Response::builder().status(302).header("location", to).header("x-other", to);
        response.body(Bytes::new()).expect("an answer")
    };
    assert_eq!(comparator.compare(&redirect("http://old/a"), &redirect("http://new/a")), Compared::Same);
    let found = comparator.compare(&redirect("/a"), &redirect("/b"));
    assert!(matches!(found, Compared::Different(found) if found.shown[0].path == "header location"));
}

#[test]
fn text_and_bytes_are_compared_too_and_a_compressed_body_is_not() {
    let comparator = Comparator::new("x", &plain()).expect("rules");
    let text = |body: &str| answer(200, "text/html", body.to_owned());
    assert_eq!(
        comparator.compare(&text("a\r\nb"), &text("a\nb\n")),
        Compared::Same,
        "the ends of lines mean nothing"
    );
    let found = comparator.compare(&text("a\nb"), &text("a\nc"));
    assert!(matches!(found, Compared::Different(found) if found.shown[0].path == "line 2"));
    let found = comparator
        .compare(&answer(200, "image/png", &b"\xff1"[..]), &answer(200, "image/png", &b"\xff2"[..]));
    assert!(matches!(found, Compared::Different(found) if found.shown[0].path == "byte 1"));
    let mut zipped = json("1");
    zipped.headers_mut().insert("content-encoding", http::HeaderValue::from_static("gzip"));
    assert!(matches!(comparator.compare(&zipped, &json("2")), Compared::Incomparable(_)));
    assert!(matches!(comparator.compare(&json("no json"), &json("2")), Compared::Incomparable(_)));
    assert!(matches!(comparator.compare(&json("2"), &json("no json")), Compared::Different(_)));
    assert!(matches!(comparator.compare(&json("2"), &json("")), Compared::Different(_)));
    assert_eq!(comparator.compare(&json(""), &json("")), Compared::Same);
}

fn answer_in_domain(status: u16, body: &str) -> Answer {
    answer(status, "application/json", body.to_owned())
}

/// Reads a number out of a text, as a legacy system writes it.
struct Legacy;
/// The new system speaks the domain's language.
struct Plain;

impl Translator for Legacy {
    fn translate(&self, answer: &Answer) -> Result<Answer, String> {
        let text = std::str::from_utf8(answer.body()).map_err(|_| "it is no text".to_owned())?;
        // What it cannot find it tells as a fault.
        if text == "FAULT=4711" {
            return Ok(answer_in_domain(404, "{}"));
        }
        let price = text.strip_prefix("PRICE=").ok_or("it has no PRICE")?;
        let price = price.split(';').next().unwrap_or_default();
        Ok(json(&format!("{{\"price\":{price}}}")))
    }
}

impl Translator for Plain {
    fn translate(&self, answer: &Answer) -> Result<Answer, String> {
        Ok(answer.clone())
    }
}

#[test]
fn answers_of_another_shape_are_compared_in_the_domains_model() {
    let comparator = Comparator::new("x", &plain()).expect("rules");
    let comparator = comparator.in_domain(Arc::new(Legacy), Arc::new(Plain));
    let old = answer(200, "text/plain", "PRICE=12.50");
    assert_eq!(comparator.compare(&old, &json(r#"{"price": 12.5}"#)), Compared::Same);
    assert!(matches!(comparator.compare(&old, &json(r#"{"price": 13}"#)), Compared::Different(_)));
    let fault = answer(500, "text/plain", "FAULT=4711");
    let unknown = answer_in_domain(404, "{}");
    assert_eq!(comparator.compare(&fault, &unknown), Compared::Same, "the status is the domain's, too");
    let broken = answer(200, "text/plain", "?");
    assert!(
        matches!(comparator.compare(&broken, &json("{}")), Compared::Incomparable(_)),
        "the new side is not to blame"
    );
}

#[test]
fn the_old_side_is_held_against_itself_by_its_own_translator_alone() {
    struct Never;
    impl Translator for Never {
        fn translate(&self, _: &Answer) -> Result<Answer, String> {
            Err("it is none of the new side's".into())
        }
    }
    let comparator = Comparator::new("x", &plain()).expect("rules");
    let comparator = comparator.in_domain(Arc::new(Legacy), Arc::new(Never));
    let (first, second) =
        (answer(200, "text/plain", "PRICE=1;t=1"), answer(200, "text/plain", "PRICE=1;t=2"));
    assert_eq!(comparator.replayed(&first, &second), Compared::Same);
    assert!(matches!(comparator.compare(&first, &second), Compared::Different(_)));
}

#[test]
fn a_rule_that_cannot_be_read_is_named() {
    let options = CompareOptions { ignore: list(&["items[*]"]), ..plain() };
    let error = Comparator::new("checkout", &options).err().expect("it is refused");
    assert_eq!(error.to_string(), "feature `checkout`: the rule `items[*]` must begin with `$`");
}

fn ten_kilobytes(total: &str) -> String {
    let item = |at: usize| {
        format!(
            r#"{{"sku":"sku-{at:05}","name":"A thing with a name","price":{at}.50,"tags":["a","b"],"stock":{{"at":"main","n":{at}}}}}"#
        )
    };
    let items: Vec<String> = (0..94).map(item).collect();
    format!(r#"{{"items":[{}],"total":{total}}}"#, items.join(","))
}

#[test]
fn ten_kilobytes_take_a_bounded_time() {
    let (old, new) = (ten_kilobytes("1"), ten_kilobytes("2"));
    assert!((10_000..10_700).contains(&old.len()), "{}", old.len());
    let options = CompareOptions {
        unordered: list(&["$.items by sku"]),
        ignore: list(&["$.items[*].stock.at"]),
        ..plain()
    };
    let comparator = Comparator::new("x", &options).expect("rules");
    let (old, new) = (json(&old), json(&new));
    let mut best = Duration::MAX;
    for _ in 0..200 {
        let began = Instant::now();
        assert!(matches!(comparator.compare(&old, &new), Compared::Different(_)));
        best = best.min(began.elapsed());
    }
    eprintln!("comparing 10 KB of JSON: {best:?}");
    // A guard against work that grows, not a measurement: this build is not optimised, and the machine is shared.
    let limit = if cfg!(debug_assertions) { 5_000 } else { 500 };
    assert!(best < Duration::from_micros(limit), "{best:?}");
}

#[test]
fn arrays_that_would_cost_too_much_are_given_up() {
    let options = CompareOptions { unordered: list(&["$"]), ..plain() };
    let array = |from: usize| {
        let numbers: Vec<String> = (from..from + 5_000).map(|number| number.to_string()).collect();
        format!("[{}]", numbers.join(","))
    };
    assert!(matches!(compare(&options, &array(0), &array(10_000)), Compared::Incomparable(_)));
}

proptest! {
    #[test]
    fn a_document_equals_itself_in_any_order(numbers in proptest::collection::vec(0u8..5, 0..20), seed: u64) {
        let mut shuffled = numbers.clone();
        let mut state = seed;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(at, (state >> 33) as usize % (at + 1));
        }
        let options = CompareOptions { unordered: list(&["$"]), ..plain() };
        let text = |numbers: &[u8]| serde_json::to_string(numbers).expect("it is JSON");
        prop_assert_eq!(compare(&options, &text(&numbers), &text(&shuffled)), Compared::Same);
        let mut sorted = (numbers.clone(), shuffled.iter().map(|number| number + 1).collect::<Vec<_>>());
        sorted.0.sort_unstable();
        sorted.1.sort_unstable();
        let same = compare(&options, &text(&numbers), &text(&sorted.1)) == Compared::Same;
        prop_assert_eq!(same, sorted.0 == sorted.1);
    }
}

#[test]
fn two_sides_that_both_fail_say_nothing_of_each_other() {
    let comparator = Comparator::new("checkout", &CompareOptions::default()).expect("good rules");
    let answer = |status: u16| {
        let answer = http::Response::builder().status(status).header("content-type", "application/json");
        answer.body(Bytes::from_static(b"{}")).expect("an answer")
    };
    for (old, new) in [(500, 500), (500, 503)] {
        assert!(matches!(comparator.compare(&answer(old), &answer(new)), Compared::Incomparable(_)));
    }
    assert!(matches!(comparator.compare(&answer(200), &answer(500)), Compared::Different(_)));
    assert_eq!(comparator.compare(&answer(404), &answer(404)), Compared::Same);
}

#[test]
fn what_was_asked_for_only_if_it_is_new_or_in_part_says_nothing_where_one_side_answers_in_full() {
    let comparator = Comparator::new("checkout", &plain()).expect("the rules compile");
    let of = |status: u16| answer(status, "text/plain", if status == 304 { "" } else { "a page" });
    for (old, new) in [(304, 200), (200, 304), (206, 200), (200, 206)] {
        let compared = comparator.compare(&of(old), &of(new));
        assert!(matches!(compared, Compared::Incomparable(_)), "{old} {new}: {compared:?}");
    }
    assert_eq!(comparator.compare(&of(304), &of(304)), Compared::Same);
    assert_eq!(comparator.compare(&of(206), &of(206)), Compared::Same);
    assert!(
        matches!(comparator.compare(&of(304), &of(404)), Compared::Different(_)),
        "it is gone on one side"
    );
}
